"""Convolution as a direct sum: tiles of pixels times panels of filters, in bands that fit the second cache.

Where a filter reaches over the edge along y or x, a band's input is copied into a buffer with its zeros, so
that the sums need no tests; along z the runs of planes outside are left out. All else is read in place.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array, Axes
from skadetect.nn.backends.cpu import arena
from skadetect.nn.backends.cpu.filters import FilterCache, pack, padded
from skadetect.nn.backends.cpu.tile import LANES, ROWS, WIDTH, tile_narrow, tile_wide

#: Input of a band, in bytes.
BAND_BYTES = 768 * 1024
#: Floats of a page.
PAGE = 1024
_CACHE = FilterCache()


def conv_direct(
    x: Array,
    filters: Array,
    bias: Array | None,
    *,
    stride: Axes,
    padding: Axes,
    slope: float = 1.0,
    residual: Array | None = None,
) -> Array:
    """See `skadetect.nn.backends.base.Backend.conv_forward`, of one group."""
    x = np.ascontiguousarray(x)
    sizes = [(x.shape[1 + a] + 2 * padding[a] - filters.shape[a]) // stride[a] + 1 for a in range(3)]
    y = arena.empty((x.shape[0], *sizes, filters.shape[4]))
    panels = _CACHE.get(filters, "direct", _panels)
    geometry = (*x.shape[1:], *y.shape[1:4], *filters.shape[:3], *stride, *padding)
    extra = np.empty((0, 0, 0, 0, 0), np.float32) if residual is None else np.ascontiguousarray(residual)
    layout, scratch = _layout(x.shape, y.shape, geometry)
    buffers = arena.empty((nb.get_num_threads(), scratch))
    _convolve(x, panels, padded(bias, y.shape[4]), np.float32(slope), extra, y, geometry, layout, buffers)
    return y


def _panels(filters: Array) -> Array:
    return pack(filters.reshape(1, -1, filters.shape[4]))[0]


def _layout(
    x_shape: tuple[int, ...], y_shape: tuple[int, ...], geometry: tuple[int, ...]
) -> tuple[tuple[int, ...], int]:
    """Rows and columns of output pixels in a band, panels of a unit of work, floats a pixel of a copied band.

    And the floats of a thread's buffer. Zero for the last of the four: nothing needs to be copied.
    """
    features, (kz, ky, kx, _, sy, sx, _, py, px) = geometry[3], geometry[7:]
    batch, oz, oy, ox, outputs = y_shape
    # Pixels a multiple of a page apart would all fall into one set of the first cache: a copy spreads them.
    spread = LANES if kx == 1 and ky == 1 and (features * sx) % PAGE == 0 else 0
    copied = py > 0 or px > 0 or spread > 0
    per_pixel = 4 * features * sy * sx * (kz if copied else 1)
    most = max(2 * ROWS, BAND_BYTES // per_pixel)
    across = ox if ox <= most else -(-ox // -(-ox // most))
    down = max(1, min(oy, most // across))
    bands = batch * oz * -(-oy // down) * -(-ox // across)
    wanted = 4 * nb.get_num_threads()
    if bands < wanted:  # smaller bands first, then fewer panels each
        down = max(1, min(down, max(-(-4 * ROWS // across), down * bands // wanted)))
        bands = batch * oz * -(-oy // down) * -(-ox // across)
    panels = -(-outputs // WIDTH)
    shares = 1 if bands >= wanted else min(panels, -(-wanted // bands))
    pitch = features + spread if copied else 0
    room = kz * ((down - 1) * sy + ky) * ((across - 1) * sx + kx) * pitch
    return (down, across, -(-panels // shares), pitch), room + ROWS * WIDTH


@nb.njit(**PARALLEL)
def _convolve(
    x: Any, panels: Any, bias: Any, slope: float, extra: Any, y: Any, geometry: Any, layout: Any, buffers: Any
) -> None:
    down, across, share = layout[0], layout[1], layout[2]
    oz, oy, ox = geometry[4], geometry[5], geometry[6]
    bands, segments = (oy + down - 1) // down, (ox + across - 1) // across
    shares = (panels.shape[0] + share - 1) // share
    units = x.shape[0] * oz * bands * segments * shares
    for unit in nb.prange(units):
        part, place = unit % shares, unit // shares
        segment, place = place % segments, place // segments
        band, place = place % bands, place // bands
        corner = (place // oz, place % oz, band * down, segment * across)
        size = (min(down, oy - band * down), min(across, ox - segment * across))
        first = part * share
        _band(
            x, panels[first : first + share], bias[first * WIDTH :], slope, extra, y, geometry, corner, size,
            first * WIDTH, layout[3], buffers[nb.get_thread_id()],
        )  # fmt: skip


@nb.njit(**JIT)
def _band(
    x: Any, panels: Any, bias: Any, slope: float, extra: Any, y: Any, geometry: Any, corner: Any, size: Any,
    column: int, copied: int, buffer: Any,
) -> None:  # fmt: skip
    """Some panels' output features of a band of output pixels."""
    nz, ny, nx, nf, oz, oy, ox, kz, ky, kx, sz, sy, sx, pz = geometry[:14]
    batch, z, top, left = corner
    rows, columns = size
    outputs = y.shape[4]
    pitch = copied if copied else nf
    line = ((columns - 1) * sx + kx) * pitch if copied else nx * nf
    plane = ((rows - 1) * sy + ky) * line if copied else ny * line
    runs = np.empty((kz * ky, 2), np.int64)
    count = 0
    for tap in range(kz):
        depth = z * sz - pz + tap
        if 0 <= depth < nz:
            if copied:
                _copy_plane(
                    x[batch, depth], buffer[tap * plane :], (top, left), (rows, columns), geometry, pitch
                )
            for row in range(ky):
                runs[count, 0] = (tap if copied else depth) * plane + row * line
                runs[count, 1] = (tap * ky + row) * kx * nf * WIDTH
                count += 1
    pixels = rows * columns
    tiles = (pixels + ROWS - 1) // ROWS
    sources, targets = np.empty(tiles * ROWS, np.int64), np.empty(tiles * ROWS, np.int64)
    origin = 0 if copied else (top * sy * nx + left * sx) * nf
    goal = (((batch * oz + z) * oy + top) * ox + left) * outputs
    for place in range(tiles * ROWS):
        pixel = min(place, pixels - 1)  # the last tile is filled with its last pixel
        down, across = pixel // columns, pixel % columns
        sources[place] = origin + down * sy * line + across * sx * pitch
        targets[place] = goal + (down * ox + across) * outputs
    start = buffer.ctypes.data if copied else x[batch].ctypes.data
    _multiply(start, sources, runs, count, kx * nf, panels, bias, slope, extra, y, targets, column, buffer)


@nb.njit(**JIT)
def _multiply(
    start: int, sources: Any, runs: Any, count: int, length: int, panels: Any, bias: Any, slope: float,
    extra: Any, y: Any, targets: Any, column: int, buffer: Any,
) -> None:  # fmt: skip
    outputs = y.shape[4]
    spare = buffer[buffer.size - ROWS * WIDTH :]
    spots = np.arange(ROWS) * WIDTH
    more = extra.ctypes.data if extra.size else 0
    flat, added = y.reshape(-1), extra.reshape(-1)
    for panel in range(panels.shape[0]):
        first = column + panel * WIDTH
        width = min(WIDTH, outputs - first)
        whole = width in (LANES, WIDTH)
        weights, offset = panels[panel].ctypes.data, bias[panel * WIDTH :].ctypes.data
        goal = y.ctypes.data + 4 * first if whole else spare.ctypes.data
        other = more + 4 * first if more and whole else 0
        for tile in range(0, sources.size, ROWS):
            at, to = sources[tile:].ctypes.data, targets[tile:].ctypes.data
            if not whole:
                to = spots.ctypes.data
            if count == 0:
                _constant(
                    flat, targets[tile : tile + ROWS] + first, bias[panel * WIDTH :], width, slope, added
                )
                continue
            if width > LANES:
                tile_wide(start, at, runs.ctypes.data, count, length, weights, offset, slope, goal, to, other)
            else:
                tile_narrow(
                    start, at, runs.ctypes.data, count, length, weights, offset, slope, goal, to, other
                )
            if not whole:
                _spread(spare, flat, targets[tile : tile + ROWS], first, width, added)


@nb.njit(**JIT)
def _spread(spare: Any, y: Any, targets: Any, first: int, width: int, extra: Any) -> None:
    """Put a tile of a panel that is not full where it belongs."""
    for m in range(ROWS):
        at = targets[m] + first
        source, target = spare[m * WIDTH : m * WIDTH + width], y[at : at + width]
        for f in range(width):
            target[f] = source[f]
        if extra.size:
            more = extra[at : at + width]
            for f in range(width):
                target[f] = source[f] + more[f]


@nb.njit(**JIT)
def _constant(y: Any, targets: Any, bias: Any, width: int, slope: float, extra: Any) -> None:
    """Pixels that see nothing but padding."""
    for m in range(ROWS):
        for f in range(width):
            value = max(bias[f], bias[f] * slope)
            at = targets[m] + f
            y[at] = value + extra[at] if extra.size else value


@nb.njit(**JIT)
def _copy_plane(plane: Any, buffer: Any, corner: Any, size: Any, geometry: Any, pitch: int) -> None:
    """What a band sees of one input plane, zeros beyond its edges, `pitch` floats from pixel to pixel."""
    ny, nx, nf, ky, kx = geometry[1], geometry[2], geometry[3], geometry[8], geometry[9]
    sy, sx, py, px = geometry[11], geometry[12], geometry[14], geometry[15]
    width = (size[1] - 1) * sx + kx
    left = corner[1] * sx - px
    skip, stop = max(0, -left), min(width, nx - left)
    for row in range((size[0] - 1) * sy + ky):
        line = buffer[row * width * pitch : (row + 1) * width * pitch]
        y = corner[0] * sy - py + row
        if y < 0 or y >= ny or stop <= skip:
            line[:] = 0.0
            continue
        if pitch != nf:
            for pixel in range(width):
                to = line[pixel * pitch : pixel * pitch + nf]
                if skip <= pixel < stop:
                    given = plane[y, left + pixel]
                    for i in range(nf):
                        to[i] = given[i]
                else:
                    to[:] = 0.0
            continue
        line[: skip * nf] = 0.0
        line[stop * nf :] = 0.0
        source = plane[y].reshape(-1)[(left + skip) * nf : (left + stop) * nf]
        target = line[skip * nf : stop * nf]
        for i in range(source.size):
            target[i] = source[i]

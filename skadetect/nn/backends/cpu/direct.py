"""Convolution as a direct sum: tiles of pixels times panels of filters, in bands that fit the second cache.

Where a filter reaches over the edge along y or x, a band's input is copied into a buffer with its zeros, so
that the sums need no tests; along z the runs of planes outside are left out. All else is read in place.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numba as nb
import numpy as np

from skadetect import arena
from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array, Axes
from skadetect.nn.backends.cpu.filters import FilterCache, pack, padded
from skadetect.nn.backends.cpu.tile import LANES, ROWS, WIDTH, tile

#: Input of a band, and filters that stay in the second cache beside it, in bytes.
BAND_BYTES, KEPT_BYTES = 512 * 1024, 384 * 1024
#: Floats a multiple of which from pixel to pixel would put the pixels of a tile into one set of the cache.
SET = 1024
_CACHE = FilterCache()


class Geometry(NamedTuple):
    """Extents of input, output and filters, stride, zeros before the input, floats between output pixels."""

    nz: int
    ny: int
    nx: int
    nf: int
    oz: int
    oy: int
    ox: int
    of: int
    kz: int
    ky: int
    kx: int
    sz: int
    sy: int
    sx: int
    pz: int
    py: int
    px: int
    by_sample: int
    by_z: int
    by_y: int
    by_x: int


class Layout(NamedTuple):
    """How the work is cut: a band's rows and columns of output pixels, panels of a unit of work.

    And the floats from pixel to pixel of a copied band (0: read in place), and whether the second cache keeps
    all filters.
    """

    down: int
    across: int
    panels: int
    pitch: int
    kept: bool


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
    sizes = [(x.shape[1 + a] + 2 * padding[a] - filters.shape[a]) // stride[a] + 1 for a in range(3)]
    y = arena.empty((x.shape[0], *sizes, filters.shape[4]))
    conv_into(x, filters, bias, y, stride=stride, before=padding, slope=slope, residual=residual)
    return y


def conv_into(
    x: Array,
    filters: Array,
    bias: Array | None,
    y: Array,
    *,
    stride: Axes,
    before: Axes,
    slope: float = 1.0,
    residual: Array | None = None,
) -> None:
    """Convolve into `y` (batch, z, y, x, outputs), which may be a view with steps along the first four axes.

    Output pixel p sees the input from p * stride - before on; what lies outside is zero. A residual has the
    layout of `y`, and the slope is at most one.
    """
    x, y, residual = _as_one_line(np.ascontiguousarray(x), y, residual, filters.shape[:3], stride, before)
    panels = _CACHE.get(filters, "direct", _panels)
    extra = None if residual is None else np.ascontiguousarray(residual)
    steps = [n // 4 for n in y.strides[:4]]
    geometry = Geometry._make((*x.shape[1:], *y.shape[1:], *filters.shape[:3], *stride, *before, *steps))
    threads = nb.get_num_threads()
    layout, scratch = _layout(x.shape[0], geometry, threads)
    buffers = arena.empty((threads, scratch))
    goal = (y.ctypes.data, 0 if extra is None else extra.ctypes.data)
    _convolve(x, panels, padded(bias, geometry.of), np.float32(slope), goal, geometry, layout, buffers)


def _as_one_line(
    x: Array, y: Array, residual: Array | None, extent: Axes, stride: Axes, before: Axes
) -> tuple[Array, Array, Array | None]:
    """Pixels of a convolution that sees no neighbours in one line, which can be cut into whole tiles."""
    if (extent, stride, before) != ((1, 1, 1), (1, 1, 1), (0, 0, 0)) or not y.flags.c_contiguous:
        return x, y, residual
    extra = None if residual is None else residual.reshape(1, 1, 1, -1, y.shape[4])
    return x.reshape(1, 1, 1, -1, x.shape[4]), y.reshape(1, 1, 1, -1, y.shape[4]), extra


def _panels(filters: Array) -> Array:
    return pack(filters.reshape(1, -1, filters.shape[4]))[0]


@lru_cache(maxsize=1024)
def _layout(batch: int, g: Geometry, threads: int) -> tuple[Layout, int]:
    """And the floats of a thread's buffer."""
    spread = LANES if (g.nf * g.sx) % SET == 0 else 0
    copied = g.py > 0 or g.px > 0 or spread > 0 or not inside(g)
    panels, columns = -(-g.of // WIDTH), g.kz * g.ky * g.kx * g.nf
    kept = 4 * panels * WIDTH * columns <= KEPT_BYTES
    per_pixel = 4 * (g.nf * g.sy * g.sx * (g.kz if copied else 1) + (g.of if kept else 0))
    most = max(2 * ROWS, BAND_BYTES // per_pixel)
    across = g.ox if g.ox <= most else _whole_tiles(g.ox, -(-g.ox // most))
    down = _lines(g.oy, across, most)
    bands = batch * g.oz * -(-g.oy // down) * -(-g.ox // across)
    wanted = 4 * threads
    if bands < wanted:  # smaller bands first, then fewer panels each
        down = max(1, min(down, max(-(-4 * ROWS // across), down * bands // wanted)))
        if down == 1:
            pieces = -(-wanted // (batch * g.oz * g.oy))
            across = min(across, max(4 * ROWS, _whole_tiles(g.ox, pieces)))
        bands = batch * g.oz * -(-g.oy // down) * -(-g.ox // across)
    share = panels if bands >= wanted else -(-panels // min(panels, -(-wanted // bands)))
    pitch = g.nf + spread if copied else 0
    room = g.kz * ((down - 1) * g.sy + g.ky) * ((across - 1) * g.sx + g.kx) * pitch
    return Layout(down, across, share, pitch, kept), room


def _whole_tiles(pixels: int, parts: int) -> int:
    """Pixels of one of so many parts, or a few more for tiles that are all full."""
    return -(-pixels // (parts * ROWS)) * ROWS


def _lines(count: int, across: int, most: int) -> int:
    """Lines of a band of about so many pixels that leave the fewest places of tiles empty."""
    high = max(1, min(count, most * 5 // 4 // across))

    def tiles(down: int) -> int:
        whole, rest = divmod(count, down)
        return whole * -(-down * across // ROWS) + -(-rest * across // ROWS)

    return min(range(high, high // 2, -1), key=tiles)


def inside(g: Geometry) -> bool:
    """Whether no window reaches over an edge along y or x."""
    return (g.oy - 1) * g.sy + g.ky - g.py <= g.ny and (g.ox - 1) * g.sx + g.kx - g.px <= g.nx


@nb.njit(**PARALLEL)
def _convolve(
    x: Any, panels: Any, bias: Any, slope: float, goal: Any, g: Any, layout: Any, buffers: Any
) -> None:
    bands = (g.oy + layout.down - 1) // layout.down
    segments = (g.ox + layout.across - 1) // layout.across
    shares = (panels.shape[0] + layout.panels - 1) // layout.panels
    for unit in nb.prange(x.shape[0] * g.oz * bands * segments * shares):
        part, place = unit % shares, unit // shares
        segment, place = place % segments, place // segments
        band, place = place % bands, place // bands
        corner = (place // g.oz, place % g.oz, band * layout.down, segment * layout.across)
        size = (min(layout.down, g.oy - corner[2]), min(layout.across, g.ox - corner[3]))
        first = part * layout.panels
        share = panels[first : first + layout.panels]
        _band(
            x, share, bias, slope, goal, g, corner, size, first * WIDTH, layout, buffers[nb.get_thread_id()]
        )


@nb.njit(**JIT)
def _band(
    x: Any, panels: Any, bias: Any, slope: float, goal: Any, g: Any, corner: Any, size: Any, column: int,
    layout: Any, buffer: Any,
) -> None:  # fmt: skip
    """Some panels' output features of a band of output pixels."""
    pitch = layout.pitch
    line = ((size[1] - 1) * g.sx + g.kx) * pitch if pitch else g.nx * g.nf
    plane = ((size[0] - 1) * g.sy + g.ky) * line if pitch else g.ny * line
    taps = 1 if pitch in (0, g.nf) else g.kx  # runs of a line of taps
    runs = np.zeros((g.kz * g.ky * taps, 2), np.int64)
    count = 0
    for tap in range(g.kz):
        depth = corner[1] * g.sz - g.pz + tap
        if 0 <= depth < g.nz:
            if pitch:
                copy_plane(x[corner[0], depth], buffer[tap * plane :], corner[2:], size, g, pitch, line)
            for row in range(g.ky):
                for part in range(taps):
                    runs[count, 0] = (tap if pitch else depth) * plane + row * line + part * pitch
                    runs[count, 1] = ((tap * g.ky + row) * g.kx + part) * g.nf
                    count += 1
    pixels = size[0] * size[1]
    places = (pixels + ROWS - 1) // ROWS * ROWS
    sources, targets = np.empty(places + ROWS, np.int64), np.empty(places + ROWS, np.int64)
    origin = 0 if pitch else ((corner[2] * g.sy - g.py) * g.nx + corner[3] * g.sx - g.px) * g.nf
    start = corner[0] * g.by_sample + corner[1] * g.by_z + corner[2] * g.by_y + corner[3] * g.by_x + column
    apart, place = g.sx * (pitch if pitch else g.nf), 0
    for down in range(size[0]):
        for across in range(size[1]):
            sources[place] = origin + down * g.sy * line + across * apart
            targets[place] = start + down * g.by_y + across * g.by_x
            place += 1
    # The last tile is filled up, and one more stands behind it.
    sources[pixels:], targets[pixels:] = sources[pixels - 1], targets[pixels - 1]
    nothing = np.zeros(1, np.float32)
    if count == 0:  # nothing but padding
        sources[:] = 0
        source = nothing.ctypes.data
    else:
        source = buffer.ctypes.data if pitch else x[corner[0]].ctypes.data
    length = g.kx * g.nf // taps if count else 1
    _multiply(
        source, sources, runs[: max(1, count)], length, panels, bias[column:], slope, goal, targets,
        g.of - column, ROWS if layout.kept else places, _side_by_side(g, size, panels.shape[0]),
    )  # fmt: skip


@nb.njit(**JIT)
def _side_by_side(g: Any, size: Any, panels: int) -> bool:
    """Whether a unit of work writes whole pixels, each just behind the one before."""
    lines = size[0] == 1 or (size[1] == g.ox and g.by_y == g.ox * g.of)
    return g.by_x == g.of and lines and panels * WIDTH >= g.of


@nb.njit(**JIT)
def _multiply(
    source: int, sources: Any, runs: Any, length: int, panels: Any, bias: Any, slope: float, goal: Any,
    targets: Any, columns: int, group: int, side_by_side: bool,
) -> None:  # fmt: skip
    """All tiles of a band times all panels; by addresses, since it takes time to count views of arrays.

    Vectors that are written in part take time too. Where all else that they would write is written later, the
    features of the pixels behind, they are written whole: the last panel comes first.
    """
    first_weights, size = panels.ctypes.data, 4 * panels.shape[1] * WIDTH
    offsets, at, to = bias.ctypes.data, sources.ctypes.data, targets.ctypes.data
    table, count = runs.ctypes.data, runs.shape[0]
    end = sources.size - ROWS
    for first in range(0, end, group):
        for turn in range(panels.shape[0]):
            panel = turn - 1 if turn else panels.shape[0] - 1
            column = 4 * panel * WIDTH
            width = min(WIDTH, columns - panel * WIDTH)
            vectors = -(-width // LANES) * LANES
            whole = vectors if side_by_side and vectors - width <= columns else width
            extra = goal[1] + column if goal[1] else 0
            for place in range(first, min(first + group, end), ROWS):
                tile(
                    source, at + 8 * place, table, count, length, first_weights + panel * size,
                    offsets + column, slope, goal[0] + column, to + 8 * place, extra,
                    whole if place + ROWS < end else width,
                )  # fmt: skip


@nb.njit(**JIT)
def copy_plane(plane: Any, buffer: Any, corner: Any, size: Any, g: Any, pitch: int, apart: int) -> None:
    """What a band sees of one input plane, zeros beyond its edges.

    There are `pitch` floats from pixel to pixel, `apart` from line to line.
    """
    width = (size[1] - 1) * g.sx + g.kx
    left = corner[1] * g.sx - g.px
    skip, stop = min(width, max(0, -left)), max(0, min(width, g.nx - left))
    for row in range((size[0] - 1) * g.sy + g.ky):
        line = buffer[row * apart : row * apart + width * pitch]
        y = corner[0] * g.sy - g.py + row
        if y < 0 or y >= g.ny or stop <= skip:
            line[:] = 0.0
            continue
        line[: skip * pitch] = 0.0
        line[stop * pitch :] = 0.0
        source = plane[y].reshape(-1)[(left + skip) * g.nf : (left + stop) * g.nf]
        target = line[skip * pitch : stop * pitch]
        if pitch == g.nf:
            for i in range(source.size):
                target[i] = source[i]
            continue
        for pixel in range(stop - skip):
            given, goal = source[pixel * g.nf : (pixel + 1) * g.nf], target[pixel * pitch :]
            for i in range(g.nf):
                goal[i] = given[i]

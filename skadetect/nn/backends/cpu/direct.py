"""Convolution as a direct sum: tiles of pixels times panels of filters, in the bands of `bands`.

Taps outside of the input are left out, along z for a whole band, along y and x for pixels that see the same
ones.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from skadetect import arena
from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array, Axes
from skadetect.nn.backends.cpu.bands import Geometry, alike, copy_plane, cut
from skadetect.nn.backends.cpu.filters import FilterCache, pack, padded
from skadetect.nn.backends.cpu.tile import LANES, ROWS, WIDTH, tile

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
    layout, scratch = cut(x.shape[0], geometry, threads)
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
    return pack(filters.reshape(1, -1, filters.shape[4]), paired=filters.shape[3] % 2 == 0)[0]


@nb.njit(**PARALLEL)
def _convolve(
    x: Any, panels: Any, bias: Any, slope: float, goal: Any, g: Any, layout: Any, buffers: Any
) -> None:
    bands, segments, tiles = layout.bands, layout.segments, (g.ox + ROWS - 1) // ROWS
    shares = (panels.shape[0] + layout.panels - 1) // layout.panels
    for unit in nb.prange(x.shape[0] * g.oz * bands * segments * shares):
        part, place = unit % shares, unit // shares
        segment, place = place % segments, place // segments
        band, place = place % bands, place // bands
        top, left = band * g.oy // bands, segment * tiles // segments * ROWS
        bottom, right = (band + 1) * g.oy // bands, (segment + 1) * tiles // segments * ROWS
        corner, size = (place // g.oz, place % g.oz, top, left), (bottom - top, min(right, g.ox) - left)
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
    """Some panels' output features of a band of output pixels, those together that see the same taps."""
    copied = layout.copied
    line = ((size[1] - 1) * g.sx + g.kx if copied else g.nx) * g.nf
    plane = ((size[0] - 1) * g.sy + g.ky if copied else g.ny) * line
    depth = corner[1] * g.sz - g.pz
    below, above = max(0, -depth), min(g.kz, g.nz - depth)
    if copied:
        for tap in range(below, above):
            copy_plane(x[corner[0], depth + tap], buffer[tap * plane :], corner[2:], size, g, line)
        origin, source = 0, buffer.ctypes.data
    else:
        origin = depth * plane + ((corner[2] * g.sy - g.py) * g.nx + corner[3] * g.sx - g.px) * g.nf
        source = x[corner[0]].ctypes.data
    tables = _tables(g, size)
    start = corner[0] * g.by_sample + corner[1] * g.by_z + corner[2] * g.by_y + corner[3] * g.by_x + column
    whole = _side_by_side(g, size, panels.shape[0])
    down = 0
    while down < size[0]:
        lower, top, bottom = alike(corner[2], down, size[0], g.sy, g.py, g.ky, g.ny, copied)
        across = 0
        while across < size[1]:
            further, left, right = alike(corner[3], across, size[1], g.sx, g.px, g.kx, g.nx, copied)
            taps, part = (below, above, top, bottom, left, right), (down, lower, across, further)
            count, length = _runs(tables[0], g, taps, plane, line)
            pixels = _places(tables, g, part, origin, start, line)
            whole = whole and (lower - down) * (further - across) == size[0] * size[1]
            _multiply(
                source, tables, count, length, pixels, panels, bias[column:], slope, goal, g.of - column,
                layout.kept, whole, g.nf % 2 == 0,
            )  # fmt: skip
            across = further
        down = lower


@nb.njit(**JIT)
def _tables(g: Any, size: Any) -> Any:
    """Room for the runs of a part of a band, and for where each of its pixels is read and written."""
    places = size[0] * size[1] + 2 * ROWS
    return (
        np.zeros((g.kz * g.ky + 1, 2), np.int64),
        np.empty(places, np.int64),
        np.empty(places, np.int64),
    )


@nb.njit(**JIT)
def _runs(runs: Any, g: Any, taps: Any, plane: int, line: int) -> Any:
    """Write the runs of taps along x; their number and length."""
    below, above, top, bottom, left, right = taps
    count = 0
    for z in range(below, above):
        for y in range(top, bottom):
            runs[count, 0] = z * plane + y * line + left * g.nf
            runs[count, 1] = ((z * g.ky + y) * g.kx + left) * g.nf
            count += 1
    return count, (right - left) * g.nf


@nb.njit(**JIT)
def _places(tables: Any, g: Any, part: Any, origin: int, start: int, line: int) -> int:
    """Write where the pixels of a part of a band are read and written; their number."""
    down, lower, across, further = part
    _, sources, targets = tables
    place = 0
    for y in range(down, lower):
        for x in range(across, further):
            sources[place] = origin + y * g.sy * line + x * g.sx * g.nf
            targets[place] = start + y * g.by_y + x * g.by_x
            place += 1
    # The last tile is filled up, and one more stands behind it.
    end = (place + ROWS - 1) // ROWS * ROWS + ROWS
    sources[place:end], targets[place:end] = sources[place - 1], targets[place - 1]
    return place


@nb.njit(**JIT)
def _side_by_side(g: Any, size: Any, panels: int) -> bool:
    """Whether a unit of work writes whole pixels, each just behind the one before."""
    lines = size[0] == 1 or (size[1] == g.ox and g.by_y == g.ox * g.of)
    return g.by_x == g.of and lines and panels * WIDTH >= g.of


@nb.njit(**JIT)
def _multiply(
    source: int, tables: Any, count: int, length: int, pixels: int, panels: Any, bias: Any, slope: float,
    goal: Any, columns: int, kept: bool, side_by_side: bool, paired: bool,
) -> None:  # fmt: skip
    """All tiles of some pixels times all panels; by addresses, since it takes time to count views of arrays.

    Vectors that are written in part take time too. Where all else that they would write is written later, the
    features of the pixels behind, they are written whole: the last panel comes first.
    """
    first_weights, size = panels.ctypes.data, 4 * panels.shape[1] * WIDTH
    runs, sources, targets = tables
    nothing = np.zeros(2, np.float32)
    if count * length == 0:  # nothing but padding
        runs[0], sources[:] = 0, 0
        source, count, length = nothing.ctypes.data, 1, 2 if paired else 1
    table, offsets, at, to = runs.ctypes.data, bias.ctypes.data, sources.ctypes.data, targets.ctypes.data
    end = (pixels + ROWS - 1) // ROWS * ROWS
    group = ROWS if kept else end
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
                    whole if place + ROWS < end else width, paired,
                )  # fmt: skip

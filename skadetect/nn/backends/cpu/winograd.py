"""3 x 3 convolutions by Winograd's F(4 x 4, 3 x 3): a quarter of the products of the direct sum.

Tiles of 6 x 6 input pixels are transformed, multiplied with transformed filters at each of 36 points by BLAS,
and transformed back to 4 x 4 output pixels (Lavin & Gray 2016, CVPR, arXiv:1509.09308, section 4). Filters
that also extend along z sum their planes inside the product, so each plane is transformed once a filter row.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array
from skadetect.nn.backends.cpu import arena
from skadetect.nn.backends.cpu.filters import FilterCache, pack
from skadetect.nn.backends.cpu.points import to_pixels, to_points
from skadetect.nn.backends.cpu.tile import ROWS, WIDTH, tile_wide

#: Transformed input and output of a block of tiles stay in the second cache.
BLOCK_BYTES = 1 << 20
#: Transformed filters larger than this are shared by all threads, and so are blocks of tiles of this size.
SHARED_BYTES, LARGE_BYTES = 1 << 22, 1 << 24
POINTS = 36
_CACHE = FilterCache()
# Rows of the filter transform.
_G = np.array(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
     [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]], np.float32,
)  # fmt: skip


def conv_winograd(
    x: Array, filters: Array, bias: Array, *, slope: float = 1.0, residual: Array | None = None
) -> Array:
    """leaky(x * filters + bias) + residual at stride 1, with as many zeros around as keep the shape.

    Parameters
    ----------
    x : array, shape (batch, z, y, x, inputs), float32
        Input.
    filters : array, shape (kz, 3, 3, inputs, outputs), float32
        With odd kz.
    bias : array, shape (outputs,), float32
        Added before the activation.
    slope : float
        Of the leaky ReLU; 1 for none.
    residual : array, shape of the result, optional
        Added after the activation.

    Returns
    -------
    array, shape (batch, z, y, x, outputs), float32
        Equal to the direct sum within some 1e-6 of its largest value.
    """
    batch, depth, height, width, _ = x.shape
    outputs = filters.shape[-1]
    y = arena.empty((batch, depth, height, width, outputs))
    extra = np.empty((0, 0, 0, 0, 0), np.float32) if residual is None else np.ascontiguousarray(residual)
    panels = _CACHE.get(filters, "winograd", _panels)
    columns, room = panels.shape[2], panels.shape[1] * WIDTH
    tiles, shared = block_tiles(columns, room, panels.nbytes)
    across = -(-width // 4)
    segment = min(across, tiles)
    segments = -(-across // segment)
    units = batch * depth * -(-height // 4) * segments
    together = max(1, min(tiles // segment, units if shared else -(-units // nb.get_num_threads())))
    slots = -(-together * segment // ROWS) * ROWS
    layout = (segment, segments, together)
    rows = 12 * (4 * segment + 2) * x.shape[4] + 24 * segment * room
    work = arena.empty((1 if shared else nb.get_num_threads(), POINTS * slots * (columns + room)))
    lines = arena.empty((nb.get_num_threads(), rows))
    convolve = _convolve_shared if shared else _convolve
    convolve(np.ascontiguousarray(x), panels, bias, np.float32(slope), extra, y, layout, work, lines)
    return y


def block_tiles(columns: int, outputs: int, filter_bytes: int) -> tuple[int, bool]:
    """Tiles of a block, and whether all threads work on one block, so that large filters are read once."""
    shared = filter_bytes > SHARED_BYTES
    size = LARGE_BYTES if shared else BLOCK_BYTES
    return max(16, size // (4 * POINTS * (columns + outputs))), shared


def transform_filters(filters: Array) -> Array:
    """Filters (kz, 3, 3, inputs, outputs) at the 36 points, shape (36, kz * inputs, outputs), float32."""
    depth, _, _, inputs, outputs = filters.shape
    out = np.empty((POINTS, depth * inputs, outputs), np.float32)
    _transform_filters(filters, _G, out)
    return out


def _panels(filters: Array) -> Array:
    return pack(transform_filters(np.ascontiguousarray(filters)))


@nb.njit(**PARALLEL)
def _transform_filters(filters: Any, g: Any, out: Any) -> None:
    depth, _, _, inputs, outputs = filters.shape
    for row in nb.prange(depth * inputs):
        z, i = row // inputs, row % inputs
        for p in range(6):
            for q in range(6):
                line = out[p * 6 + q, row]
                line[:] = 0.0
                for a in range(3):
                    for b in range(3):
                        weight = g[p, a] * g[q, b]
                        if weight != 0.0:
                            source = filters[z, a, b, i]
                            for o in range(outputs):
                                line[o] += weight * source[o]


@nb.njit(**PARALLEL)
def _convolve(
    x: Any, panels: Any, bias: Any, slope: float, residual: Any, y: Any, layout: Any, work: Any, lines: Any
) -> None:
    """All blocks, each a thread's own; a unit is a segment of a band of four output rows."""
    units, together = _units(x, layout), layout[2]
    inputs, points, across = x.shape[4], panels.shape[0], panels.shape[1]
    for block in nb.prange((units + together - 1) // together):
        thread = nb.get_thread_id()
        seen, made = _split(work[thread], panels, layout)
        rows, sums = _split_lines(lines[thread], inputs, panels.shape[1] * WIDTH, layout)
        first, last = block * together, min(units, (block + 1) * together)
        for unit in range(first, last):
            _transform_input(x, seen, (unit - first) * layout[0], rows, unit, layout)
        for point in range(points):
            for panel in range(across):
                _products(seen[point], panels[point, panel], made[point], panel, (last - first) * layout[0])
        for unit in range(first, last):
            _transform_output(made, (unit - first) * layout[0], sums, bias, slope, residual, y, unit, layout)


@nb.njit(**PARALLEL)
def _convolve_shared(
    x: Any, panels: Any, bias: Any, slope: float, residual: Any, y: Any, layout: Any, work: Any, lines: Any
) -> None:
    """Block by block, all threads on one: they share its tiles, then its products, then its pixels."""
    units, together = _units(x, layout), layout[2]
    inputs, across = x.shape[4], panels.shape[1]
    seen, made = _split(work[0], panels, layout)
    for block in range((units + together - 1) // together):
        first, last = block * together, min(units, (block + 1) * together)
        for unit in nb.prange(first, last):
            rows, _ = _split_lines(lines[nb.get_thread_id()], inputs, across * WIDTH, layout)
            _transform_input(x, seen, (unit - first) * layout[0], rows, unit, layout)
        for part in nb.prange(panels.shape[0] * across):
            point, panel = part // across, part % across
            _products(seen[point], panels[point, panel], made[point], panel, (last - first) * layout[0])
        for unit in nb.prange(first, last):
            _, sums = _split_lines(lines[nb.get_thread_id()], inputs, across * WIDTH, layout)
            _transform_output(made, (unit - first) * layout[0], sums, bias, slope, residual, y, unit, layout)


@nb.njit(**JIT)
def _units(x: Any, layout: Any) -> int:
    return int(x.shape[0] * x.shape[1] * ((x.shape[2] + 3) // 4) * layout[1])


@nb.njit(**JIT)
def _split(work: Any, panels: Any, layout: Any) -> Any:
    """Room for a block's transformed input and output: (points, tiles, features)."""
    points, across, columns = panels.shape[0], panels.shape[1], panels.shape[2]
    slots = (layout[0] * layout[2] + ROWS - 1) // ROWS * ROWS
    room = points * slots * columns
    seen = work[:room].reshape(points, slots, columns)
    return seen, work[room : room + points * slots * across * WIDTH].reshape(points, slots, across * WIDTH)


@nb.njit(**JIT)
def _split_lines(lines: Any, inputs: int, outputs: int, layout: Any) -> Any:
    """Room for the rows of a unit half transformed."""
    length = (4 * layout[0] + 2) * inputs
    rows = lines[: 12 * length].reshape(2, 6, length)
    return rows, lines[12 * length : 12 * length + 24 * layout[0] * outputs].reshape(
        4, 6, layout[0] * outputs
    )


@nb.njit(**JIT)
def _products(seen: Any, filters: Any, made: Any, panel: int, count: int) -> None:
    """One panel of output features at one point, for all tiles of a block."""
    rows, outs = np.empty(ROWS, np.int64), np.arange(ROWS) * made.shape[1]
    run, zeros = np.zeros(2, np.int64), np.zeros(WIDTH, np.float32)
    columns = seen.shape[1]
    for first in range(0, count, ROWS):
        for m in range(ROWS):
            rows[m] = min(m, count - 1 - first) * columns
        goal = made[first].ctypes.data + 4 * WIDTH * panel
        tile_wide(
            seen[first].ctypes.data, rows.ctypes.data, run.ctypes.data, 1, columns, filters.ctypes.data,
            zeros.ctypes.data, np.float32(1), goal, outs.ctypes.data, 0,
        )  # fmt: skip


@nb.njit(**JIT)
def _place(unit: int, depth: int, height: int, layout: Any) -> Any:
    """Sample, plane, first output row and first tile of a unit."""
    bands = (height + 3) // 4
    band, part = unit // layout[1], unit % layout[1]
    plane = band // bands
    return plane // depth, plane % depth, (band % bands) * 4, part * layout[0]


@nb.njit(**JIT)
def _transform_input(x: Any, seen: Any, slot: int, rows: Any, unit: int, layout: Any) -> None:
    """Six input rows of a unit to points: along y into `rows`, then along x into `seen`."""
    _, depth, height, width, inputs = x.shape
    sample, z, y, tile = _place(unit, depth, height, layout)
    planes = seen.shape[2] // inputs
    tiles = min(layout[0], (width + 3) // 4 - tile)
    left = 4 * tile - 1
    begin, end = max(0, -left), min(4 * tiles + 2, width - left)
    sources = np.empty(6, np.int64)
    blank, work = rows[1, 0], rows[0]
    for tap in range(planes):
        plane = z + tap - planes // 2
        if plane < 0 or plane >= depth:
            seen[:, slot : slot + tiles, tap * inputs : (tap + 1) * inputs] = 0.0
            continue
        blank[:] = 0.0
        work[:, : begin * inputs] = 0.0
        work[:, end * inputs : (4 * tiles + 2) * inputs] = 0.0
        for i in range(6):
            line = y + i - 1
            if 0 <= line < height:
                sources[i] = x[sample, plane, line, left + begin :].ctypes.data
            else:
                sources[i] = blank.ctypes.data
        goal = work.ctypes.data + 4 * begin * inputs
        to_points(sources.ctypes.data, goal, work.shape[1], (end - begin) * inputs)
        apart = seen.shape[1] * seen.shape[2]
        for i in range(6):
            for t in range(tiles):
                for k in range(6):
                    sources[k] = work.ctypes.data + 4 * (i * work.shape[1] + (4 * t + k) * inputs)
                spot = ((6 * i * seen.shape[1]) + slot + t) * seen.shape[2] + tap * inputs
                to_points(sources.ctypes.data, seen.ctypes.data + 4 * spot, apart, inputs)


@nb.njit(**JIT)
def _transform_output(
    made: Any, slot: int, lines: Any, bias: Any, slope: float, residual: Any, y: Any, unit: int, layout: Any
) -> None:
    """Points of a unit to its output rows: along y into `lines`, then along x, with bias and activation."""
    _, depth, height, width, outputs = y.shape
    sample, z, first, tile = _place(unit, depth, height, layout)
    tiles = min(layout[0], (width + 3) // 4 - tile)
    room, line = made.shape[2], lines.shape[2]
    point = made.shape[1] * room
    more = residual.ctypes.data if residual.size else 0
    spare = np.empty((8, outputs), np.float32)
    for q in range(6):
        source = made.ctypes.data + 4 * (q * point + slot * room)
        goal = lines.ctypes.data + 4 * q * line
        to_pixels(source, 6 * point, goal, 6 * line, tiles * room, 0, slope, 0)
    for i in range(min(4, height - first)):
        row = (((sample * depth + z) * height + first + i) * width + 4 * tile) * outputs
        for t in range(tiles):
            source = lines.ctypes.data + 4 * (6 * i * line + t * room)
            here = row + 4 * t * outputs
            goal, extra = y.ctypes.data + 4 * here, more + 4 * here if more else 0
            x = 4 * (tile + t)
            if x + 4 > width:
                goal = spare.ctypes.data
                if more:
                    spare[4 : 4 + width - x] = residual[sample, z, first + i, x:width]
                    extra = spare[4:].ctypes.data
            to_pixels(source, line, goal, outputs, outputs, bias.ctypes.data, slope, extra)
            if x + 4 > width:
                y[sample, z, first + i, x:width] = spare[: width - x]

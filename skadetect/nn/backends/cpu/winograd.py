"""3 x 3 convolutions by Winograd's F(4 x 4, 3 x 3): a quarter of the products of the direct sum.

Tiles of 6 x 6 input pixels are transformed, multiplied with transformed filters at each of 36 points, and
transformed back to 4 x 4 output pixels (Lavin & Gray 2016, CVPR, arXiv:1509.09308, section 4). Filters that
also extend along z sum their planes inside the product, so each plane is transformed once a filter row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np

from skadetect import arena
from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array
from skadetect.nn.backends.cpu.filters import FilterCache, pack
from skadetect.nn.backends.cpu.points import to_pixels, to_points, to_points_along
from skadetect.nn.backends.cpu.tile import HALF, LANES, ROWS, WIDTH, tile

#: Transformed input and output of a block of tiles: about what the second cache holds.
BLOCK_BYTES = 3 << 19
#: Transformed filters larger than this are shared by all threads, and so are blocks of tiles of this size.
SHARED_BYTES, LARGE_BYTES = 1 << 22, 1 << 24
POINTS = 36
_CACHE = FilterCache()
#: G, which takes three taps to six points.
FROM_FILTERS = np.array(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
     [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]], np.float32,
)  # fmt: skip


class Layout(NamedTuple):
    """How the tiles are cut: tiles of a row, of a block and in all, and room for a block.

    For each tile `room` products a point, for each point `slots` tiles, for each line of a row half
    transformed `before` or `after` floats; odd sizes keep lines out of each other's places in the cache.
    """

    across: int
    block: int
    total: int
    room: int
    slots: int
    before: int
    after: int


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
    columns, room = panels.shape[2], -(-outputs // HALF) * HALF
    across = -(-width // 4)
    total = batch * depth * -(-height // 4) * across
    blocks, shared = _blocks(columns, room, panels.nbytes, total)
    block = -(-_groups(total) // blocks) * ROWS
    line = min(across, block)
    before, after = (4 * line + 2) * x.shape[4] + LANES, line * room + LANES
    slots = -(-block // ROWS) * ROWS + 1
    layout = Layout(across, block, total, room, slots, before, after)
    work = arena.empty((1 if shared else nb.get_num_threads(), POINTS * slots * (columns + room)))
    lines = arena.empty((nb.get_num_threads(), 7 * before + 24 * after))
    convolve = _convolve_shared if shared else _convolve
    convolve(np.ascontiguousarray(x), panels, bias, np.float32(slope), extra, y, layout, blocks, work, lines)
    return y


def _blocks(columns: int, outputs: int, filter_bytes: int, total: int) -> tuple[int, bool]:
    """How many blocks, as many for each thread; or all threads on each, to read large filters once."""
    shared, threads = filter_bytes > SHARED_BYTES, 1 if filter_bytes > SHARED_BYTES else nb.get_num_threads()
    size = LARGE_BYTES if shared else BLOCK_BYTES
    most = max(1, size // (4 * POINTS * (columns + outputs)) // ROWS)
    return -(-_groups(total) // (most * threads)) * threads, shared


def _groups(tiles: int) -> int:
    """Tiles in groups of a tile of products."""
    return -(-tiles // ROWS)


def transform_filters(filters: Array) -> Array:
    """Filters (kz, 3, 3, inputs, outputs) at the 36 points, shape (36, kz * inputs, outputs), float32."""
    depth, _, _, inputs, outputs = filters.shape
    out = np.empty((POINTS, depth * inputs, outputs), np.float32)
    _transform_filters(filters, FROM_FILTERS, out)
    return out


def _panels(filters: Array) -> Array:
    return pack(
        transform_filters(np.ascontiguousarray(filters)), paired=filters.shape[0] * filters.shape[3] % 2 == 0
    )


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
    x: Any, panels: Any, bias: Any, slope: float, residual: Any, y: Any, layout: Any, blocks: int, work: Any,
    lines: Any,
) -> None:  # fmt: skip
    """All blocks, each a thread's own; the part of a block in one row of tiles is transformed together."""
    parts, across = panels.shape[0] * panels.shape[1], layout.across
    for block in nb.prange(blocks):
        thread = nb.get_thread_id()
        seen, made = split(work[thread], POINTS, panels.shape[2], layout)
        rows, sums = _split_lines(lines[thread], layout)
        first, last = _ends(block, blocks, layout.total)
        if first == last:
            continue
        for row in range(first // across, (last - 1) // across + 1):
            transform_input(x, seen, rows, row, first, last, across)
        tables = tables_of(panels.shape[2], layout.room)
        for part in range(parts):
            products(seen, panels, made, tables, part, last - first)
        for row in range(first // across, (last - 1) // across + 1):
            _transform_output(made, sums, bias, slope, residual, y, row, first, last, across)


@nb.njit(**PARALLEL)
def _convolve_shared(
    x: Any, panels: Any, bias: Any, slope: float, residual: Any, y: Any, layout: Any, blocks: int, work: Any,
    lines: Any,
) -> None:  # fmt: skip
    """Block by block, all threads on one: they share its tiles, then its products, then its pixels."""
    parts, across = panels.shape[0] * panels.shape[1], layout.across
    tables = tables_of(panels.shape[2], layout.room)
    seen, made = split(work[0], POINTS, panels.shape[2], layout)
    for block in range(blocks):
        first, last = _ends(block, blocks, layout.total)
        for row in nb.prange(first // across, (last - 1) // across + 1):
            rows, _ = _split_lines(lines[nb.get_thread_id()], layout)
            transform_input(x, seen, rows, row, first, last, across)
        for part in nb.prange(parts):
            products(seen, panels, made, tables, part, last - first)
        for row in nb.prange(first // across, (last - 1) // across + 1):
            _, sums = _split_lines(lines[nb.get_thread_id()], layout)
            _transform_output(made, sums, bias, slope, residual, y, row, first, last, across)


@nb.njit(**JIT)
def _ends(block: int, blocks: int, total: int) -> Any:
    """First tile of a block and of the next one; all are of as many groups, or one more."""
    groups = (total + ROWS - 1) // ROWS
    return min(total, block * groups // blocks * ROWS), min(total, (block + 1) * groups // blocks * ROWS)


@nb.njit(**JIT)
def split(work: Any, points: int, columns: int, layout: Any) -> Any:
    """Room for a block's transformed input and output: (points, tiles, features)."""
    slots, room = layout.slots, layout.room
    size = points * slots * columns
    seen = work[:size].reshape(points, slots, columns)
    return seen, work[size : size + points * slots * room].reshape(points, slots, room)


@nb.njit(**JIT)
def _split_lines(lines: Any, layout: Any) -> Any:
    """Room for the rows of a unit half transformed: seven before the products (one blank), 24 after."""
    size = 7 * layout.before
    rows = lines[:size].reshape(7, layout.before)
    return rows, lines[size : size + 24 * layout.after].reshape(4, 6, layout.after)


@nb.njit(**JIT)
def tables_of(columns: int, room: int) -> Any:
    """Where the rows of two tiles of products begin and end up, their run, and what their sums begin with."""
    return (
        np.arange(2 * ROWS) * columns,
        np.arange(2 * ROWS) * room,
        np.zeros(2, np.int64),
        np.zeros(WIDTH, np.float32),
    )


@nb.njit(**JIT)
def products(seen: Any, panels: Any, made: Any, tables: Any, part: int, count: int) -> None:
    """One panel of output features at one point, for all tiles of a block."""
    point, panel = part // panels.shape[1], part % panels.shape[1]
    rows, outs, run, zeros = tables
    columns, room = seen.shape[2], made.shape[2]
    width = min(WIDTH, room - panel * WIDTH)
    weights = panels.ctypes.data + 4 * part * columns * WIDTH
    source, goal = seen[point].ctypes.data, made[point].ctypes.data + 4 * panel * WIDTH
    for first in range(0, count, ROWS):
        tile(
            source + 4 * first * columns, rows.ctypes.data, run.ctypes.data, 1, columns, weights,
            zeros.ctypes.data, np.float32(1), goal + 4 * first * room, outs.ctypes.data, 0, width,
            columns % 2 == 0,
        )  # fmt: skip


@nb.njit(**JIT)
def place_row(row: int, depth: int, height: int, first: int, last: int, across: int) -> Any:
    """Sample, plane and line of pixels of a row of tiles; first and number of its tiles, and first slot."""
    bands = (height + 3) // 4
    plane, begin = row // bands, max(first, row * across)
    end = min(last, (row + 1) * across)
    return plane // depth, plane % depth, (row % bands) * 4, begin - row * across, end - begin, begin - first


@nb.njit(**JIT)
def transform_input(x: Any, seen: Any, rows: Any, row: int, first: int, last: int, across: int) -> None:
    """Six input lines of a row of tiles to points: along y into `rows`, then along x into `seen`."""
    _, depth, height, width, inputs = x.shape
    sample, z, y, left, tiles, slot = place_row(row, depth, height, first, last, across)
    planes = seen.shape[2] // inputs
    left = 4 * left - 1
    begin, end = max(0, -left), min(4 * tiles + 2, width - left)
    sources = np.empty(6, np.int64)
    blank, work = rows[6], rows[:6]
    for tap in range(planes):
        plane = z + tap - planes // 2
        if plane < 0 or plane >= depth:
            seen[:, slot : slot + tiles, tap * inputs : (tap + 1) * inputs] = 0.0
            continue
        work[:, : begin * inputs] = 0.0
        work[:, end * inputs : (4 * tiles + 2) * inputs] = 0.0
        for i in range(6):
            line = y + i - 1
            if 0 <= line < height:
                sources[i] = x[sample, plane, line, left + begin :].ctypes.data
            else:
                blank[:] = 0.0
                sources[i] = blank.ctypes.data
        goal = work.ctypes.data + 4 * begin * inputs
        to_points(sources.ctypes.data, goal, work.shape[1], (end - begin) * inputs)
        apart = seen.shape[1] * seen.shape[2]
        for i in range(6):
            source = work.ctypes.data + 4 * i * work.shape[1]
            goal = seen.ctypes.data + 4 * (((6 * i * seen.shape[1]) + slot) * seen.shape[2] + tap * inputs)
            for t in range(tiles):
                to_points_along(source + 16 * t * inputs, inputs, goal + 4 * t * seen.shape[2], apart, inputs)


@nb.njit(**JIT)
def _transform_output(
    made: Any, lines: Any, bias: Any, slope: float, residual: Any, y: Any, row: int, first: int, last: int,
    across: int,
) -> None:  # fmt: skip
    """Points of a row of tiles to pixels: along y into `lines`, then along x, with bias and activation."""
    _, depth, height, width, outputs = y.shape
    sample, z, top, left, tiles, slot = place_row(row, depth, height, first, last, across)
    room, line = made.shape[2], lines.shape[2]
    point = made.shape[1] * room
    more = residual.ctypes.data if residual.size else 0
    spare = np.empty((8, outputs), np.float32)
    for q in range(6):
        source = made.ctypes.data + 4 * (q * point + slot * room)
        goal = lines.ctypes.data + 4 * q * line
        to_pixels(source, 6 * point, goal, 6 * line, tiles * room, 0, slope, 0)
    for i in range(min(4, height - top)):
        start = (((sample * depth + z) * height + top + i) * width + 4 * left) * outputs
        for t in range(tiles):
            source = lines.ctypes.data + 4 * (6 * i * line + t * room)
            here = start + 4 * t * outputs
            goal, extra = y.ctypes.data + 4 * here, more + 4 * here if more else 0
            x = 4 * (left + t)
            if x + 4 > width:
                goal = spare.ctypes.data
                if more:
                    spare[4 : 4 + width - x] = residual[sample, z, top + i, x:width]
                    extra = spare[4:].ctypes.data
            to_pixels(source, line, goal, outputs, outputs, bias.ctypes.data, slope, extra)
            if x + 4 > width:
                y[sample, z, top + i, x:width] = spare[: width - x]

"""The gradient of 3 x 3 filters by Winograd's F(4 x 4, 3 x 3): a quarter of the products of the direct sum.

With y = A^T [(G w G^T) (B^T x B)] A of one tile, the filters' gradient is G^T S G, where S sums over all
tiles the products of (B^T x B) and (A dy A^T), point by point. The tiles are those of `winograd`.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from skadetect import arena
from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array
from skadetect.nn.backends.cpu.gradient import add_products
from skadetect.nn.backends.cpu.points import slopes_to_points, slopes_to_points_along
from skadetect.nn.backends.cpu.tile import HALF, LANES, ROWS
from skadetect.nn.backends.cpu.winograd import FROM_FILTERS, POINTS, Layout, place_row, split, transform_input

#: Transformed input and gradients of a block of tiles.
BLOCK_BYTES = 1 << 20
#: Partial sums, fixed, and what they may take together.
PARTS, PARTS_BYTES = 16, 64 << 20


def filter_gradient_winograd(x: Array, depth: int, grad: Array) -> tuple[Array, Array]:
    """Gradients of filters (depth, 3, 3, inputs, outputs) and bias of a convolution that keeps the shape.

    Parameters
    ----------
    x, grad : arrays, shape (batch, z, y, x, features), float32
        Input of the convolution and gradient of its output.
    depth : int
        Odd extent of the filters along z.
    """
    x, grad = np.ascontiguousarray(x), np.ascontiguousarray(grad)
    inputs, outputs = x.shape[4], grad.shape[4]
    columns, room = depth * inputs, -(-outputs // HALF) * HALF
    layout = _layout(x.shape, columns, room)
    blocks = -(-layout.total // layout.block)
    parts = max(1, min(PARTS, blocks, PARTS_BYTES // (4 * POINTS * columns * room)))
    sums = arena.empty((parts, POINTS, columns + ROWS, room))
    biases = np.zeros((parts, outputs))
    work = arena.empty((nb.get_num_threads(), POINTS * layout.slots * (columns + room)))
    lines = arena.empty((nb.get_num_threads(), 7 * layout.before + 7 * layout.after))
    _sum_blocks(x, grad, sums, biases, layout, work, lines)
    filters = np.empty((depth, 3, 3, inputs, outputs), np.float32)
    _to_filters(sums, FROM_FILTERS, filters.reshape(depth, 9, inputs, outputs))
    return filters, biases.sum(axis=0).astype(np.float32)


def _layout(shape: tuple[int, ...], columns: int, room: int) -> Layout:
    batch, depth, height, width, inputs = shape
    across = -(-width // 4)
    total = batch * depth * -(-height // 4) * across
    block = min(total, max(ROWS, BLOCK_BYTES // (4 * POINTS * (columns + room))))
    line = min(across, block)
    before, after = (4 * line + 2) * inputs + LANES, 4 * line * room + LANES
    return Layout(across, block, total, room, block + 1, before, after)


@nb.njit(**PARALLEL)
def _sum_blocks(x: Any, grad: Any, sums: Any, biases: Any, layout: Any, work: Any, lines: Any) -> None:
    across, parts = layout.across, sums.shape[0]
    columns = sums.shape[2] - ROWS
    blocks = (layout.total + layout.block - 1) // layout.block
    for part in nb.prange(parts):
        thread = nb.get_thread_id()
        seen, slopes = split(work[thread], sums.shape[1], columns, layout)
        rows = lines[thread, : 7 * layout.before].reshape(7, layout.before)
        bands = lines[thread, 7 * layout.before :].reshape(7, layout.after)
        taps, runs = np.arange(columns), np.zeros((1, 2), np.int64)
        slopes[:] = 0.0
        sums[part] = 0.0
        for block in range(part, blocks, parts):
            first, last = block * layout.block, min(layout.total, (block + 1) * layout.block)
            for row in range(first // across, (last - 1) // across + 1):
                transform_input(x, seen, rows, row, first, last, across)
                _transform_slopes(grad, slopes, bands, biases[part], row, first, last, across)
            for point in range(sums.shape[1]):
                add_products(
                    seen[point].ctypes.data, taps, 0, columns, columns, runs, last - first,
                    slopes[point].ctypes.data, layout.room, sums[part, point],
                )  # fmt: skip


@nb.njit(**JIT)
def _transform_slopes(
    grad: Any, slopes: Any, rows: Any, bias: Any, row: int, first: int, last: int, across: int
) -> None:
    """Four lines of gradients of a row of tiles to points: along y into `rows`, then along x."""
    _, depth, height, width, outputs = grad.shape
    sample, z, y, left, tiles, slot = place_row(row, depth, height, first, last, across)
    end = min(4 * tiles, width - 4 * left)
    blank, work = rows[6], rows[:6]
    sources = np.empty(4, np.int64)
    for i in range(4):
        if y + i < height:
            line = grad[sample, z, y + i, 4 * left : 4 * left + end]
            for pixel in range(end):
                for f in range(outputs):
                    bias[f] += line[pixel, f]
            sources[i] = line.ctypes.data
        else:
            blank[:] = 0.0
            sources[i] = blank.ctypes.data
    work[:, end * outputs : 4 * tiles * outputs] = 0.0
    slopes_to_points(sources.ctypes.data, work.ctypes.data, work.shape[1], end * outputs)
    room, apart = slopes.shape[2], slopes.shape[1] * slopes.shape[2]
    for i in range(6):
        source = work.ctypes.data + 4 * i * work.shape[1]
        goal = slopes.ctypes.data + 4 * (6 * i * apart + slot * room)
        for t in range(tiles):
            slopes_to_points_along(source + 16 * t * outputs, outputs, goal + 4 * t * room, apart, outputs)


@nb.njit(**PARALLEL)
def _to_filters(sums: Any, g: Any, filters: Any) -> None:
    """G^T S G of the sum of all parts."""
    depth, _, inputs, outputs = filters.shape
    for row in nb.prange(depth * inputs):
        z, i = row // inputs, row % inputs
        filters[z, :, i] = 0.0
        line = np.empty(outputs, np.float32)
        for point in range(sums.shape[1]):
            for f in range(outputs):
                line[f] = sums[0, point, row, f]
            for part in range(1, sums.shape[0]):
                for f in range(outputs):
                    line[f] += sums[part, point, row, f]
            for tap in range(9):
                weight = g[point // 6, tap // 3] * g[point % 6, tap % 3]
                if weight != 0.0:
                    for f in range(outputs):
                        filters[z, tap, i, f] += weight * line[f]

"""Filters along z by Winograd's F(4, 3) and F(4, 5): six products instead of twelve, eight instead of twenty.

Six or eight input planes are taken to as many points pixel by pixel, multiplied with transformed filters
there, and taken back to four output planes. All pixels of a plane lie side by side, so nothing is gathered.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np

from skadetect import arena
from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array
from skadetect.nn.backends.cpu.filters import FilterCache, pack
from skadetect.nn.backends.cpu.points import to_pixels, to_pixels_of_five, to_points, to_points_of_five
from skadetect.nn.backends.cpu.tile import HALF, ROWS
from skadetect.nn.backends.cpu.winograd import FROM_FILTERS, products, tables_of

#: Transformed input and output of a block of pixels: what the second cache holds beside the filters.
BLOCK_BYTES = 5 << 17
#: Output planes that are made together.
PLANES = 4
_CACHE = FilterCache()
#: G, which takes five taps to eight points.
FROM_FIVE = np.array(
    [[1, 0, 0, 0, 0]]
    + [[s * p**k for k in range(5)] for p, s in ((1, -2 / 9), (-1, -2 / 9), (2, 1 / 90), (-2, 1 / 90))]
    + [[32 / 45 * p**k for k in range(5)] for p in (0.5, -0.5)]
    + [[0, 0, 0, 0, 1]]
)


class Layout(NamedTuple):
    """Points, pixels of a plane and of a block, blocks of a plane; room for pixels and their outputs."""

    points: int
    pixels: int
    block: int
    across: int
    slots: int
    room: int


def conv_winograd_z(
    x: Array, filters: Array, bias: Array, *, slope: float = 1.0, residual: Array | None = None
) -> Array:
    """leaky(x * filters + bias) + residual at stride 1, with as many zeros around as keep the shape.

    Parameters
    ----------
    x : array, shape (batch, z, y, x, inputs), float32
        Input.
    filters : array, shape (3 or 5, 1, 1, inputs, outputs), float32
        Filters.
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
    batch, depth, height, width, inputs = x.shape
    outputs = filters.shape[4]
    y = arena.empty((batch, depth, height, width, outputs))
    panels = _CACHE.get(filters, "winograd_z", _panels)
    layout = _layout(panels.shape[0], height * width, inputs, outputs)
    work = arena.empty((nb.get_num_threads(), layout.points * layout.slots * (inputs + layout.room)))
    x = np.ascontiguousarray(x).reshape(batch, depth, -1)
    lines = y.reshape(batch, depth, -1)
    extra = lines if residual is None else np.ascontiguousarray(residual).reshape(lines.shape)
    _convolve(x, panels, bias, np.float32(slope), extra, residual is not None, lines, layout, work)
    return y


def transform_taps(filters: Array) -> Array:
    """Filters (taps, 1, 1, inputs, outputs) at the six or eight points, shape (points, inputs, outputs)."""
    matrix = FROM_FIVE if filters.shape[0] == 5 else FROM_FILTERS
    return np.einsum("pk,kio->pio", matrix, filters[:, 0, 0]).astype(np.float32)


def _panels(filters: Array) -> Array:
    return pack(transform_taps(filters), paired=filters.shape[3] % 2 == 0)


def _layout(points: int, pixels: int, inputs: int, outputs: int) -> Layout:
    room = -(-outputs // HALF) * HALF
    most = max(ROWS, BLOCK_BYTES // (4 * points * (inputs + room)))
    tiles = -(-pixels // (-(-pixels // most) * ROWS))
    block = tiles * ROWS
    return Layout(points, pixels, block, -(-pixels // block), block + 1, room)


@nb.njit(**PARALLEL)
def _convolve(
    x: Any, panels: Any, bias: Any, slope: float, extra: Any, add: bool, y: Any, layout: Any, work: Any
) -> None:
    """All blocks, each a thread's own: some pixels of four output planes."""
    depth, inputs = x.shape[1], panels.shape[2]
    layers = (depth + PLANES - 1) // PLANES
    for block in nb.prange(x.shape[0] * layers * layout.across):
        part, place = block % layout.across, block // layout.across
        sample, z = place // layers, place % layers * PLANES
        first = part * layout.block
        count = min(layout.block, layout.pixels - first)
        room = work[nb.get_thread_id()]
        points = layout.points
        size = points * layout.slots * inputs
        seen = room[:size].reshape(points, layout.slots, inputs)
        made = room[size:].reshape(points, layout.slots, layout.room)
        _transform_input(x[sample], seen, z, first, count)
        tables = tables_of(inputs, layout.room)
        for step in range(points * panels.shape[1]):
            products(seen, panels, made, tables, step, count)
        _transform_output(made, bias, slope, extra[sample], add, y[sample], z, first, count)


@nb.njit(**JIT)
def _transform_input(x: Any, seen: Any, z: int, first: int, count: int) -> None:
    """Some pixels of the input planes of a block to points."""
    points, slots, inputs = seen.shape
    sources, nothing = np.empty(points, np.int64), np.zeros(0, np.float32)
    for k in range(points):
        plane = z + k - (points - PLANES) // 2
        if 0 <= plane < x.shape[0]:
            sources[k] = x[plane, first * inputs :].ctypes.data
        else:
            nothing = np.zeros(count * inputs, np.float32) if nothing.size == 0 else nothing
            sources[k] = nothing.ctypes.data
    if points == 6:
        to_points(sources.ctypes.data, seen.ctypes.data, slots * inputs, count * inputs)
    else:
        to_points_of_five(sources.ctypes.data, seen.ctypes.data, slots * inputs, count * inputs)


@nb.njit(**JIT)
def _transform_output(
    made: Any, bias: Any, slope: float, extra: Any, add: bool, y: Any, z: int, first: int, count: int
) -> None:
    """Points of some pixels to four output planes, with bias and activation."""
    outputs, planes = bias.size, min(PLANES, y.shape[0] - z)
    spare = np.empty((2, PLANES, outputs), np.float32)
    for pixel in range(count):
        place = (first + pixel) * outputs
        goal, more, step = y[z, place:].ctypes.data, extra[z, place:].ctypes.data, y.shape[1]
        if planes < PLANES:
            spare[1, :planes] = extra[z : z + planes, place : place + outputs]
            goal, more, step = spare[0].ctypes.data, spare[1].ctypes.data, outputs
        _to_planes(made, pixel, goal, step, bias, slope, more if add else 0)
        if planes < PLANES:
            y[z : z + planes, place : place + outputs] = spare[0, :planes]


@nb.njit(**JIT)
def _to_planes(made: Any, pixel: int, goal: int, step: int, bias: Any, slope: float, extra: int) -> None:
    points, slots, room = made.shape
    source, offsets = made[0, pixel].ctypes.data, bias.ctypes.data
    if points == 6:
        to_pixels(source, slots * room, goal, step, bias.size, offsets, slope, extra)
    else:
        to_pixels_of_five(source, slots * room, goal, step, bias.size, offsets, slope, extra)

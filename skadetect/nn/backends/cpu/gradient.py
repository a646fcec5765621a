"""The gradient of a convolution's filters as a direct sum: tiles of taps times panels of output gradients.

A tap's value runs through the pixels of a band as its output gradient does, so the band's lines of pixels are
the runs of `tile`. Bands are shared out to a fixed number of partial sums, so that the result does not depend
on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from skadetect import arena
from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array, Axes
from skadetect.nn.backends.cpu.bands import Geometry, copy_plane, inside
from skadetect.nn.backends.cpu.tile import HALF, ROWS, WIDTH, tile_apart

#: Input and output gradient of a band, in bytes.
BAND_BYTES = 256 * 1024
#: Partial sums, and what they may take together.
PARTS, PARTS_BYTES = 16, 64 << 20


def filter_gradient(
    x: Array, filters: tuple[int, ...], grad: Array, *, stride: Axes, padding: Axes
) -> tuple[Array, Array]:
    """Gradients of filters of a shape (kz, ky, kx, inputs, outputs) and of the bias.

    Parameters
    ----------
    x, grad : arrays, shape (batch, z, y, x, features), float32
        Input of the convolution and gradient of its output.
    filters : tuple of int
        Shape of the filters.
    stride, padding : (z, y, x)
        Of the convolution.
    """
    x, grad = np.ascontiguousarray(x), np.ascontiguousarray(grad)
    g = Geometry._make((*x.shape[1:], *grad.shape[1:], *filters[:3], *stride, *padding, 0, 0, 0, 0))
    columns, room = g.kz * g.ky * g.kx * g.nf, -(-g.of // HALF) * HALF
    down, across, copied = _band_shape(g, room)
    bands = x.shape[0] * g.oz * -(-g.oy // down) * -(-g.ox // across)
    parts = max(1, min(PARTS, bands, PARTS_BYTES // (4 * columns * room)))
    line = ((across - 1) * g.sx + g.kx) * g.nf if copied else g.nx * g.nf
    plane = ((down - 1) * g.sy + g.ky) * line if copied else g.ny * line
    taps = _tap_offsets(g, line, plane)
    sums = arena.empty((parts, columns + ROWS, room))
    biases = np.zeros((parts, g.of))
    widths = arena.empty((nb.get_num_threads(), (g.kz * plane if copied else 0) + down * across * room))
    _sum_bands(x, grad, taps, sums, biases, g, (down, across, line, plane if copied else 0), widths)
    total = np.empty((columns, g.of), np.float32)
    add_parts(sums, total)
    return total.reshape(filters), biases.sum(axis=0).astype(np.float32)


def _band_shape(g: Geometry, room: int) -> tuple[int, int, bool]:
    """Lines and columns of a band's output pixels, and whether its input is copied."""
    copied = not inside(g)
    per_pixel = 4 * (room + g.nf * g.sy * g.sx * g.kz)
    most = max(2 * ROWS, BAND_BYTES // per_pixel)
    across = g.ox if g.ox <= most else -(-g.ox // -(-g.ox // most))
    return max(1, min(g.oy, most // across)), across, copied


def _tap_offsets(g: Geometry, line: int, plane: int) -> Array:
    """Where each tap and feature lies from the first of a pixel's neighbourhood, in floats."""
    z, y, x, i = np.ogrid[: g.kz, : g.ky, : g.kx, : g.nf]
    return (z * plane + y * line + x * g.nf + i).reshape(-1).astype(np.int64)


@nb.njit(**PARALLEL)
def add_parts(sums: Any, total: Any) -> None:
    """Sum partial sums (parts, rows, room) in their order."""
    for row in nb.prange(total.shape[0]):
        for f in range(total.shape[1]):
            total[row, f] = sums[0, row, f]
        for part in range(1, sums.shape[0]):
            for f in range(total.shape[1]):
                total[row, f] += sums[part, row, f]


@nb.njit(**PARALLEL)
def _sum_bands(x: Any, grad: Any, taps: Any, sums: Any, biases: Any, g: Any, band: Any, buffers: Any) -> None:
    down, across = band[0], band[1]
    lines, segments = (g.oy + down - 1) // down, (g.ox + across - 1) // across
    units, parts = x.shape[0] * g.oz * lines * segments, sums.shape[0]
    for part in nb.prange(parts):
        sums[part] = 0.0
        for unit in range(part, units, parts):
            segment, place = unit % segments, unit // segments
            row, place = place % lines, place // lines
            corner = (place // g.oz, place % g.oz, row * down, segment * across)
            size = (min(down, g.oy - corner[2]), min(across, g.ox - corner[3]))
            _sum_band(
                x, grad, taps, sums[part], biases[part], g, corner, size, band, buffers[nb.get_thread_id()]
            )


@nb.njit(**JIT)
def _sum_band(
    x: Any, grad: Any, taps: Any, sums: Any, bias: Any, g: Any, corner: Any, size: Any, band: Any, buffer: Any
) -> None:
    line, plane, room = band[2], band[3], sums.shape[1]
    depth = corner[1] * g.sz - g.pz
    low, high = max(0, -depth), min(g.kz, g.nz - depth)
    runs = np.empty((size[0], 2), np.int64)
    runs[:, 0] = np.arange(size[0]) * g.sy * line
    slopes = buffer[g.kz * plane :].reshape(-1, room)
    weights, pitch = _slopes(grad, slopes, bias, corner, size, runs)
    if plane:
        for tap in range(low, high):
            # A band narrower or lower than others leaves the buffer's lines and planes where they are.
            copy_plane(x[corner[0], depth + tap], buffer[tap * plane :], corner[2:], size, g, line)
        source = buffer.ctypes.data
    else:
        first = (depth * g.ny + corner[2] * g.sy - g.py) * g.nx + corner[3] * g.sx - g.px
        source = x[corner[0]].ctypes.data + 4 * first * g.nf
    each = g.ky * g.kx * g.nf
    add_products(source, taps, low * each, high * each, g.sx * g.nf, runs, size[1], weights, pitch, sums)


@nb.njit(**JIT)
def _slopes(grad: Any, slopes: Any, bias: Any, corner: Any, size: Any, runs: Any) -> Any:
    """Address and pitch of a band's output gradients, copied to whole halves of a vector if they are not."""
    features, room = grad.shape[4], slopes.shape[1]
    for row in range(size[0]):
        values = grad[corner[0], corner[1], corner[2] + row, corner[3] : corner[3] + size[1]]
        for pixel in range(size[1]):
            for f in range(features):
                bias[f] += values[pixel, f]
        runs[row, 1] = row * (grad.shape[3] if room == features else size[1])
        if room != features:
            for pixel in range(size[1]):
                goal = slopes[row * size[1] + pixel]
                goal[features:] = 0.0
                for f in range(features):
                    goal[f] = values[pixel, f]
    if room == features:
        return grad[corner[0], corner[1], corner[2], corner[3] :].ctypes.data, features
    return slopes.ctypes.data, room


@nb.njit(**JIT)
def add_products(
    source: int, taps: Any, first: int, last: int, step: int, runs: Any, length: int, weights: int,
    pitch: int, sums: Any,
) -> None:  # fmt: skip
    """Add to the sums of taps `first` to `last` the products of their values with rows of weights.

    Tap c's values begin at `source` + taps[c], `step` apart; the last `ROWS` rows of `sums` take what is
    computed twice.
    """
    rows, outs, zeros = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64), np.zeros(WIDTH, np.float32)
    room, spare = sums.shape[1], sums.shape[0] - ROWS
    goal = sums.ctypes.data
    for tap in range(first, last, ROWS):
        for m in range(ROWS):
            rows[m] = taps[min(tap + m, last - 1)]
            outs[m] = (tap + m if tap + m < last else spare + m) * room
        for column in range(0, room, WIDTH):
            at = goal + 4 * column
            tile_apart(
                source, rows.ctypes.data, step, runs.ctypes.data, runs.shape[0], length,
                weights + 4 * column, pitch, zeros.ctypes.data, np.float32(1), at, outs.ctypes.data, at,
                min(WIDTH, room - column),
            )  # fmt: skip

"""Convolution on the CPU, forward by `direct` or `winograd` as `plan` chooses, and backward.

The gradient of the filters gathers blocks of neighbourhoods (pixels x taps) of at most `BLOCK_BYTES`, which
BLAS multiplies while they are in cache; that of the input is a convolution itself where the stride is one.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array, Axes
from skadetect.nn.backends.cpu.direct import conv_direct
from skadetect.nn.backends.cpu.plan import choose
from skadetect.nn.backends.cpu.winograd import conv_winograd

BLOCK_BYTES = 384 * 1024
#: Partial sums of a filter gradient; fixed, so that the result does not depend on the number of threads.
PARTIAL_SUMS = 16
PARTIAL_BYTES = 64 * 1024 * 1024


def conv_forward(
    x: Array,
    filters: Array,
    bias: Array | None,
    *,
    stride: Axes,
    padding: Axes,
    groups: int = 1,
    slope: float = 1.0,
    residual: Array | None = None,
) -> Array:
    """See `skadetect.nn.backends.base.Backend.conv_forward`."""
    if groups > 1:
        parts = _by_group(x, filters, groups)
        linear = [conv_forward(a, f, None, stride=stride, padding=padding) for a, f in parts]
        return _finish(np.ascontiguousarray(np.concatenate(linear, axis=-1)), bias, slope, residual)
    if slope > 1.0:
        return _finish(conv_forward(x, filters, None, stride=stride, padding=padding), bias, slope, residual)
    if choose(x.shape, filters.shape, stride, padding).algorithm == "winograd":
        offsets = np.zeros(filters.shape[-1], np.float32) if bias is None else bias
        return conv_winograd(x, filters, offsets, slope=slope, residual=residual)
    return conv_direct(x, filters, bias, stride=stride, padding=padding, slope=slope, residual=residual)


def conv_backward(
    x: Array,
    filters: Array,
    grad: Array,
    *,
    stride: Axes,
    padding: Axes,
    groups: int = 1,
    need_input: bool = True,
) -> tuple[Array | None, Array, Array]:
    """See `skadetect.nn.backends.base.Backend.conv_backward`."""
    if groups > 1:
        return _grouped_backward(x, filters, grad, stride, padding, groups, need_input)
    dfilters, dbias = _filter_gradient(x, filters, grad, stride, padding)
    dx = _input_gradient(x, filters, grad, stride, padding) if need_input else None
    return dx, dfilters, dbias


def output_shape(
    shape: tuple[int, ...], filters: tuple[int, ...], stride: Axes, padding: Axes
) -> tuple[int, ...]:
    """Shape of a convolution's output from those of its input and filters."""
    sizes = [(shape[1 + a] + 2 * padding[a] - filters[a]) // stride[a] + 1 for a in range(3)]
    return (shape[0], *sizes, filters[-1])


def _by_group(x: Array, filters: Array, groups: int) -> list[tuple[Array, Array]]:
    inputs, outputs = x.shape[-1] // groups, filters.shape[-1] // groups
    return [
        (
            np.ascontiguousarray(x[..., g * inputs : (g + 1) * inputs]),
            np.ascontiguousarray(filters[..., g * outputs : (g + 1) * outputs]),
        )
        for g in range(groups)
    ]


def _finish(y: Array, bias: Array | None, slope: float, residual: Array | None) -> Array:
    y = y if bias is None else y + bias
    y = y if slope == 1.0 else np.where(y > 0, y, y * np.float32(slope))
    return y if residual is None else y + residual


def _grouped_backward(
    x: Array, filters: Array, grad: Array, stride: Axes, padding: Axes, groups: int, need_input: bool
) -> tuple[Array | None, Array, Array]:
    width = grad.shape[-1] // groups
    results = [
        conv_backward(
            a,
            f,
            np.ascontiguousarray(grad[..., g * width : (g + 1) * width]),
            stride=stride,
            padding=padding,
            need_input=need_input,
        )
        for g, (a, f) in enumerate(_by_group(x, filters, groups))
    ]
    dx = np.concatenate([r[0] for r in results if r[0] is not None], axis=-1) if need_input else None
    return dx, np.concatenate([r[1] for r in results], axis=-1), np.concatenate([r[2] for r in results])


def _filter_gradient(
    x: Array, filters: Array, grad: Array, stride: Axes, padding: Axes
) -> tuple[Array, Array]:
    outputs = grad.shape[-1]
    columns = filters.size // outputs
    rows = grad.size // outputs
    block = _block(columns)
    most = max(1, min(PARTIAL_SUMS, PARTIAL_BYTES // (4 * columns * outputs)))
    parts = max(1, min(most, -(-rows // block)))
    sums = np.zeros((parts, columns, outputs), np.float32)
    bias_sums = np.zeros((parts, outputs), np.float64)
    geometry = _geometry(x.shape, filters.shape, grad.shape, stride, padding)
    _filter_sums(x.reshape(-1), grad.reshape(rows, outputs), sums, bias_sums, geometry, block)
    return sums.sum(axis=0).reshape(filters.shape), bias_sums.sum(axis=0).astype(np.float32)


def _input_gradient(x: Array, filters: Array, grad: Array, stride: Axes, padding: Axes) -> Array:
    if stride == (1, 1, 1):
        flipped = np.ascontiguousarray(filters[::-1, ::-1, ::-1].swapaxes(3, 4))
        z, y, x_ = (e - 1 - p for e, p in zip(filters.shape[:3], padding, strict=True))
        if min(z, y, x_) >= 0:
            return conv_forward(grad, flipped, None, stride=stride, padding=(z, y, x_))
    dx = np.zeros(x.shape, np.float32)
    outputs = grad.shape[-1]
    columns = filters.size // outputs
    matrix = np.ascontiguousarray(filters.reshape(columns, outputs).T)
    geometry = _geometry(x.shape, filters.shape, grad.shape, stride, padding)
    per_sample = grad.reshape(grad.shape[0], -1, outputs)
    _scatter(per_sample, matrix, dx.reshape(x.shape[0], -1), geometry, _block(columns))
    return dx


def _block(columns: int) -> int:
    return int(max(8, BLOCK_BYTES // (4 * columns)))


def _geometry(
    shape: tuple[int, ...], filters: tuple[int, ...], out: tuple[int, ...], stride: Axes, padding: Axes
) -> tuple[int, ...]:
    return (*shape[1:], *out[1:4], *filters[:3], *stride, *padding)


# Counting from zero over slices lets the compiler drop the test for negative indices, and so vectorise.
@nb.njit(**JIT)
def _copy(source: Any, target: Any) -> None:
    for i in range(source.shape[0]):
        target[i] = source[i]


@nb.njit(**JIT)
def _accumulate(source: Any, target: Any) -> None:
    for i in range(source.shape[0]):
        target[i] += source[i]


@nb.njit(**JIT)
def _window(pixel: int, geometry: Any) -> Any:
    """First tap (z, y, x) of an output pixel, and which taps along x lie inside the image."""
    _, _, nx, _, _, oy, ox, _, _, kx, sz, sy, sx, pz, py, px = geometry
    x = (pixel % ox) * sx - px
    y = ((pixel // ox) % oy) * sy - py
    z = (pixel // (ox * oy)) * sz - pz
    skip = max(0, -x)
    return z, y, x, skip, max(skip, min(kx, nx - x))


@nb.njit(**JIT)
def _line_start(z: int, y: int, x: int, geometry: Any) -> int:
    """Offset of a line of taps in a sample, -1 where the line lies outside the image."""
    nz, ny, nx, nf = geometry[:4]
    if z < 0 or z >= nz or y < 0 or y >= ny:
        return -1
    return int(((z * ny + y) * nx + x) * nf)


@nb.njit(**JIT)
def _gather(x: Any, base: int, pixel: int, columns: Any, row: int, geometry: Any) -> None:
    """Copy the neighbourhood of one output pixel of the sample at `base` into a row of `columns`."""
    nf, kz, ky, kx = geometry[3], geometry[7], geometry[8], geometry[9]
    z, y, first, skip, stop = _window(pixel, geometry)
    line = columns[row]
    at = 0
    for tap_z in range(kz):
        for tap_y in range(ky):
            start = _line_start(z + tap_z, y + tap_y, first + skip, geometry)
            if start < 0:
                line[at : at + kx * nf] = 0.0
            else:
                source = base + start
                line[at : at + skip * nf] = 0.0
                _copy(x[source : source + (stop - skip) * nf], line[at + skip * nf : at + stop * nf])
                line[at + stop * nf : at + kx * nf] = 0.0
            at += kx * nf


@nb.njit(**JIT)
def _gather_block(x: Any, start: int, stop: int, columns: Any, geometry: Any) -> None:
    """Gather output pixels start to stop, counted through the whole batch."""
    nz, ny, nx, nf, oz, oy, ox = geometry[:7]
    pixels = oz * oy * ox
    sample = nz * ny * nx * nf
    for row in range(stop - start):
        pixel = start + row
        _gather(x, (pixel // pixels) * sample, pixel % pixels, columns, row, geometry)


@nb.njit(**PARALLEL)
def _filter_sums(x: Any, grad: Any, sums: Any, bias_sums: Any, geometry: Any, block: int) -> None:
    rows, parts = grad.shape[0], sums.shape[0]
    taps, outputs = sums.shape[1], sums.shape[2]
    blocks = (rows + block - 1) // block
    for part in nb.prange(parts):
        product = np.empty((taps, outputs), np.float32)
        totals = np.zeros(outputs, np.float64)
        buffer = np.empty((block, taps), np.float32)
        for index in range(part, blocks, parts):
            start = index * block
            stop = min(rows, start + block)
            columns = buffer[: stop - start]
            _gather_block(x, start, stop, columns, geometry)
            slopes = grad[start:stop]
            np.dot(columns.T, slopes, product)
            for i in range(taps):
                for f in range(outputs):
                    sums[part, i, f] += product[i, f]
            for row in range(stop - start):
                for f in range(outputs):
                    totals[f] += slopes[row, f]
        bias_sums[part] = totals


@nb.njit(**JIT)
def _spread(dx: Any, pixel: int, columns: Any, row: int, geometry: Any) -> None:
    """Add one row of neighbourhood gradients back to the pixels it was gathered from."""
    nf, kz, ky, kx = geometry[3], geometry[7], geometry[8], geometry[9]
    z, y, first, skip, stop = _window(pixel, geometry)
    line = columns[row]
    at = 0
    for tap_z in range(kz):
        for tap_y in range(ky):
            start = _line_start(z + tap_z, y + tap_y, first + skip, geometry)
            if start >= 0:
                _accumulate(line[at + skip * nf : at + stop * nf], dx[start : start + (stop - skip) * nf])
            at += kx * nf


@nb.njit(**PARALLEL)
def _scatter(grad: Any, matrix: Any, dx: Any, geometry: Any, block: int) -> None:
    # A sample belongs to one thread: neighbouring output pixels write to the same input pixels.
    for sample in nb.prange(grad.shape[0]):
        rows = grad.shape[1]
        buffer = np.empty((block, matrix.shape[1]), np.float32)
        for start in range(0, rows, block):
            stop = min(rows, start + block)
            columns = buffer[: stop - start]
            np.dot(grad[sample, start:stop], matrix, columns)
            for row in range(stop - start):
                _spread(dx[sample], start + row, columns, row, geometry)

"""Maximum and average pooling on the CPU, forward and backward.

Both directions gather: an output pixel reads its window, an input pixel reads the windows that cover it.
So no two threads write to one pixel, and the result does not depend on their number.
A global pool is a window as wide as the image.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array, Axes

UNIT, NONE = (1, 1, 1), (0, 0, 0)


def pool_forward(
    x: Array, *, kind: str, extent: Axes, stride: Axes, padding: Axes
) -> tuple[Array, npt.NDArray[np.int32] | None]:
    """See `skadetect.nn.backends.reference.pool_forward`."""
    sizes = zip(x.shape[1:4], extent, stride, padding, strict=True)
    shape = (x.shape[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in sizes), x.shape[4])
    y = np.empty(shape, x.dtype)
    if kind == "average":
        _average(x, extent, stride, padding, y)
        return y, None
    argmax = np.empty(shape, np.int32)
    _maximum(x, extent, stride, padding, y, argmax)
    return y, argmax


def pool_backward(
    grad: Array,
    argmax: npt.NDArray[np.int32] | None,
    *,
    kind: str,
    input_shape: tuple[int, ...],
    extent: Axes,
    stride: Axes,
    padding: Axes,
) -> Array:
    """See `skadetect.nn.backends.reference.pool_backward`."""
    dx = np.zeros(input_shape, grad.dtype)
    if kind == "average":
        _average_gradient(grad, extent, stride, padding, dx)
    else:
        _maximum_gradient(grad, argmax, extent, stride, padding, dx)
    return dx


def global_pool_forward(x: Array, kind: str) -> tuple[Array, npt.NDArray[np.int32] | None]:
    """See `skadetect.nn.backends.reference.global_pool_forward`."""
    return pool_forward(x, kind=kind, extent=x.shape[1:4], stride=UNIT, padding=NONE)


def global_pool_backward(
    grad: Array, argmax: npt.NDArray[np.int32] | None, *, kind: str, input_shape: tuple[int, ...]
) -> Array:
    """See `skadetect.nn.backends.reference.global_pool_backward`."""
    extent = (input_shape[1], input_shape[2], input_shape[3])
    return pool_backward(
        grad, argmax, kind=kind, input_shape=input_shape, extent=extent, stride=UNIT, padding=NONE
    )


@nb.njit(**JIT)
def _window(out: int, extent: int, stride: int, padding: int, size: int) -> tuple[int, int]:
    """First pixel and end of an output pixel's window, inside the image."""
    first = out * stride - padding
    return max(first, 0), min(first + extent, size)


@nb.njit(**JIT)
def _covering(pixel: int, extent: int, stride: int, padding: int, outputs: int) -> tuple[int, int]:
    """First output pixel whose window holds an input pixel, and the end of their range."""
    reach = pixel + padding
    first = max(0, (reach - extent) // stride + 1)
    return first, min(reach // stride + 1, outputs)


@nb.njit(**PARALLEL)
def _maximum(x: Any, extent: Axes, stride: Axes, padding: Axes, y: Any, argmax: Any) -> None:
    batch, oz, oy, ox, features = y.shape
    nz, ny, nx = x.shape[1:4]
    for row in nb.prange(batch * oz * oy):
        b, pz, py = row // (oz * oy), row // oy % oz, row % oy
        z0, z1 = _window(pz, extent[0], stride[0], padding[0], nz)
        y0, y1 = _window(py, extent[1], stride[1], padding[1], ny)
        for px in range(ox):
            x0, x1 = _window(px, extent[2], stride[2], padding[2], nx)
            best, where = y[b, pz, py, px], argmax[b, pz, py, px]
            best[:] = -np.inf
            where[:] = -1
            for i in range(z0, z1):
                for j in range(y0, y1):
                    for k in range(x0, x1):
                        index = np.int32((i * ny + j) * nx + k)
                        for f in range(features):
                            larger = x[b, i, j, k, f] > best[f]
                            best[f] = x[b, i, j, k, f] if larger else best[f]
                            where[f] = index if larger else where[f]


@nb.njit(**PARALLEL)
def _maximum_gradient(grad: Any, argmax: Any, extent: Axes, stride: Axes, padding: Axes, dx: Any) -> None:
    batch, nz, ny, nx, features = dx.shape
    oz, oy, ox = grad.shape[1:4]
    for row in nb.prange(batch * nz * ny):
        b, i, j = row // (nz * ny), row // ny % nz, row % ny
        z0, z1 = _covering(i, extent[0], stride[0], padding[0], oz)
        y0, y1 = _covering(j, extent[1], stride[1], padding[1], oy)
        for k in range(nx):
            x0, x1 = _covering(k, extent[2], stride[2], padding[2], ox)
            index = np.int32((i * ny + j) * nx + k)
            for pz in range(z0, z1):
                for py in range(y0, y1):
                    for px in range(x0, x1):
                        for f in range(features):
                            hit = argmax[b, pz, py, px, f] == index
                            dx[b, i, j, k, f] += grad[b, pz, py, px, f] if hit else np.float32(0)


@nb.njit(**PARALLEL)
def _average(x: Any, extent: Axes, stride: Axes, padding: Axes, y: Any) -> None:
    batch, oz, oy, ox, features = y.shape
    nz, ny, nx = x.shape[1:4]
    for row in nb.prange(batch * oz * oy):
        b, pz, py = row // (oz * oy), row // oy % oz, row % oy
        z0, z1 = _window(pz, extent[0], stride[0], padding[0], nz)
        y0, y1 = _window(py, extent[1], stride[1], padding[1], ny)
        # A window may be a whole image, too long a sum for single precision.
        total = np.empty(features, np.float64)
        for px in range(ox):
            x0, x1 = _window(px, extent[2], stride[2], padding[2], nx)
            total[:] = 0.0
            for i in range(z0, z1):
                for j in range(y0, y1):
                    for k in range(x0, x1):
                        for f in range(features):
                            total[f] += x[b, i, j, k, f]
            share = 1.0 / ((z1 - z0) * (y1 - y0) * (x1 - x0))
            for f in range(features):
                y[b, pz, py, px, f] = total[f] * share


@nb.njit(**PARALLEL)
def _average_gradient(grad: Any, extent: Axes, stride: Axes, padding: Axes, dx: Any) -> None:
    batch, nz, ny, nx, features = dx.shape
    oz, oy, ox = grad.shape[1:4]
    for row in nb.prange(batch * nz * ny):
        b, i, j = row // (nz * ny), row // ny % nz, row % ny
        z0, z1 = _covering(i, extent[0], stride[0], padding[0], oz)
        y0, y1 = _covering(j, extent[1], stride[1], padding[1], oy)
        for k in range(nx):
            x0, x1 = _covering(k, extent[2], stride[2], padding[2], ox)
            for pz in range(z0, z1):
                first, end = _window(pz, extent[0], stride[0], padding[0], nz)
                depth = end - first
                for py in range(y0, y1):
                    first, end = _window(py, extent[1], stride[1], padding[1], ny)
                    height = end - first
                    for px in range(x0, x1):
                        first, end = _window(px, extent[2], stride[2], padding[2], nx)
                        share = np.float32(1.0 / (depth * height * (end - first)))
                        for f in range(features):
                            dx[b, i, j, k, f] += share * grad[b, pz, py, px, f]

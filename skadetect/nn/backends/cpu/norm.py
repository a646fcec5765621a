"""Batch norm with its activation, and the element-wise companions of the convolution, on the CPU."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from skadetect._numba import PARALLEL
from skadetect.nn.backends.base import Array

#: Partial sums over the batch; fixed, so that the result does not depend on the number of threads.
PARTS = 32


def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, *, epsilon: float, slope: float
) -> tuple[Array, Array, Array]:
    """See `skadetect.nn.backends.base.Backend.batch_norm_forward`."""
    rows = x.reshape(-1, x.shape[-1])
    sums = np.zeros((PARTS, 2, x.shape[-1]), np.float64)
    _moments(rows, rows[0].copy(), sums)
    first, second = sums.sum(axis=0) / len(rows)
    mean = first + rows[0]
    variance = np.maximum(second - first * first, 0.0)
    scale = gamma / np.sqrt(variance + epsilon)
    shift = beta - mean * scale
    y = affine(x, scale.astype(np.float32), shift.astype(np.float32), slope=slope)
    return y, mean.astype(np.float32), variance.astype(np.float32)


def batch_norm_backward(
    x: Array,
    grad: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    *,
    epsilon: float,
    slope: float,
) -> tuple[Array, Array, Array]:
    """See `skadetect.nn.backends.base.Backend.batch_norm_backward`."""
    features = x.shape[-1]
    rows, slopes = x.reshape(-1, features), grad.reshape(-1, features)
    inverse = (1.0 / np.sqrt(variance.astype(np.float64) + epsilon)).astype(np.float32)
    scale = gamma * inverse
    shift = beta - mean * scale
    sums = np.zeros((PARTS, 2, features), np.float64)
    _gradient_sums(rows, slopes, scale, shift, mean, inverse, np.float32(slope), sums)
    dbeta, dgamma = sums.sum(axis=0)
    dx = np.empty_like(x)
    means = np.stack([dbeta, dgamma]).astype(np.float32) / np.float32(len(rows))
    _gradient(
        rows,
        slopes,
        np.stack([scale, shift, mean, inverse]),
        means,
        np.float32(slope),
        dx.reshape(-1, features),
    )
    return dx, dgamma.astype(np.float32), dbeta.astype(np.float32)


def affine(x: Array, scale: Array, shift: Array, *, slope: float) -> Array:
    """See `skadetect.nn.backends.base.Backend.affine`."""
    y = np.empty_like(x)
    features = x.shape[-1]
    _affine(x.reshape(-1, features), scale, shift, np.float32(slope), y.reshape(-1, features))
    return y


def leaky_forward(x: Array, slope: float) -> Array:
    """See `skadetect.nn.backends.base.Backend.leaky_forward`."""
    y = np.empty_like(x)
    _leaky(x.reshape(-1), x.reshape(-1), np.float32(slope), y.reshape(-1))
    return y


def leaky_backward(x: Array, grad: Array, slope: float) -> Array:
    """See `skadetect.nn.backends.base.Backend.leaky_backward`."""
    dx = np.empty_like(x)
    _leaky(x.reshape(-1), grad.reshape(-1), np.float32(slope), dx.reshape(-1))
    return dx


def add(a: Array, b: Array) -> Array:
    """See `skadetect.nn.backends.base.Backend.add`."""
    y = np.empty_like(a)
    _add(a.reshape(-1), b.reshape(-1), y.reshape(-1))
    return y


@nb.njit(**PARALLEL)
def _moments(x: Any, origin: Any, sums: Any) -> None:
    """Sum of x - origin and of its square; an origin inside the data keeps the variance exact."""
    rows, features = x.shape
    parts = sums.shape[0]
    step = (rows + parts - 1) // parts
    for part in nb.prange(parts):
        first = np.zeros(features, np.float64)
        second = np.zeros(features, np.float64)
        for row in range(part * step, min(rows, (part + 1) * step)):
            for f in range(features):
                value = np.float64(x[row, f] - origin[f])
                first[f] += value
                second[f] += value * value
        sums[part, 0] = first
        sums[part, 1] = second


@nb.njit(**PARALLEL)
def _gradient_sums(
    x: Any, grad: Any, scale: Any, shift: Any, mean: Any, inverse: Any, slope: float, sums: Any
) -> None:
    rows, features = x.shape
    parts = sums.shape[0]
    step = (rows + parts - 1) // parts
    for part in nb.prange(parts):
        first = np.zeros(features, np.float64)
        second = np.zeros(features, np.float64)
        for row in range(part * step, min(rows, (part + 1) * step)):
            for f in range(features):
                g = grad[row, f]
                if x[row, f] * scale[f] + shift[f] <= 0:
                    g *= slope
                first[f] += g
                second[f] += g * ((x[row, f] - mean[f]) * inverse[f])
        sums[part, 0] = first
        sums[part, 1] = second


@nb.njit(**PARALLEL)
def _gradient(x: Any, grad: Any, coefficients: Any, means: Any, slope: float, dx: Any) -> None:
    """Gradient scale (g - <g> - xhat <g xhat>), Ioffe & Szegedy (2015)."""
    scale, shift, mean, inverse = coefficients[0], coefficients[1], coefficients[2], coefficients[3]
    for row in nb.prange(x.shape[0]):
        for f in range(x.shape[1]):
            g = grad[row, f]
            if x[row, f] * scale[f] + shift[f] <= 0:
                g *= slope
            normal = (x[row, f] - mean[f]) * inverse[f]
            dx[row, f] = scale[f] * (g - means[0, f] - normal * means[1, f])


@nb.njit(**PARALLEL)
def _affine(x: Any, scale: Any, shift: Any, slope: float, y: Any) -> None:
    for row in nb.prange(x.shape[0]):
        for f in range(x.shape[1]):
            value = x[row, f] * scale[f] + shift[f]
            y[row, f] = value if value > 0 else value * slope


@nb.njit(**PARALLEL)
def _leaky(x: Any, grad: Any, slope: float, y: Any) -> None:
    for i in nb.prange(x.shape[0]):
        y[i] = grad[i] if x[i] > 0 else grad[i] * slope


@nb.njit(**PARALLEL)
def _add(a: Any, b: Any, y: Any) -> None:
    for i in nb.prange(a.shape[0]):
        y[i] = a[i] + b[i]

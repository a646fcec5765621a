"""Sigmoid and softmax outputs on the CPU, forward and backward; leaky ReLU is beside the batch norm."""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np

from skadetect import formulas
from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array

_sigmoid = nb.njit(**JIT)(formulas.sigmoid)


def sigmoid_forward(x: Array) -> Array:
    """See `skadetect.nn.backends.reference.sigmoid_forward`."""
    y = np.empty_like(x)
    _sigmoid_each(x.reshape(-1), y.reshape(-1))
    return y


def sigmoid_backward(y: Array, grad: Array) -> Array:
    """See `skadetect.nn.backends.reference.sigmoid_backward`."""
    dx = np.empty_like(y)
    _sigmoid_gradient(y.reshape(-1), grad.reshape(-1), dx.reshape(-1))
    return dx


def softmax_forward(x: Array) -> Array:
    """See `skadetect.nn.backends.reference.softmax_forward`."""
    y = np.empty_like(x)
    _softmax_rows(x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1]))
    return y


def softmax_backward(y: Array, grad: Array) -> Array:
    """See `skadetect.nn.backends.reference.softmax_backward`."""
    dx, last = np.empty_like(y), y.shape[-1]
    _softmax_gradient(y.reshape(-1, last), grad.reshape(-1, last), dx.reshape(-1, last))
    return dx


@nb.njit(**PARALLEL)
def _sigmoid_each(x: Any, y: Any) -> None:
    for i in nb.prange(x.shape[0]):
        y[i] = _sigmoid(x[i])


@nb.njit(**PARALLEL)
def _sigmoid_gradient(y: Any, grad: Any, dx: Any) -> None:
    for i in nb.prange(y.shape[0]):
        dx[i] = grad[i] * y[i] * (np.float32(1) - y[i])


@nb.njit(**PARALLEL)
def _softmax_rows(x: Any, y: Any) -> None:
    for row in nb.prange(x.shape[0]):
        largest = x[row, 0]
        for f in range(x.shape[1]):
            largest = max(largest, x[row, f])
        total = np.float32(0)
        for f in range(x.shape[1]):
            y[row, f] = math.exp(x[row, f] - largest)
            total += y[row, f]
        for f in range(x.shape[1]):
            y[row, f] /= total


@nb.njit(**PARALLEL)
def _softmax_gradient(y: Any, grad: Any, dx: Any) -> None:
    for row in nb.prange(y.shape[0]):
        mean = np.float32(0)
        for f in range(y.shape[1]):
            mean += y[row, f] * grad[row, f]
        for f in range(y.shape[1]):
            dx[row, f] = y[row, f] * (grad[row, f] - mean)

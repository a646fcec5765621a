"""Dropout on the CPU: the mask is a hash of seed and element, drawn again in the backward pass."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array

WORD = 0xFFFFFFFFFFFFFFFF
# SplitMix64 (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195); unsigned, or Numba would use float64.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FACTOR_1, FACTOR_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFT_1, SHIFT_2, SHIFT_3, HALF = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


def dropout_forward(x: Array, rate: float, *, seed: int) -> Array:
    """See `skadetect.nn.backends.reference.dropout_forward`."""
    y = np.empty_like(x)
    threshold = np.uint64(rate * 2.0**32)
    _dropout(x.reshape(-1), np.uint64(seed & WORD), threshold, np.float32(1 / (1 - rate)), y.reshape(-1))
    return y


def dropout_backward(grad: Array, rate: float, *, seed: int) -> Array:
    """See `skadetect.nn.backends.reference.dropout_backward`."""
    return dropout_forward(grad, rate, seed=seed)


@nb.njit(**PARALLEL)
def _dropout(x: Any, seed: Any, threshold: Any, scale: float, y: Any) -> None:
    start = _mix(seed)
    for i in nb.prange(x.shape[0]):
        word = _mix(start + np.uint64(i + 1) * GOLDEN)
        y[i] = x[i] * scale if (word >> HALF) >= threshold else np.float32(0)


@nb.njit(**JIT)
def _mix(word: Any) -> Any:
    word = (word ^ (word >> SHIFT_1)) * FACTOR_1
    word = (word ^ (word >> SHIFT_2)) * FACTOR_2
    return word ^ (word >> SHIFT_3)

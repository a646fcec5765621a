"""From signal to noise to what a network sees, by `formulas`, whole rows at a time on the CPU."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect import arena
from skadetect._numba import JIT, PARALLEL
from skadetect.formulas import (
    ASINH,
    TANH,
    asinh_argument,
    binary_exponent,
    logarithm32,
    tanh32,
)

#: One feature each: which of `formulas.STRETCHES`, the factor on the signal to noise, that on the function.
Stretches = tuple[tuple[int, float, float], ...]


def features(
    s: NDArray[np.float32], stretches: Stretches, constants: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Stretches of signal to noise, and features that are the same all over a sample.

    Parameters
    ----------
    s : ndarray, shape (batch, z, y, x)
        Signal to noise, float32.
    stretches : tuple of (kind, gain, factor)
        One feature each: factor * function(gain * s).
    constants : ndarray, shape (batch, count)
        The last features of each sample.

    Returns
    -------
    ndarray, shape (batch, z, y, x, stretches + count), float32
    """
    width, count = s.shape[-1], len(stretches) + constants.shape[1]
    out = arena.empty((*s.shape, count))
    kinds = np.array([kind for kind, _, _ in stretches], np.int64)
    factors = np.array([row[1:] for row in stretches], np.float32).reshape(-1, 2)
    rows = np.ascontiguousarray(s, np.float32).reshape(-1, width)
    make = _make_features(len(stretches), constants.shape[1])
    make(rows, kinds, factors, np.asarray(constants, np.float32), out.reshape(-1, width, count))
    return out


@cache
def _make_features(varying: int, constant: int) -> Any:
    """Kernel for so many stretches and constants: a row of each stretch, then all of them pixel by pixel."""

    @numba.njit(**PARALLEL)
    def _features(
        s: NDArray[np.float32],
        kinds: NDArray[np.int64],
        factors: NDArray[np.float32],
        constants: NDArray[np.float32],
        out: NDArray[np.float32],
    ) -> None:
        each = max(1, s.shape[0] // max(1, constants.shape[0]))
        for i in numba.prange(s.shape[0]):
            rows = np.empty((varying, s.shape[1]), np.float32)
            for k in range(varying):
                _stretch(s[i], kinds[k], factors[k, 0], rows[k])
            line, last = out[i].reshape(-1), constants[i // each]
            for j in range(s.shape[1]):
                for k in range(varying):
                    line[(varying + constant) * j + k] = rows[k, j] * factors[k, 1]
                for k in range(constant):
                    line[(varying + constant) * j + varying + k] = last[k]

    return _features


@numba.njit(**JIT)
def _stretch(s: Any, kind: int, gain: Any, out: Any) -> None:
    """One function of a row."""
    if kind == TANH:
        _tanh(s, gain, out)
    elif kind == ASINH:
        _asinh(s, gain, out)
    else:
        for j in range(s.size):
            out[j] = s[j] * gain


@numba.njit(**JIT)
def _tanh(s: Any, gain: Any, out: Any) -> None:
    """Hyperbolic tangents of a row."""
    for j in range(s.size):
        out[j] = tanh32(s[j] * gain)


@numba.njit(**JIT)
def _asinh(s: Any, gain: Any, out: Any) -> None:
    """Inverse hyperbolic sines of a row, in loops that are vectors each."""
    mantissa = np.empty(s.size, np.float32)
    bits = mantissa.view(np.int32)
    for j in range(s.size):
        mantissa[j] = asinh_argument(s[j] * gain)
    for j in range(s.size):
        exponent = binary_exponent(bits[j])
        out[j] = np.float32(exponent)
        bits[j] -= exponent << np.int32(23)
    for j in range(s.size):
        out[j] = math.copysign(logarithm32(mantissa[j], out[j]), s[j])

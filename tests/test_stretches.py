"""Stretches of whole batches, against NumPy and against the formulas one number at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from skadetect import formulas
from skadetect.stretches import features

ROWS = ((formulas.TANH, 0.25, 1.0), (formulas.ASINH, 0.5, 1 / 3), (formulas.LINEAR, 0.1, 0.5))


def draw(shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal(shape) * np.exp(2 * rng.standard_normal(shape))).astype(np.float32)


def test_each_sample_has_its_own_constants() -> None:
    s, constants = draw((3, 2, 4, 5)), draw((3, 2))
    x = features(s, ROWS, constants)
    assert x.shape == (3, 2, 4, 5, 5) and x.dtype == np.float32
    wide = s.astype(np.float64)
    np.testing.assert_allclose(x[..., 0], np.tanh(wide / 4), rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(x[..., 1], np.arcsinh(wide / 2) / 3, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(x[..., 2], wide / 20, rtol=1e-6)
    np.testing.assert_array_equal(
        x[..., 3:], np.broadcast_to(constants[:, None, None, None], (3, 2, 4, 5, 2))
    )


def test_without_constants_and_without_stretches() -> None:
    s = draw((2, 1, 3, 4))
    assert features(s, ROWS[:1], np.empty((2, 0), np.float32)).shape == (2, 1, 3, 4, 1)
    np.testing.assert_array_equal(features(s, (), np.ones((2, 1), np.float32)), 1.0)


@pytest.mark.parametrize("x", [0.0, 1e-6, -0.3, 0.5, -1.0, 7.0, 12.0, -1e4, 3e17])
def test_the_formulas_are_plain_python_too(x: float) -> None:
    value = np.float32(x)
    assert formulas.tanh32(value) == pytest.approx(math.tanh(value), rel=1e-6)
    argument = np.float32(formulas.asinh_argument(value))
    exponent = formulas.binary_exponent(argument.view(np.int32))
    mantissa = np.float32(argument / 2.0**exponent)
    assert math.sqrt(0.5) <= mantissa < math.sqrt(2.0)
    expected = math.asinh(abs(value))
    assert formulas.logarithm32(mantissa, np.float32(exponent)) == pytest.approx(expected, rel=1e-6, abs=1e-7)

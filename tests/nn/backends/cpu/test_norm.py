"""Batch norm, affine, leaky ReLU and addition on the CPU equal the reference."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.backends.cpu import norm
from tests.nn.backends import ops


@pytest.mark.parametrize("case", ops.NORMS, ids=str)
def test_equals_reference(case):
    ops.assert_parity(norm, case)


def test_statistics_equal_reference():
    case = ops.NORMS[0]
    _, *computed = norm.batch_norm_forward(*case.arrays(), **case.options)
    _, *expected = reference.batch_norm_forward(*case.arrays(np.float64), **case.options)
    for a, b in zip(computed, expected, strict=True):
        ops.assert_close(a, b, 1e-6)


@pytest.mark.parametrize("first", [1000.0, 0.0])
def test_a_large_mean_keeps_the_variance(first):
    """Even if the first pixel, which a shifted sum starts from, is nothing like the rest."""
    rng = np.random.default_rng(4)
    x = rng.normal(1000.0, 0.5, (1, 1, 64, 64, 2)).astype(np.float32)
    x[0, 0, 0, 0] = first
    one, zero = np.ones(2, np.float32), np.zeros(2, np.float32)
    y, mean, variance = norm.batch_norm_forward(x, one, zero, epsilon=1e-3, slope=1.0)
    double = x.astype(np.float64).reshape(-1, 2)
    np.testing.assert_allclose(mean, double.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance, double.var(axis=0), rtol=1e-4)
    expected = reference.batch_norm_forward(x.astype(np.float64), one, zero, epsilon=1e-3, slope=1.0)[0]
    # Half a unit in the last place of 1000 is 3e-5, over a deviation of one half.
    np.testing.assert_allclose(y, expected, rtol=0, atol=5e-4)


def test_a_constant_feature_stays_finite():
    x = np.full((1, 1, 4, 4, 1), 3.0, np.float32)
    one = np.ones(1, np.float32)
    y, _, variance = norm.batch_norm_forward(x, one, one, epsilon=1e-3, slope=0.1)
    assert variance.tolist() == [0.0]
    np.testing.assert_allclose(y, 1.0, atol=1e-4)

"""Sigmoid and softmax on the CPU equal the reference."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.backends.cpu import activations
from tests.nn.backends import ops


@pytest.mark.parametrize("case", ops.ACTIVATIONS, ids=str)
def test_equals_reference(case):
    ops.assert_parity(activations, case)


@pytest.mark.parametrize("name", ["sigmoid_forward", "softmax_forward"])
def test_extreme_values_equal_reference(name):
    x = np.array([[-1e4, -90.0, -1e-3, 0.0], [0.0, 1e-3, 90.0, 1e4]], np.float32)
    computed, expected = getattr(activations, name)(x), getattr(reference, name)(x.astype(np.float64))
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-37)


def test_softmax_sums_to_one():
    x = np.random.default_rng(8).normal(0, 5, (3, 1, 4, 4, 7)).astype(np.float32)
    np.testing.assert_allclose(activations.softmax_forward(x).sum(axis=-1), 1, rtol=1e-6)

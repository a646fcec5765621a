"""Dropout on the CPU draws the reference's masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skadetect.nn.backends import reference
from skadetect.nn.backends.cpu import dropout
from tests.nn.backends import ops


@pytest.mark.parametrize("case", ops.DROPOUTS, ids=str)
def test_equals_reference(case):
    ops.assert_parity(dropout, case)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(-(2**70), 2**70), rate=st.floats(0, 1, exclude_max=True), size=st.integers(0, 300))
def test_any_seed_and_rate_give_the_reference_mask(seed, rate, size):
    x = np.ones(size, np.float32)
    computed = dropout.dropout_forward(x, rate, seed=seed)
    np.testing.assert_array_equal(computed, reference.dropout_forward(x, rate, seed=seed))


def test_backward_uses_the_forward_mask():
    x = np.ones((2, 1, 30, 30, 3), np.float32)
    y = dropout.dropout_forward(x, 0.4, seed=9)
    np.testing.assert_array_equal(dropout.dropout_backward(x, 0.4, seed=9), y)
    assert (dropout.dropout_forward(x, 0.4, seed=10) != y).any()

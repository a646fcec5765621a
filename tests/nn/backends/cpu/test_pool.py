"""Pooling on the CPU equals the reference, for the listed cases and any geometry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skadetect.nn.backends import reference
from skadetect.nn.backends.cpu import pool
from tests.nn.backends import ops


@pytest.mark.parametrize("case", ops.POOLS, ids=str)
def test_equals_reference(case):
    ops.assert_parity(pool, case)


@st.composite
def geometries(draw):
    extent = draw(st.tuples(*[st.integers(1, 4)] * 3))
    padding = tuple(draw(st.integers(0, k - 1)) for k in extent)
    least = [max(1, k - 2 * p) for k, p in zip(extent, padding, strict=True)]
    shape = (draw(st.integers(1, 3)), *(draw(st.integers(n, n + 5)) for n in least), draw(st.integers(1, 9)))
    stride = draw(st.tuples(*[st.integers(1, 5)] * 3))
    return ops.pool(shape, draw(st.sampled_from(["max", "average"])), extent, stride=stride, padding=padding)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(case=geometries(), levels=st.integers(1, 4))
def test_any_geometry_equals_reference(case, levels):
    ops.assert_parity(pool, case)
    # With few levels there are ties, and the first of them wins on every back end.
    (x,) = case.arrays()
    tied = np.clip(np.round(x), 0, levels)
    for a, b in zip(pool.pool_forward(tied, **case.options), reference.pool_forward(tied, **case.options)):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("kind", ["max", "average"])
def test_a_gradient_is_shared_out_whole(kind):
    case = ops.pool((2, 3, 7, 8, 5), kind, (2, 3, 3), stride=(1, 2, 1), padding=(1, 1, 0))
    (x,) = case.arrays()
    y, argmax = pool.pool_forward(x, **case.options)
    grad = ops.output_gradient(case, y)
    dx = pool.pool_backward(grad, argmax, input_shape=x.shape, **case.options)
    np.testing.assert_allclose(dx.sum(axis=(1, 2, 3)), grad.sum(axis=(1, 2, 3)), rtol=0, atol=1e-4)


def test_a_long_average_is_exact():
    x = np.full((1, 1, 600, 500, 1), 0.1, np.float32)
    y, argmax = pool.global_pool_forward(x, "average")
    assert argmax is None
    np.testing.assert_allclose(y, np.float32(0.1), rtol=1e-7)

"""Convolution on the CPU equals the reference, for the listed cases and any geometry."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skadetect.nn.backends.cpu import conv
from skadetect.nn.backends.cpu.direct import conv_into
from tests.nn.backends import ops


@pytest.mark.parametrize("case", [*ops.CONVOLUTIONS, *ops.FUSED], ids=str)
def test_equals_reference(case):
    ops.assert_parity(conv, case)


@st.composite
def geometries(draw):
    extent = draw(st.tuples(*[st.integers(1, 4)] * 3))
    padding = draw(st.tuples(*[st.integers(0, 5)] * 3))
    least = [max(1, k - 2 * p) for k, p in zip(extent, padding, strict=True)]
    size = [draw(st.integers(n, n + 5)) for n in least]
    groups = draw(st.integers(1, 3))
    inputs, outputs = groups * draw(st.integers(1, 5)), groups * draw(st.integers(1, 5))
    shape = (draw(st.integers(1, 3)), *size, inputs)
    stride = draw(st.tuples(*[st.integers(1, 5)] * 3))
    return ops.conv(
        shape, extent, outputs, stride=stride, padding=padding, groups=groups, bias=draw(st.booleans())
    )


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(case=geometries())
def test_any_geometry_equals_reference(case):
    ops.assert_parity(conv, case)


@pytest.mark.parametrize("inputs", [1, 40])
def test_an_image_of_many_blocks_equals_reference(inputs):
    ops.assert_parity(conv, ops.conv((2, 1, 61, 83, inputs), (1, 3, 3), 9, padding=(0, 1, 1)), 3e-5)


def test_input_gradient_can_be_left_out():
    case = ops.CONVOLUTIONS[0]
    x, filters, bias = case.arrays()
    grad = ops.output_gradient(case, conv.conv_forward(x, filters, bias, **case.options))
    dx, *others = conv.conv_backward(x, filters, grad, need_input=False, **case.options)
    _, *expected = conv.conv_backward(x, filters, grad, **case.options)
    assert dx is None
    for a, b in zip(others, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
def test_result_does_not_depend_on_the_number_of_threads():
    case = ops.conv((2, 1, 40, 50, 8), (1, 3, 3), 9, stride=(1, 2, 2), padding=(0, 1, 1))
    results = []
    before = numba.get_num_threads()
    for threads in (1, 2):
        numba.set_num_threads(threads)
        y = ops.value(conv, case, case.arrays())
        results.append([y, *ops.gradients(conv, case, case.arrays(), ops.output_gradient(case, y))])
    numba.set_num_threads(before)
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_output_shifts_with_the_input():
    """The tile that a pixel sits in does not matter: the promise that tiled inference rests on."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(1, 1, 30, 40, 6)).astype(np.float32)
    filters = rng.normal(size=(1, 3, 3, 6, 5)).astype(np.float32)
    options = {"stride": (1, 2, 2), "padding": (0, 1, 1)}
    whole = conv.conv_forward(x, filters, None, **options)
    tile = conv.conv_forward(np.ascontiguousarray(x[:, :, 4:24, 10:32]), filters, None, **options)
    np.testing.assert_allclose(tile[:, :, 1:-1, 1:-1], whole[:, :, 3:11, 6:15], rtol=0, atol=1e-5)


@pytest.mark.parametrize("outputs", [1, 3, 5, 9, 11, 15, 16, 17, 23, 37, 66])
@pytest.mark.parametrize("gap", [0, 1])
def test_nothing_is_written_beside_the_output(outputs, gap):
    """Vectors of a panel are wider than its features; what lies beside a view is left alone."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(2, 3, 11, 29, 12)).astype(np.float32)
    filters = rng.normal(size=(1, 1, 1, 12, outputs)).astype(np.float32)
    bias = rng.normal(size=outputs).astype(np.float32)
    memory = np.full((4, 3, 11, 29 + gap, outputs), 7.0, np.float32)
    y = memory[1:3, :, :, :29]
    conv_into(x, filters, bias, y, stride=(1, 1, 1), before=(0, 0, 0), slope=0.1)
    expected = np.einsum("bzyxi,io->bzyxo", x, filters[0, 0, 0]) + bias
    np.testing.assert_allclose(y, np.maximum(expected, 0.1 * expected), rtol=0, atol=1e-5)
    assert (memory[[0, 3]] == 7.0).all()
    assert (memory[:, :, :, 29:] == 7.0).all()

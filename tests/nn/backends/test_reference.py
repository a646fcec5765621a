"""The reference against PyTorch, finite differences and values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import reference
from tests.nn.backends import ops, torch_oracle

STEP = 1e-6  # of the central differences: truncation and rounding are both below 1e-8 in double precision


@pytest.mark.parametrize("case", ops.CASES, ids=str)
def test_value_and_gradients_equal_pytorch(case):
    arrays = case.arrays(np.float64)
    expected, wanted = torch_oracle.run(case, arrays, lambda y: ops.output_gradient(case, y))
    y = ops.value(reference, case, arrays)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-10)
    computed = ops.gradients(reference, case, arrays, ops.output_gradient(case, y))
    for a, b in zip(computed, wanted, strict=bool(computed)):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", [c for c in ops.CASES if c.operation in ops.BACKWARD], ids=str)
def test_gradients_equal_finite_differences(case):
    arrays = case.arrays(np.float64)
    grad = ops.output_gradient(case, ops.value(reference, case, arrays))
    computed = ops.gradients(reference, case, arrays, grad)
    present = [i for i, a in enumerate(arrays) if a is not None]
    rng = np.random.default_rng(1)
    for i, slope in zip(present, computed, strict=True):
        for _ in range(2):
            way = rng.normal(size=slope.shape)
            ends = [[*arrays[:i], arrays[i] + h * way, *arrays[i + 1 :]] for h in (STEP, -STEP)]
            change = ops.value(reference, case, ends[0]) - ops.value(reference, case, ends[1])
            expected = (change * grad).sum() / (2 * STEP)
            bound = 1e-7 * np.linalg.norm(slope) * np.linalg.norm(way)
            np.testing.assert_allclose((slope * way).sum(), expected, rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ops.CASES, ids=str)
def test_precision_is_kept(case, dtype):
    arrays = case.arrays(dtype)
    y = ops.value(reference, case, arrays)
    assert y.dtype == dtype
    assert all(g.dtype == dtype for g in ops.gradients(reference, case, arrays, np.ones_like(y)))


def test_convolution_by_hand():
    x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4, 1)
    filters = np.array([1.0, 10.0, 100.0]).reshape(1, 1, 3, 1, 1)
    y = reference.conv_forward(x, filters, np.array([-400.0]), stride=(1, 1, 2), padding=(0, 0, 1), slope=0.5)
    # Windows (0, 1, 2) and (2, 3, 4) give 210 and 432, less 400, and half of what is negative.
    assert y.ravel().tolist() == [-95.0, 32.0]


def test_groups_are_independent_convolutions():
    rng = np.random.default_rng(2)
    x, filters = rng.normal(size=(1, 2, 4, 5, 6)), rng.normal(size=(1, 3, 3, 3, 4))
    options = {"stride": (1, 1, 1), "padding": (0, 1, 1)}
    halves = [
        reference.conv_forward(x[..., 3 * g : 3 * g + 3], filters[..., 2 * g : 2 * g + 2], None, **options)
        for g in (0, 1)
    ]
    y = reference.conv_forward(x, filters, None, groups=2, **options)
    np.testing.assert_allclose(y, np.concatenate(halves, axis=-1), rtol=1e-12)


def test_input_gradient_can_be_left_out():
    case = ops.CONVOLUTIONS[0]
    x, filters, bias = case.arrays(np.float64)
    grad = ops.output_gradient(case, reference.conv_forward(x, filters, bias, **case.options))
    dx, *others = reference.conv_backward(x, filters, grad, need_input=False, **case.options)
    _, *expected = reference.conv_backward(x, filters, grad, **case.options)
    assert dx is None
    for a, b in zip(others, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_batch_norm_standardises_each_feature():
    x = np.random.default_rng(3).normal(5.0, 3.0, (4, 1, 9, 8, 3))
    gamma, beta = np.array([1.0, 2.0, 3.0]), np.array([0.0, -1.0, 1.0])
    y, mean, variance = reference.batch_norm_forward(x, gamma, beta, epsilon=0.0, slope=1.0)
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2, 3)), beta, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=(0, 1, 2, 3)), gamma, rtol=1e-12)
    np.testing.assert_allclose(mean, x.reshape(-1, 3).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(variance, x.reshape(-1, 3).var(axis=0, ddof=0), rtol=1e-12)


def test_pools_by_hand():
    x = np.array([-5.0, -2.0, -7.0, -7.0]).reshape(1, 1, 2, 2, 1)
    options = {"extent": (1, 2, 2), "stride": (1, 2, 2), "padding": (0, 1, 1)}
    # Padding neither wins over negative pixels nor counts in the average: each window holds one pixel.
    largest, argmax = reference.pool_forward(x, kind="max", **options)
    average, _ = reference.pool_forward(x, kind="average", **options)
    assert largest.ravel().tolist() == average.ravel().tolist() == [-5.0, -2.0, -7.0, -7.0]
    assert argmax.ravel().tolist() == [0, 1, 2, 3]


def test_first_of_equal_maxima_wins():
    x = np.zeros((1, 2, 2, 2, 1))
    for _, argmax in (
        reference.pool_forward(x, kind="max", extent=(2, 2, 2), stride=(1, 1, 1), padding=(0, 0, 0)),
        reference.global_pool_forward(x, "max"),
    ):
        assert argmax.ravel().tolist() == [0]


def test_outputs_do_not_overflow():
    with np.errstate(all="raise"):
        assert reference.sigmoid_forward(np.array([-700.0, 0.0, 700.0]))[1:].tolist() == [0.5, 1.0]
        equal = np.array([[700.0, 700.0], [-700.0, -700.0]])
        assert reference.softmax_forward(equal).tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_dropout_keeps_the_given_share_and_the_mean():
    x, rate = np.ones(40_000), 0.3
    y = reference.dropout_forward(x, rate, seed=5)
    kept = y != 0
    sigma = np.sqrt(rate * (1 - rate) / x.size)
    assert abs(kept.mean() - (1 - rate)) < 4 * sigma
    np.testing.assert_allclose(y[kept], 1 / (1 - rate), rtol=1e-15)


@pytest.mark.parametrize(("shift", "seed"), [(0, 6), (1, 5), (2, 5), (64, 5), (1, 6)])
def test_dropout_masks_of_near_seeds_and_elements_are_unrelated(shift, seed):
    size = 40_000
    first = reference.dropout_forward(np.ones(size), 0.5, seed=5) - 1
    second = reference.dropout_forward(np.ones(size + shift), 0.5, seed=seed)[shift:] - 1
    assert abs((first * second).mean()) < 4 / np.sqrt(size)

"""Gradients of filters, summed directly or by Winograd, equal the reference whatever the cut into bands."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.backends.cpu import gradient, winograd_gradient
from skadetect.nn.backends.cpu.gradient import filter_gradient
from skadetect.nn.backends.cpu.winograd_gradient import filter_gradient_winograd

UNIT = (1, 1, 1)


def arrays(shape, outputs, stride=UNIT):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((*shape, 9), dtype=np.float32)
    ends = [-(-n // s) for n, s in zip(shape[1:], stride, strict=True)]
    return x, rng.standard_normal((shape[0], *ends, outputs), dtype=np.float32)


def expected(x, grad, depth, **places):
    filters = np.zeros((depth, 3, 3, x.shape[-1], grad.shape[-1]))
    _, dfilters, dbias = reference.conv_backward(x.astype(float), filters, grad.astype(float), **places)
    return dfilters, dbias


def assert_near(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("outputs", [5, 24, 33])
@pytest.mark.parametrize(("shape", "depth"), [((2, 1, 13, 22), 1), ((1, 4, 6, 5), 3), ((3, 1, 40, 64), 1)])
def test_winograd_equals_reference(shape, depth, outputs):
    x, grad = arrays(shape, outputs)
    wanted = expected(x, grad, depth, stride=UNIT, padding=(depth // 2, 1, 1))
    assert_near(filter_gradient_winograd(x, depth, grad), wanted)


@pytest.mark.parametrize("stride", [UNIT, (1, 2, 2), (2, 1, 3)])
@pytest.mark.parametrize("size", [1, 1 << 12, 1 << 20])
def test_direct_equals_reference_in_bands_of_any_size(monkeypatch, stride, size):
    monkeypatch.setattr(gradient, "BAND_BYTES", size)
    x, grad = arrays((2, 4, 13, 34), 11, stride)
    places = {"stride": stride, "padding": UNIT}
    assert_near(filter_gradient(x, (3, 3, 3, 9, 11), grad, **places), expected(x, grad, 3, **places))


def test_winograd_in_blocks_of_any_size(monkeypatch):
    x, grad = arrays((2, 1, 21, 30), 7)
    wanted = expected(x, grad, 1, stride=UNIT, padding=(0, 1, 1))
    for size in (1, 1 << 17):
        monkeypatch.setattr(winograd_gradient, "BLOCK_BYTES", size)
        assert_near(filter_gradient_winograd(x, 1, grad), wanted)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
def test_sums_do_not_depend_on_the_number_of_threads():
    x, grad = arrays((2, 1, 70, 90), 24)
    before, results = numba.get_num_threads(), []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        direct = filter_gradient(x, (1, 3, 3, 9, 24), grad, stride=UNIT, padding=(0, 1, 1))
        results.append([*direct, *filter_gradient_winograd(x, 1, grad)])
    numba.set_num_threads(before)
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)

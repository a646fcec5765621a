"""Training passes of whole networks on the device: gradients, running statistics, dropout, residuals."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.backends.cuda import tiles
from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.tiles import Tile
from tests.nn.networks import cube_model, small_network

pytestmark = pytest.mark.usefixtures("simulator")


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "SMALL", (Tile(32, 16, 16, 16, 3),))


def passes(network, x, backend, scale=1.0):
    """Outputs, gradients and running statistics of one step."""
    outputs, tape = network.forward_train(x, backend, seed=5)
    slope = np.random.default_rng(8).normal(0, 1e-3, outputs.shape).astype(np.float32)
    gradients = network.backward(tape, slope * np.float32(scale), backend)
    return outputs, {name: g / np.float32(scale) for name, g in gradients.items()}, dict(network.state)


@pytest.mark.parametrize(("precision", "tolerance", "scale"), [("fp32", 1e-4, 1.0), ("fp16", 3e-2, 4096.0)])
def test_a_step_in_2d_equals_the_reference(precision, tolerance, scale):
    x = np.random.default_rng(1).normal(size=(2, 1, 8, 8, 5)).astype(np.float32)
    found = passes(small_network(), x, CudaBackend(0, precision), scale)
    expected = passes(small_network(), x, reference)
    assert np.linalg.norm(found[0] - expected[0]) < tolerance * np.linalg.norm(expected[0])
    for there, here in zip(found[1:], expected[1:], strict=True):
        assert there.keys() == here.keys()
        for name in here:
            assert there[name].dtype == np.float32
            bound = tolerance * max(np.linalg.norm(here[name]), 1e-6)
            assert np.linalg.norm(there[name] - here[name]) < bound, name


def test_a_step_in_3d_equals_the_reference():
    x = np.random.default_rng(2).normal(size=(1, 8, 4, 4, 5)).astype(np.float32)
    found = passes(cube_model().network, x, CudaBackend(0, "fp32"))
    expected = passes(cube_model().network, x, reference)
    for name, here in expected[1].items():
        assert np.linalg.norm(found[1][name] - here) < 1e-4 * np.linalg.norm(here), name


def test_small_gradients_are_lost_without_a_scale():
    """Why there is loss scaling: of 1e-8 in 16 bits nothing is left."""
    x = np.ones((1, 1, 2, 2, 8), np.float32)
    filters, grad = np.ones((1, 1, 1, 8, 8), np.float32), np.full((1, 1, 2, 2, 8), 1e-8, np.float32)
    options = {"stride": (1, 1, 1), "padding": (0, 0, 0)}
    backend = CudaBackend(0, "fp16")
    assert not backend.conv_backward(x, filters, grad, **options)[1].any()
    scaled = backend.conv_backward(x, filters, grad * np.float32(4096), **options)[1] / 4096
    np.testing.assert_allclose(scaled, 4e-8, rtol=2e-2)

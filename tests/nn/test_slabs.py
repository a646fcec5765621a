"""A network sees the same input whether it comes whole or a slab at a time."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn import slabs
from skadetect.nn.backends import cpu, reference
from skadetect.nn.network import Network
from skadetect.nn.slabs import Slabs, convolve_slabs
from skadetect.nn.spec import LayerSpec, NetworkSpec

SHAPES = {"cube": (1, 24, 10, 12, 3), "image": (1, 1, 24, 12, 3)}


def cut(x: np.ndarray) -> Slabs:
    axis = 1 if x.shape[1] > 1 else 2
    return Slabs(x.shape, lambda start, stop: x.take(np.arange(start, stop), axis=axis))


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def x(request: pytest.FixtureRequest) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(request.param, dtype=np.float32)


@pytest.fixture(params=[1, 1 << 11, 1 << 30], ids=["a row", "some rows", "all"], autouse=True)
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slabs, "SLAB_BYTES", request.param)


@pytest.mark.parametrize(
    ("extent", "stride", "padding"),
    [
        ((5, 3, 3), (2, 2, 2), (-1, -1, -1)),
        ((1, 3, 3), (1, 1, 1), (-1, -1, -1)),
        ((3, 5, 5), (1, 3, 3), (0, 0, 0)),
        ((1, 2, 2), (1, 2, 2), (0, 0, 0)),
        ((7, 7, 7), (4, 4, 4), (3, 3, 3)),
    ],
)
def test_a_convolution_by_slabs_is_that_of_the_whole(x, extent, stride, padding):
    if x.shape[1] == 1:  # an image is one plane
        extent, stride, padding = (1, *extent[1:]), (1, *stride[1:]), (0, *padding[1:])
    layer = LayerSpec("conv", "a", features=4, extent=extent, stride=stride, padding=padding, slope=0.1)
    rng = np.random.default_rng(1)
    filters = rng.standard_normal((*extent, 3, 4), dtype=np.float32)
    bias = rng.standard_normal(4, dtype=np.float32)
    whole = reference.conv_forward(x, filters, bias, stride=stride, padding=layer.pads, slope=0.1)
    for backend in (reference, cpu):
        parts = convolve_slabs(layer, cut(x), filters, bias, backend)
        np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("source", ["", "a"], ids=["plain", "added later"])
def test_a_network_gives_the_same_for_both(x, source):
    layers = [LayerSpec("conv", "a", features=4, extent=(1, 3, 3), norm=True, slope=0.1)]
    layers += [LayerSpec("conv", "b", features=4, extent=(1, 3, 3), slope=0.1)]
    layers += [LayerSpec("add", "c", source=source)] if source else []
    network = Network.initialise(NetworkSpec(3, tuple(layers)), np.random.default_rng(2))
    np.testing.assert_allclose(network.forward(cut(x), cpu), network.forward(x, cpu), rtol=1e-4, atol=1e-5)


def test_no_slab_is_much_larger_than_asked_for(x):
    sizes = [part.nbytes for _, _, part in cut(x).windows(3, 1, 1)]
    row = x.nbytes // x.shape[cut(x).axis]
    assert max(sizes) <= max(slabs.SLAB_BYTES, row) + 2 * row


def test_constant_features_are_summed_into_one(x):
    """At the edges too, where the network's padding is zero and not the constant."""
    constants = np.array([0.3, -2.0], np.float32)
    given = np.concatenate([x, np.ones_like(x[..., :1])], axis=-1)
    source = Slabs((*x.shape[:4], 5), cut(given).make, constants)
    whole = np.concatenate([x, np.broadcast_to(constants, (*x.shape[:4], 2))], axis=-1)
    np.testing.assert_array_equal(source.whole(), whole)
    layers = (LayerSpec("conv", "a", features=4, extent=(1, 5, 5), stride=(1, 2, 2), slope=0.1),)
    network = Network.initialise(NetworkSpec(5, layers), np.random.default_rng(3))
    for backend in (reference, cpu):
        np.testing.assert_allclose(network.forward(source, backend), network.forward(whole, cpu), atol=1e-5)

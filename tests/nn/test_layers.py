"""Pools, dense layers and output activations, forward and backward through a network."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.layers import initial_parameters
from skadetect.nn.network import Network
from skadetect.nn.spec import LayerSpec, NetworkSpec

LAYERS = [
    {"kind": "conv", "name": "c", "features": 4, "extent": [3, 3, 3], "slope": 0.2},
    {
        "kind": "pool",
        "name": "p",
        "pool": "average",
        "extent": [1, 2, 2],
        "stride": [1, 2, 2],
        "padding": [0, 0, 0],
    },
    {"kind": "leaky", "name": "l", "slope": 0.3},
    {"kind": "global_pool", "name": "g", "pool": "max"},
    {"kind": "dense", "name": "d", "features": 3, "slope": 0.1},
    {"kind": "dropout", "name": "o", "rate": 0.3},
]


@pytest.mark.parametrize("last", ["sigmoid", "softmax"])
def test_gradients_equal_finite_differences(last: str) -> None:
    spec = NetworkSpec.from_dict({"input_features": 2, "layers": [*LAYERS, {"kind": last, "name": "end"}]})
    network = Network.initialise(spec, np.random.default_rng(0))
    for name, value in network.parameters.items():
        network.parameters[name] = value.astype(np.float64)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 4, 4, 4, 2))
    y, tape = network.forward_train(x, reference, seed=3)
    weights = rng.normal(size=y.shape)
    grads = network.backward(tape, weights, reference)
    for name, value in list(network.parameters.items()):
        direction = rng.normal(size=value.shape)
        ends = []
        for sign in (1, -1):
            network.parameters[name] = value + sign * 1e-6 * direction
            ends.append((network.forward_train(x, reference, seed=3)[0] * weights).sum())
        network.parameters[name] = value
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(
            (grads[name] * direction).sum(), rel=1e-4, abs=1e-8
        )


def test_initial_filters_keep_the_variance() -> None:
    layer = LayerSpec("conv", "a", 256, (1, 3, 3), slope=0.0, norm=False, initial_bias=(0.0, -3.0))
    drawn = initial_parameters(layer, 64, 256, np.random.default_rng(0))
    assert drawn["a.filters"].std() == pytest.approx(np.sqrt(2 / (64 * 9)), rel=0.02)
    np.testing.assert_array_equal(drawn["a.bias"][:4], [0.0, -3.0, 0.0, -3.0])

"""Small networks and models shared by the tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from skadetect.nn.head import HeadSpec
from skadetect.nn.model import Model
from skadetect.nn.network import Network
from skadetect.nn.spec import NetworkSpec
from skadetect.normalize import Normalization
from skadetect.parameters import CONTINUUM, HI


def conv(name: str, features: int, extent: int, stride: int = 1, **more: Any) -> dict[str, Any]:
    """A normalised 2D convolution as a row of a network table."""
    row = {"kind": "conv", "name": name, "features": features, "extent": [1, extent, extent]}
    return {**row, "stride": [1, stride, stride], "norm": True, "slope": 0.1, **more}


def small_spec(outputs: int = 11) -> NetworkSpec:
    """Two strides, one residual block and dropout, as the shipped network but thin."""
    layers = [
        conv("first", 6, 5, 2),
        conv("stem", 8, 3, 2),
        conv("a", 8, 3),
        conv("b", 8, 3),
        {"kind": "add", "name": "sum", "source": "stem"},
        {"kind": "dropout", "name": "drop", "rate": 0.25},
        {"kind": "conv", "name": "out", "features": outputs},
    ]
    return NetworkSpec.from_dict({"input_features": 5, "layers": layers})


def small_network(seed: int = 0, *, trained: bool = True) -> Network:
    """A drawn network; `trained` gives its norms statistics and scales other than the start's."""
    rng = np.random.default_rng(seed)
    network = Network.initialise(small_spec(), rng)
    if trained:
        for table in (network.parameters, network.state):
            for name, value in table.items():
                shift = rng.normal(0.0, 0.2, value.shape).astype(np.float32)
                table[name] = value + (shift if not name.endswith("variance") else np.abs(shift))
    return network


def small_model(seed: int = 0, *, threshold: float = 0.5) -> Model:
    """A model of random weights: its boxes mean nothing, but they are many and repeatable."""
    head = HeadSpec(
        priors=((4.0, 4.0),), parameters=len(CONTINUUM), position_scale=1.4, size_clip=(-1.0, 1.0)
    )
    return Model(small_network(seed), head, Normalization(), CONTINUUM, threshold=threshold, name="small")


def cube_model(seed: int = 0, *, threshold: float = 0.5) -> Model:
    """The same for cubes: strides and filters that are longer along the spectrum."""
    rows: list[dict[str, Any]] = [
        {
            "kind": "conv",
            "name": "stem",
            "features": 6,
            "extent": [5, 3, 3],
            "stride": [2, 2, 2],
            "slope": 0.1,
        },
        {
            "kind": "conv",
            "name": "down",
            "features": 8,
            "extent": [3, 3, 3],
            "stride": [4, 2, 2],
            "slope": 0.1,
        },
        {"kind": "conv", "name": "a", "features": 8, "extent": [3, 3, 3], "slope": 0.1},
        {"kind": "add", "name": "sum", "source": "down"},
        {"kind": "conv", "name": "out", "features": 8 + len(HI)},
    ]
    head = HeadSpec(
        priors=((12.0, 4.0, 4.0),),
        stride=(8, 4, 4),
        ndim=3,
        parameters=len(HI),
        position_scale=1.4,
        size_clip=(-1.0, 1.0),
    )
    spec = NetworkSpec.from_dict({"input_features": 5, "layers": rows})
    network = Network.initialise(spec, np.random.default_rng(seed))
    return Model(network, head, Normalization(), HI, threshold=threshold, name="small-cube")

"""Whole steps of a training on a device, in the simulator, equal those of the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")

from skadetect.nn.backends import reference
from skadetect.nn.backends.cuda import tiles
from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.device import SIMULATED
from skadetect.nn.backends.cuda.tiles import Tile
from skadetect.train.learner import learner_for
from skadetect.train.loop import train_step
from skadetect.train.options import read_options
from skadetect.train.scaling import LossScale
from skadetect.train.state import new_state
from tests.train.patches import gaussian_patch
from tests.train.small_field import write_config

pytestmark = pytest.mark.skipif(not SIMULATED, reason="NUMBA_ENABLE_CUDASIM is off")

LAYERS = [
    {"kind": "conv", "name": "a", "features": 4, "extent": [1, 4, 4], "stride": [1, 4, 4], "norm": True},
    {"kind": "conv", "name": "b", "features": 4, "slope": 0.1},
    {"kind": "conv", "name": "c", "features": 11},
]


@pytest.fixture
def training(monkeypatch, tmp_path):
    monkeypatch.setattr(tiles, "SMALL", (Tile(32, 16, 16, 16, 3),))
    options = read_options(write_config(tmp_path / "a.toml"))[0]
    network = {"input_features": 5, "layers": LAYERS}
    return replace(options, network=network, sampling=replace(options.sampling, patch=16))


def steps(training, backend, count=2):
    """Losses, norms of the gradient and arrays after some steps."""
    patches = [
        gaussian_patch(shape=(16, 16), position=(6.3, 4.6)),
        gaussian_patch(shape=(16, 16), position=(9.3, 7.6), size=(3.0, 3.0)),
    ]
    state = new_state(training)
    state.scale = LossScale.start(moving=getattr(backend, "overflows", False))
    learner, numbers = learner_for(state, training.optimizer, backend), []
    for _ in range(count):
        terms, more = train_step(state, patches, training, backend=backend, learner=learner)
        numbers.append([*terms.to_dict().values(), more["gradient"]])
    learner.fetch()
    return np.array(numbers), {**state.network.parameters, **state.network.state}


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 2e-3)])
def test_steps_equal_those_of_the_reference(training, precision, tolerance):
    found, expected = steps(training, CudaBackend(0, precision)), steps(training, reference)
    np.testing.assert_allclose(found[0], expected[0], rtol=tolerance, atol=1e-7)
    for name, here in expected[1].items():
        assert np.linalg.norm(found[1][name] - here) < tolerance * np.linalg.norm(here), name

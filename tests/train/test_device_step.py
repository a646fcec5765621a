"""Whole steps of a training on a device, in the simulator, equal those of the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")

from skadetect.nn.backends import reference
from skadetect.nn.backends.cuda import tiles
from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.context import Context
from skadetect.nn.backends.cuda.device import SIMULATED
from skadetect.nn.backends.cuda.tiles import Tile
from skadetect.train.checkpoint import load_checkpoint
from skadetect.train.learner import learner_for
from skadetect.train.loop import train, train_step
from skadetect.train.options import read_options
from skadetect.train.record import Record
from skadetect.train.scaling import LossScale
from skadetect.train.state import new_state
from tests.train.patches import gaussian_patch
from tests.train.power_failure import power_failing
from tests.train.small_field import write_config, write_field

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


def begun(training, backend):
    """A state, its learner, patches and the back end."""
    patches = [
        gaussian_patch(shape=(16, 16), position=(6.3, 4.6)),
        gaussian_patch(shape=(16, 16), position=(9.3, 7.6), size=(3.0, 3.0)),
    ]
    state = new_state(training)
    state.scale = LossScale.start(moving=getattr(backend, "overflows", False))
    return state, learner_for(state, training.optimizer, backend), patches, backend


def steps(training, backend, count=2):
    """Losses, norms of the gradient and arrays after some steps."""
    state, learner, patches, _ = begun(training, backend)
    numbers = []
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


def test_only_patches_and_targets_go_there_and_a_few_sums_come_back(training, monkeypatch):
    """Weights, gradients and outputs stay where they are, from the second step on."""
    sent, fetched, constants = [], [], []
    copy_in, download, put = Context._copy_in, Context.download, Context.put
    monkeypatch.setattr(Context, "_copy_in", lambda *a: sent.append(a[1].nbytes) or copy_in(*a))
    monkeypatch.setattr(Context, "download", lambda *a: fetched.append(a[2]) or download(*a))
    monkeypatch.setattr(Context, "put", lambda *a: constants.append(a[1].nbytes) or put(*a))
    state, learner, patches, backend = begun(training, CudaBackend(0, "fp16"))
    for _ in range(2):
        counts = [len(record) for record in (sent, fetched, constants)]
        train_step(state, patches, training, backend=backend, learner=learner)
    there, back, new = (record[n:] for record, n in zip((sent, fetched, constants), counts, strict=True))
    assert sum(there) < 4 * 2 * 16 * 16 + 1000  # pixels of the patches, their targets: the weights are 1600
    assert sum(back) <= 10 + 2 * 4 * 4 and not new  # terms and norm; the anchors, one of a cell


@pytest.mark.slow
def test_a_training_that_was_cut_off_goes_on_bit_for_bit(training, monkeypatch, tmp_path):
    write_field(tmp_path / "field1", seed=1)
    monkeypatch.chdir(tmp_path)
    options = replace(training, steps=3, checkpoint_every=2, backend="cuda", precision="fp16")
    train(replace(options, out="whole"), progress=False)
    with power_failing(monkeypatch, step=2):
        train(replace(options, out="part"), progress=False)
    train(replace(options, out="part"), progress=False)
    one, two = (load_checkpoint(tmp_path / out / "checkpoint.safetensors") for out in ("whole", "part"))
    assert one.arrays.keys() == two.arrays.keys() and one.step == two.step == 3
    for group, arrays in one.arrays.items():
        assert arrays, group
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, two.arrays[group][name], err_msg=f"{group} {name}")
    curves = [Record(tmp_path / out / "losses.csv") for out in ("whole", "part")]
    for curve in curves:
        curve.restore(3)
    np.testing.assert_array_equal(curves[0].column("total"), curves[1].column("total"))

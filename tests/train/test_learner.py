"""Weights that a back end keeps move as those in NumPy's memory do, and go through a checkpoint unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")

from skadetect.nn.backends import cpu
from skadetect.nn.backends.base import KeepsWeights
from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.device import SIMULATED
from skadetect.nn.network import Network
from skadetect.nn.spec import NetworkSpec
from skadetect.train.checkpoint import load_checkpoint, save_checkpoint
from skadetect.train.learner import HostLearner, KeptLearner, learner_for
from skadetect.train.optimizers import OptimizerOptions, WeightAverage
from skadetect.train.options import read_options
from skadetect.train.scaling import LEAST, LossScale
from skadetect.train.state import TrainState, arrays_of, from_checkpoint, to_checkpoint
from tests.train.small_field import write_config

pytestmark = pytest.mark.skipif(not SIMULATED, reason="NUMBA_ENABLE_CUDASIM is off")

OPTIMIZERS = {
    "adamw": OptimizerOptions(weight_decay=0.1, clip=2.0, average=0.9),
    "adamw, not clipped": OptimizerOptions(clip=0.0, average=0.0),
    "sgd": OptimizerOptions(kind="sgd", weight_decay=0.05, clip=1.0),
    "nesterov": OptimizerOptions(kind="sgd", nesterov=True, clip=50.0, average=0.99),
}
LAYERS = [
    {"kind": "conv", "name": "a", "features": 3, "extent": [1, 2, 1], "norm": True},
    {"kind": "conv", "name": "b", "features": 5},
]


def begun(options, *, moving=True, seed=0):
    spec = NetworkSpec.from_dict({"input_features": 2, "layers": LAYERS})
    network = Network.initialise(spec, np.random.default_rng(seed))
    return TrainState(network, WeightAverage(options.average), scale=LossScale.start(moving=moving))


def drawn(state, step, *, bad=()):
    """Gradients times the loss scale, which overflow in the steps named, and a batch's statistics."""
    rng, factor = np.random.default_rng([7, step]), np.float32(state.scale.factor)
    arrays = {
        name: rng.normal(size=a.shape).astype("f4") * factor
        for name, a in sorted(state.network.parameters.items())
    }
    if step in bad:
        arrays["b.filters"].flat[3] = np.inf
    return arrays, {name: rng.random(a.shape).astype("f4") for name, a in state.network.state.items()}


def made(learner, state, steps, **bad):
    """What each of the steps answers."""
    answers = []
    for step in steps:
        gradients, found = drawn(state, step, **bad)
        if isinstance(learner, KeptLearner):
            gradients = {name: DEVICE.context.upload(a, "fp32") for name, a in gradients.items()}
            found = {name: DEVICE.context.upload(a, "fp32") for name, a in found.items()}
        learner.follow(found)
        answers.append(learner.learn(gradients, rate=0.01 * (step + 1)))
    learner.fetch()
    return answers


DEVICE = CudaBackend(0, "fp16")


def assert_states_equal(one, two, *, rtol):
    assert one.scale == two.scale
    assert (one.optimizer.step, one.average.count) == (two.optimizer.step, two.average.count)
    for (group, here), there in zip(arrays_of(one).items(), arrays_of(two).values(), strict=True):
        assert here.keys() == there.keys(), group
        for name, array in here.items():
            assert array.dtype == there[name].dtype
            np.testing.assert_allclose(there[name], array, rtol=rtol, atol=rtol, err_msg=f"{group} {name}")


@pytest.mark.parametrize("options", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_equals_the_host_also_when_a_step_is_left_out(options):
    here, there = begun(options), begun(options)
    start = {name: array.copy() for name, array in here.network.parameters.items()}
    expected = made(HostLearner(here, options, cpu), here, range(5), bad=(1, 3))
    found = made(KeptLearner(there, options, DEVICE), there, range(5), bad=(1, 3))
    assert [whole for _, whole in found] == [True, False, True, False, True]
    for (norm, whole), (wanted, same) in zip(found, expected, strict=True):
        assert whole == same
        assert not whole or norm == pytest.approx(wanted, rel=1e-6)
    assert_states_equal(here, there, rtol=2e-6)
    assert all(not np.array_equal(array, here.network.parameters[name]) for name, array in start.items())


def test_nothing_moves_when_an_overflow_cannot_be_mended():
    options = OPTIMIZERS["adamw"]
    for state in (begun(options), begun(options, moving=False)):
        state.scale.factor = LEAST if state.scale.moving else 1.0
        before = {name: array.copy() for name, array in state.network.parameters.items()}
        ((norm, whole),) = made(KeptLearner(state, options, DEVICE), state, range(1), bad=(0,))
        assert whole and not np.isfinite(norm)
        for name, array in before.items():
            np.testing.assert_array_equal(state.network.parameters[name], array)
        assert not state.optimizer.first and not state.average.sums and state.optimizer.step == 0


@pytest.mark.parametrize("kind", ["adamw", "nesterov"])
def test_a_checkpoint_goes_on_bit_for_bit(tmp_path, kind):
    options = OPTIMIZERS[kind]
    whole, part = begun(options), begun(options)
    made(KeptLearner(whole, options, DEVICE), whole, range(4), bad=(2,))
    made(KeptLearner(part, options, DEVICE), part, range(2))
    save_checkpoint(tmp_path / "c.safetensors", to_checkpoint(part))
    training = read_options(write_config(tmp_path / "a.toml"))[0]
    network = part.network.spec.to_dict()
    head = replace(training.head, stride=(1, 1, 1))
    training = replace(training, network=network, head=head, optimizer=options)
    again = from_checkpoint(load_checkpoint(tmp_path / "c.safetensors"), training)
    made(KeptLearner(again, options, DEVICE), again, range(2, 4), bad=(2,))
    assert_states_equal(whole, again, rtol=0)


def test_a_training_may_move_from_the_host_to_a_device_and_back():
    options = OPTIMIZERS["adamw"]
    here, moved = begun(options), begun(options)
    made(HostLearner(here, options, cpu), here, range(5))
    made(HostLearner(moved, options, cpu), moved, range(2))
    made(KeptLearner(moved, options, DEVICE), moved, range(2, 4))
    made(HostLearner(moved, options, cpu), moved, range(4, 5))
    assert_states_equal(here, moved, rtol=2e-6)


def test_who_learns_is_the_back_ends_choice():
    options, state = OPTIMIZERS["adamw"], begun(OPTIMIZERS["adamw"])
    assert isinstance(DEVICE, KeepsWeights) and not isinstance(cpu, KeepsWeights)
    assert isinstance(learner_for(state, options, DEVICE), KeptLearner)
    host = learner_for(state, options, cpu)
    assert isinstance(host, HostLearner) and host.network is state.network

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skadetect.errors import ConfigError
from skadetect.nn.backends.select import get_backend
from skadetect.nn.model import Model
from skadetect.nn.network import Network
from skadetect.train.checkpoint import load_checkpoint, save_checkpoint
from skadetect.train.options import read_options
from skadetect.train.state import averaged, from_checkpoint, new_state, to_checkpoint
from skadetect.train.validate import Metrics
from tests.train.small_field import write_config

PIPELINE = Path(__file__).parents[2] / "pipelines" / "continuum"


@pytest.fixture
def options(tmp_path):
    return read_options(write_config(tmp_path / "a.toml"))[0]


def test_the_recipe_of_sdc1_starts_as_the_model_that_it_grows_from():
    options, folder = read_options(PIPELINE / "sdc1.toml")
    grown = new_state(options, folder).network
    x = np.random.default_rng(0).normal(size=(1, 1, 32, 32, 5)).astype(np.float32)
    expected = Model.load("continuum").folded().network.forward(x, get_backend("cpu"))
    np.testing.assert_allclose(grown.forward(x, get_backend("cpu")), expected, atol=1e-4)
    assert len(grown.spec.layers) > len(Model.load("continuum").network.spec.layers)


def snapshot(network: Network) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in {**network.parameters, **network.state}.items()}


def assert_same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> None:
    assert one.keys() == two.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])


def test_new_weights_follow_from_the_seed(options):
    assert_same(snapshot(new_state(options).network), snapshot(new_state(options).network))


def test_average_is_the_network_until_it_has_seen_one_then_the_mean(options):
    state = new_state(options)
    assert_same(snapshot(averaged(state)), snapshot(state.network))
    before = snapshot(state.network)
    state.average.update({**state.network.parameters, **state.network.state})
    for array in state.network.parameters.values():
        array += 1.0
    state.average.update({**state.network.parameters, **state.network.state})
    mean = averaged(state).parameters["a.filters"]
    weight = 1.0 / (1.0 + options.optimizer.average)
    np.testing.assert_allclose(mean, before["a.filters"] + weight, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metrics", [None, Metrics(0.4, 0.9, 0.8, 0.7, float("nan"), 0.6, 0.5)])
def test_through_a_file_and_back(tmp_path, options, metrics):
    state = new_state(options)
    state.step, state.targets_seen, state.metrics = 5, 77, metrics
    state.best = -np.inf if metrics is None else 3.5
    state.average.update({**state.network.parameters, **state.network.state})
    save_checkpoint(tmp_path / "c.safetensors", to_checkpoint(state))
    again = from_checkpoint(load_checkpoint(tmp_path / "c.safetensors"), options)
    assert_same(snapshot(again.network), snapshot(state.network))
    assert_same(snapshot(averaged(again)), snapshot(averaged(state)))
    assert (again.step, again.targets_seen, again.best) == (5, 77, state.best)
    assert repr(again.metrics) == repr(metrics)


def test_other_layers_are_refused(tmp_path, options):
    path = write_config(tmp_path / "b.toml")
    path.write_text(path.read_text().replace("rate = 0.1", "rate = 0.2"))
    with pytest.raises(ConfigError, match="layers"):
        from_checkpoint(to_checkpoint(new_state(options)), read_options(path)[0])


def test_a_folded_start_is_the_initial_model_as_inference_sees_it(tmp_path, options):
    state = new_state(options)
    rng = np.random.default_rng(3)
    for array in [*state.network.parameters.values(), *state.network.state.values()]:
        array += rng.uniform(0.1, 0.5, array.shape).astype(array.dtype) if array.ndim == 1 else 0.0
    model = Model(state.network, options.head, options.normalization, options.specs)
    folded = replace(options, initial=str(model.save(tmp_path / "first.safetensors")), fold=True)
    network = new_state(folded).network
    assert network.spec == options.network_spec.without_norm() != options.network_spec
    assert all(array.flags.writeable for array in network.parameters.values())
    x = rng.standard_normal((1, 1, 16, 16, network.spec.input_features), dtype=np.float32)
    backend = get_backend("cpu")
    np.testing.assert_allclose(
        network.forward(x, backend), state.network.forward(x, backend), rtol=1e-4, atol=1e-5
    )


def test_to_fold_takes_an_initial_model(options):
    with pytest.raises(ConfigError, match="fold"):
        replace(options, fold=True)

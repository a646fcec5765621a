from __future__ import annotations

import numpy as np
import pytest

from skadetect.errors import ConfigError, ModelError
from skadetect.nn.model import Model
from skadetect.train.loop import train
from skadetect.train.record import Record
from tests.train.power_failure import power_failing
from tests.train.small_field import write_config, write_field
from tests.train.toy_bank import write_toy_bank


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("train")
    write_field(base / "field1", seed=1)
    return base


def arrays(path) -> dict[str, np.ndarray]:
    network = Model.load(path).network
    return {**network.parameters, **network.state}


def assert_equal(one, two):
    first, second = arrays(one), arrays(two)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def run(folder, out, *, resume=True, **settings):
    return train(write_config(folder / f"{out}.toml", out=out, **settings), resume=resume, progress=False)


def test_two_runs_are_equal_bit_for_bit_whatever_the_workers(folder):
    one, two = run(folder, "one", steps=3), run(folder, "two", steps=3, workers=1)
    assert_equal(one.last, two.last)
    assert not np.array_equal(
        arrays(one.last)["a.filters"], arrays(run(folder, "three", steps=2).last)["a.filters"]
    )


def test_a_resumed_run_equals_an_uninterrupted_one(folder, monkeypatch):
    whole = run(folder, "whole", steps=4)
    # the power fails in the third step: the checkpoint is of the second
    with power_failing(monkeypatch, step=2):
        run(folder, "part", steps=4, every=2)
    resumed = run(folder, "part", steps=4, every=2)
    assert_equal(whole.last, resumed.last)
    curves = [Record(folder / out / "losses.csv") for out in ("whole", "part")]
    for curve in curves:
        curve.restore(100)
    np.testing.assert_array_equal(curves[0].column("total"), curves[1].column("total"))


def test_a_finished_run_is_not_repeated_unless_asked(folder):
    first = run(folder, "done", steps=2)
    stamp = (folder / "done" / "checkpoint.safetensors").stat().st_mtime_ns
    assert_equal(first.last, run(folder, "done", steps=2).last)
    assert (folder / "done" / "checkpoint.safetensors").stat().st_mtime_ns == stamp
    run(folder, "done", steps=2, resume=False)
    assert (folder / "done" / "checkpoint.safetensors").stat().st_mtime_ns != stamp


def test_it_learns_validates_and_leaves_its_records(folder):
    validation = 'groups = [{ folders = ["field1"] }]'
    result = run(folder, "learns", steps=40, validation=validation)
    losses = Record(folder / "learns" / "losses.csv")
    losses.restore(40)
    total = losses.column("total")
    assert total[-8:].mean() < 0.8 * total[:4].mean()
    assert {p.name for p in (folder / "learns").iterdir()} == {
        "best.safetensors", "checkpoint.safetensors", "curves.png", "last.safetensors", "losses.csv",
        "validation.csv",
    }  # fmt: skip
    model = Model.load(result.last)
    assert model.threshold == pytest.approx(result.metrics.threshold)
    assert model.metadata["steps"] == 40 and model.metadata["patches"] == 80
    assert model.metadata["fields"] == ["field1"] and model.metadata["targets"] > 0
    assert_equal(result.last, result.best)


def test_starts_from_a_model(folder):
    first = run(folder, "base", steps=2)
    again = run(folder, "tuned", steps=1, extra=f'initial = "{first.last}"')
    change = arrays(again.last)["a.filters"] - arrays(first.last)["a.filters"]
    assert 0 < np.abs(change).max() < 0.03


def test_other_layers_than_the_checkpoint_are_refused(folder):
    run(folder, "layers", steps=2)
    path = write_config(folder / "layers.toml", out="layers", steps=3)
    path.write_text(path.read_text().replace("rate = 0.1", "rate = 0.2"))
    with pytest.raises(ConfigError, match="layers"):
        train(path, progress=False)


def test_a_loss_that_is_no_number_stops_the_training(folder, monkeypatch):
    from skadetect.nn.network import Network

    original = Network.initialise.__func__

    def broken(cls, spec, rng):
        network = original(cls, spec, rng)
        network.parameters["c.bias"][:] = np.nan
        return network

    monkeypatch.setattr(Network, "initialise", classmethod(broken))
    with pytest.raises(ModelError, match="learning_rate"):
        run(folder, "broken")


def test_a_stage_that_stops_early_is_the_start_of_the_whole(folder):
    whole = run(folder, "long", steps=4, every=2)
    part = run(folder, "short", steps=4, extra="stop = 2")
    assert Model.load(part.last).metadata["steps"] == 2
    curves = [Record(folder / out / "losses.csv") for out in ("long", "short")]
    for curve in curves:
        curve.restore(2)
    np.testing.assert_array_equal(curves[0].column("total"), curves[1].column("total"))
    assert Model.load(whole.last).metadata["steps"] == 4


def test_a_cube_model_learns_from_a_bank(tmp_path):
    write_toy_bank(tmp_path / "bank" / "one.npz")
    (tmp_path / "hi.toml").write_text(CUBES)
    result = train(tmp_path / "hi.toml", progress=False)
    losses = Record(tmp_path / "run" / "losses.csv")
    losses.restore(60)
    total = losses.column("total")
    assert np.mean(total[-10:]) < 0.8 * np.mean(total[:10])
    model = Model.load(result.last)
    assert model.head.ndim == 3 and model.parameters[0].name == "line_flux"


CUBES = """
steps = 60
parameters = "hi"
banks = [{ files = ["bank/*.npz"] }]
sampling = { patch = 24, channels = 32, batch = 4, workers = 0, mixture = { density = 300.0 } }
optimizer = { kind = "adamw", learning_rate = 5e-3 }
head = { priors = [[12.0, 5.0, 5.0]], stride = [8, 4, 4], ndim = 3, parameters = 7, position_scale = 1.4 }
network = { input_features = 5, layers = [
    { kind = "conv", name = "a", features = 8, extent = [5, 3, 3], stride = [4, 2, 2], norm = true },
    { kind = "leaky", name = "a_leaky", slope = 0.1 },
    { kind = "conv", name = "b", features = 16, extent = [3, 3, 3], stride = [2, 2, 2], norm = true },
    { kind = "leaky", name = "b_leaky", slope = 0.1 },
    { kind = "conv", name = "c", features = 15, initial_bias = [0,0,0,0,0,0,0,-3,0,0,0,0,0,0,0] },
] }
"""

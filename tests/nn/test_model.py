"""Model files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skadetect.errors import ModelError, OutputError
from skadetect.nn.model import Model, find_model, shipped_models
from tests.nn.networks import small_model


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    model = replace(small_model(), metadata={"seed": 3, "fields": ["a", "b"]}, nms_overlap=0.25)
    again = Model.load(model.save(tmp_path / "m.safetensors"))
    assert again.digest == model.digest
    for name in ("head", "normalization", "parameters", "threshold", "nms_overlap", "name", "metadata"):
        assert getattr(again, name) == getattr(model, name)
    assert again.network.spec == model.network.spec
    for name, value in model.network.state.items():
        np.testing.assert_array_equal(again.network.state[name], value)
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_every_shipped_model_loads() -> None:
    for name, path in shipped_models().items():
        model = Model.load(name)
        assert find_model(name) == path
        assert path.with_suffix(".md").is_file(), "a shipped model has its card"
        assert path.stat().st_size < 15e6
        assert 0 < model.threshold < 1


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model 'nonesuch'"):
        Model.load("nonesuch")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(small_model().save(tmp_path / "m.safetensors").read_bytes()[:500])
    with pytest.raises(ModelError, match="cannot read model"):
        Model.load(broken)
    with pytest.raises(OutputError, match="cannot write model"):
        small_model().save(Path("/dev/null/m.safetensors"))


def test_network_head_and_normalisation_must_fit() -> None:
    model = small_model()
    with pytest.raises(ModelError, match="has 11 outputs, its head reads 10"):
        replace(model, head=replace(model.head, parameters=4))
    with pytest.raises(ModelError, match="reads 5 features, its normalisation makes 2"):
        replace(model, normalization=replace(model.normalization, beam_planes=False))


def test_context_reaches_one_cell_further_where_centres_may_leave_their_cell() -> None:
    model = small_model()
    inside = replace(model, head=replace(model.head, position_scale=1.0))
    assert inside.halo == model.network.halo
    assert model.halo == (0, inside.halo[1] + 4, inside.halo[2] + 4)

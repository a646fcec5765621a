from __future__ import annotations

import numpy as np
import pytest

from skadetect.errors import ModelError, OutputError
from skadetect.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def example() -> Checkpoint:
    rng = np.random.default_rng(1)
    arrays = {
        "parameters": {"a.filters": rng.standard_normal((2, 3)).astype("f4"), "a.bias": np.zeros(3, "f4")},
        "average": {"a.filters": rng.standard_normal((2, 3))},
        "second": {},
    }
    return Checkpoint(17, arrays, {"best": 1.25, "metrics": None, "name": "x"})


def test_round_trip_is_exact(tmp_path):
    saved = example()
    save_checkpoint(tmp_path / "c.safetensors", saved)
    found = load_checkpoint(tmp_path / "c.safetensors")
    assert found.step == 17
    assert found.numbers == saved.numbers
    assert {group: set(named) for group, named in found.arrays.items()} == {
        group: set(named) for group, named in saved.arrays.items()
    }
    for group, named in saved.arrays.items():
        for name, array in named.items():
            assert found.arrays[group][name].dtype == array.dtype
            np.testing.assert_array_equal(found.arrays[group][name], array)


def test_replaces_and_leaves_no_temporary_file(tmp_path):
    for _ in range(2):
        save_checkpoint(tmp_path / "c.safetensors", example())
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


def test_what_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "c.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="c.safetensors"):
        load_checkpoint(tmp_path / "c.safetensors")
    with pytest.raises(ModelError):
        load_checkpoint(tmp_path / "absent.safetensors")


def test_unwritable_folder_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="absent"):
        save_checkpoint(tmp_path / "absent" / "c.safetensors", example())

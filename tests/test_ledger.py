"""Finished tiles kept and found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from skadetect.detections import Detections
from skadetect.errors import OutputError
from skadetect.ledger import Ledger, file_identity

RUN = {"image": "abc", "threshold": 0.5}


def _rows(n: int, seed: int = 0) -> Detections:
    rng = np.random.default_rng(seed)
    return Detections.from_columns(
        position=rng.random((n, 2)),
        boxes=rng.random((n, 2, 2)),
        score=rng.random(n),
        parameters=rng.random((n, 5)),
    )


def test_what_was_added_is_found_by_the_next_run(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "a.parts", RUN)
    ledger.add(3, _rows(4), 1.5)
    ledger.add(0, _rows(0), 0.0)
    found = Ledger(tmp_path / "a.parts", RUN).finished()
    assert list(found) == [0, 3]
    rows, seconds = found[3]
    assert seconds == 1.5
    for name in Detections.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(rows, name), getattr(_rows(4), name))
    assert found[0][0].parameters.shape == (0, 5)


def test_tiles_of_another_run_are_thrown_away(tmp_path: Path) -> None:
    Ledger(tmp_path / "a.parts", RUN).add(1, _rows(2), 0.1)
    (tmp_path / "a.parts" / "notes.txt").write_text("not a tile")
    assert Ledger(tmp_path / "a.parts", {**RUN, "threshold": 0.4}).finished() == {}
    assert (tmp_path / "a.parts" / "notes.txt").exists()


def test_half_written_and_damaged_tiles_are_done_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "a.parts", RUN)
    ledger.add(1, _rows(2), 0.1)
    ledger.add(2, _rows(2), 0.1)
    (tmp_path / "a.parts" / "tile-00000003.part").write_bytes(b"half")
    path = tmp_path / "a.parts" / "tile-00000002.npz"
    path.write_bytes(path.read_bytes()[:100])
    ledger.add(4, _rows(2), 0.1)
    with np.load(tmp_path / "a.parts" / "tile-00000004.npz") as columns:
        older = {name: columns[name] for name in columns.files if name != "cut"}
    np.savez(tmp_path / "a.parts" / "tile-00000004.npz", **older)
    assert list(Ledger(tmp_path / "a.parts", RUN).finished()) == [1]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write to"):
        Ledger(tmp_path / "file" / "a.parts", RUN)


def test_a_changed_file_is_another_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    first = file_identity(path)
    assert file_identity(path) == first
    path.write_text("three")
    assert file_identity(path) != first

"""Finished steps are known again by their input, and only while what they made is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from skadetect.errors import ConfigError, OutputError
from skadetect.sdc.steps import Steps, changed, digest, make_folder, rounded


def test_a_step_is_done_for_the_same_input_only(tmp_path: Path) -> None:
    steps = Steps(tmp_path / "run")
    assert steps.done("tune", ["a", 1]) is None
    assert steps.record("tune", ["a", 1], {"score": 2.5}) == {"score": 2.5}
    assert Steps(tmp_path / "run").done("tune", ["a", 1]) == {"score": 2.5}
    assert steps.done("tune", ["a", 2]) is None and steps.done("detect", ["a", 1]) is None
    steps.record("tune", ["a", 2], {"score": 3.0})  # the last one counts
    assert steps.done("tune", ["a", 1]) is None


def test_a_step_whose_file_is_gone_is_not_done(tmp_path: Path) -> None:
    made, steps = tmp_path / "catalog.fits", Steps(tmp_path)
    made.touch()
    steps.record("detect", None, {"rows": 3})
    assert steps.done("detect", None, needs=(made,)) == {"rows": 3}
    made.unlink()
    assert steps.done("detect", None, needs=(made,)) is None


def test_steps_keep_each_other(tmp_path: Path) -> None:
    steps = Steps(tmp_path)
    for name in ("prepare", "train", "tune"):
        steps.record(name, name, {"of": name})
    assert [steps.done(name, name) for name in ("prepare", "train")] == [{"of": "prepare"}, {"of": "train"}]


def test_a_damaged_file_is_as_if_nothing_was_done(tmp_path: Path) -> None:
    steps = Steps(tmp_path)
    steps.record("tune", 1, {"score": 1.0})
    steps.path.write_text(steps.path.read_text()[:-20])
    assert steps.done("tune", 1) is None
    steps.record("tune", 1, {"score": 1.0})
    assert steps.done("tune", 1) == {"score": 1.0}


def test_another_version_of_the_package_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest({"b": 1, "a": Path("x")})
    assert before == digest({"a": "x", "b": 1})  # in any order, paths as text
    monkeypatch.setattr("skadetect.sdc.steps.__version__", "999")
    assert before != digest({"b": 1, "a": Path("x")})


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/run cannot be made: "):
        make_folder(tmp_path / "file" / "run")
    with pytest.raises(OutputError, match=r"file/run cannot be made: "):
        Steps(tmp_path / "file" / "run").record("tune", 1, {})


@dataclass(frozen=True)
class _Options:
    steps: int = 3
    rate: float = 0.5


def test_options_are_changed_by_name() -> None:
    assert changed(_Options(), {"rate": 0.1}) == _Options(3, 0.1)
    with pytest.raises(ConfigError, match="unknown option 'raet', expected one of steps, rate"):
        changed(_Options(), {"raet": 0.1})
    assert rounded({"given": 1.26, "single": 2.0}) == '{"given": 1.3, "single": 2.0}'

"""Training from the command line: what is handed to the training loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from skadetect.cli import main


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Calls of the training loop, which does nothing."""
    seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr("skadetect.train.loop.train", lambda *args, **kwargs: seen.append((args, kwargs)))
    return seen


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["train", "a.toml"], {"resume": True, "progress": True}),
        (["train", "a.toml", "--restart"], {"resume": False, "progress": True}),
        (["train", "a.toml", "-q"], {"resume": True, "progress": False}),
        (["-q", "train", "a.toml"], {"resume": True, "progress": False}),
    ],
)
def test_flags_become_arguments(flags: list[str], expected: dict[str, bool], calls: list) -> None:
    assert CliRunner().invoke(main, flags).exit_code == 0
    assert calls == [((Path("a.toml"),), expected)]


def test_bad_configuration_is_one_line(tmp_path: Path) -> None:
    absent = CliRunner().invoke(main, ["train", str(tmp_path / "absent.toml")])
    assert absent.exit_code == 2
    assert "absent.toml: No such file" in absent.stderr
    config = tmp_path / "config.toml"
    config.write_text("stepps = 3\n")
    wrong = CliRunner().invoke(main, ["train", str(config)])
    assert wrong.exit_code == 2
    assert (
        wrong.stderr
        == "skadetect: error: config.toml: unknown key 'stepps'; did you mean 'steps' or 'stop'?\n"
    )

"""The list of shipped models and their cards."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from skadetect.cli import main
from skadetect.cli.models import card_summary

CARD = "# Continuum\n\nFinds galaxies\nin radio images. Trained on simulations.\n\n| a | b |\n"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: tmp_path / f"{name}.safetensors" for name in ("continuum", "hi")}
    files["continuum"].with_suffix(".md").write_text(CARD)
    monkeypatch.setattr("skadetect.nn.model.shipped_models", lambda: files)


def test_summary_is_the_first_sentence() -> None:
    assert card_summary(CARD) == "Finds galaxies in radio images."
    assert card_summary("") == ""
    assert card_summary("# Title\nOne line") == "One line."


@pytest.mark.usefixtures("shipped")
def test_models_are_listed_with_their_summary() -> None:
    assert CliRunner().invoke(main, ["models"]).output == "continuum  Finds galaxies in radio images.\nhi\n"


@pytest.mark.usefixtures("shipped")
def test_card_of_one_model() -> None:
    assert CliRunner().invoke(main, ["models", "continuum"]).output == CARD.strip() + "\n"
    assert CliRunner().invoke(main, ["models", "hi"]).output == "hi has no model card\n"
    result = CliRunner().invoke(main, ["models", "optical"])
    assert result.exit_code == 2
    assert "'optical': expected one of continuum, hi" in result.stderr

"""Scores from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from skadetect.catalog.sdc1 import read_sdc1, write_sdc1
from skadetect.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A submission of the 40 brightest sources of the example field, five moved away, and their truth."""
    truth = read_sdc1(ROOT / "examples" / "field" / "truth.txt").nlargest(40, "flux")
    moved = truth.copy()
    moved.loc[moved.index[:5], ["ra_core", "ra_cent"]] += 1.0
    paths = tmp_path / "sub.txt", tmp_path / "truth.txt"
    write_sdc1(moved, paths[0])
    write_sdc1(truth, paths[1], header=False)
    return str(paths[0]), str(paths[1])


def score(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["score", *arguments])


def test_json_and_table_say_the_same(files: tuple[str, str]) -> None:
    figures = json.loads(score(*files, "--json").stdout)
    assert (figures["n_det"], figures["n_match"], figures["n_false"]) == (40, 35, 5)
    assert figures["score"] == pytest.approx(35 - 5)
    assert figures["purity"] == pytest.approx(35 / 40)
    table = dict(line.strip().split("  ", 1) for line in score(*files).stdout.splitlines())
    assert float(table["score"]) == 30.0
    assert int(table["matches"]) == 35
    assert float(table["flux"]) == 1.0


def test_area_is_chosen(files: tuple[str, str]) -> None:
    # the example field lies outside the training area
    assert json.loads(score(*files, "--train", "--json").stdout)["n_det"] == 0
    assert json.loads(score(*files, "--everywhere", "--json").stdout)["n_det"] == 40
    both = score(*files, "--everywhere", "--train")
    assert both.exit_code == 2
    assert "exclude each other" in both.stderr


@pytest.mark.parametrize("noise", [[], ["--noise", "3.6e-7"]])
def test_curves_are_drawn(files: tuple[str, str], noise: list[str], tmp_path: Path) -> None:
    result = score(*files, "--curves", str(tmp_path / "curves.png"), *noise)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_absent_catalogue_is_one_line(files: tuple[str, str]) -> None:
    result = score("absent.txt", files[1])
    assert result.exit_code == 2
    assert result.stderr.startswith("skadetect: error: absent.txt: cannot read the catalogue")
    assert result.stderr.count("\n") == 1

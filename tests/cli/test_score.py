"""Scores from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from skadetect.catalog.sdc1 import read_sdc1, write_sdc1
from skadetect.catalog.sdc2 import write_sdc2
from skadetect.cli import main
from tests.evaluate.sdc2_oracle import random_tables

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


@pytest.fixture
def cube_files(tmp_path: Path) -> tuple[str, str]:
    """A submission of galaxies with one of them twice and two false rows, and their truth."""
    truth = random_tables(0, n=20, spread=0.2)[0].iloc[:20]
    again, false = truth.iloc[:1].assign(id=-1), truth.iloc[:2].assign(id=[-2, -3], dec=-32.0)
    paths = tmp_path / "sub.txt", tmp_path / "truth.txt"
    write_sdc2(pd.concat([truth, again, false]), paths[0])
    write_sdc2(truth, paths[1])
    return str(paths[0]), str(paths[1])


def test_cubes_are_scored_by_the_second_challenge(cube_files: tuple[str, str], tmp_path: Path) -> None:
    arguments = (*cube_files, "--challenge", "sdc2", "--curves", str(tmp_path / "a.png"))
    figures = json.loads(score(*arguments, "--json").stdout)
    assert (figures["n_det"], figures["n_match"], figures["n_false"]) == (23, 21, 2)
    assert (figures["n_duplicates"], figures["n_truth"]) == (1, 20)
    assert figures["score"] == pytest.approx(20 - 2)
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    table = dict(line.strip().split("  ", 1) for line in score(*arguments).stdout.splitlines())
    assert float(table["score"]) == 18.0
    assert int(table["duplicates"]) == 1
    assert float(table["hi_size"]) == float(table["mean attribute"]) == 1.0


def test_other_cubes_have_a_beam_and_all_frequencies(tmp_path: Path) -> None:
    truth = random_tables(1, n=20, spread=0.2, band=(1.40e9, 1.43e9))[0]
    write_sdc2(truth, tmp_path / "a.txt")
    arguments = (str(tmp_path / "a.txt"), str(tmp_path / "a.txt"), "--challenge", "sdc2", "--json")
    assert json.loads(score(*arguments).stdout)["n_match"] == 0
    everywhere = ("--everywhere", "--beam", "30")
    for there in ((), ("--centre", "180.1", "-30.1")):
        assert json.loads(score(*arguments, *everywhere, *there).stdout)["n_match"] == len(truth)


@pytest.mark.parametrize(
    "arguments",
    [("--beam", "9"), ("--challenge", "sdc2", "--freq", "1400"), ("--challenge", "sdc2", "--noise", "1")],
)
def test_options_of_the_other_challenge_are_refused(
    cube_files: tuple[str, str], arguments: tuple[str, ...]
) -> None:
    result = score(*cube_files, *arguments)
    assert result.exit_code == 2
    assert f"{arguments[-2]} does not go with --challenge" in result.stderr

"""skadetect plan: a table of the searches for people, all figures as JSON, errors in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from skadetect.cli import main
from skadetect.pixels import FitsPixels
from skadetect.plan import Rates
from tests.fits_files import sparse_sdc2

FIELD = Path(__file__).parents[2] / "examples" / "field" / "image.fits"
COLUMNS = ["search on", "tile", "tiles", "background", "network", "second look", "reading"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No trial of this machine, and no pixels read."""

    def read(*_: object) -> None:
        raise AssertionError("pixels of the file were read")

    rates = Rates(tile=1e-7, background=1e-8, averaging=1e-9, source=1e-5)
    monkeypatch.setattr("skadetect.plan.measure_rates", lambda *_: rates)
    monkeypatch.setattr(FitsPixels, "read", read)


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """A cube of the whole challenge's shape whose pixels take no place on the disk."""
    return sparse_sdc2(tmp_path / "sky_full_v2.fits")


def test_a_cube_has_a_line_a_search(sparse: Path) -> None:
    result = CliRunner().invoke(main, ["plan", str(sparse), "--levels", "2"])
    assert result.exit_code == 0, result.output
    first, head, *lines = result.stdout.splitlines()
    assert "6668 x 5851 x 5851 pixels, 913 GB" in first and first.endswith("model hi")
    assert [head.find(name) for name in COLUMNS] == sorted(head.find(name) for name in COLUMNS)
    searches = [line for line in lines if line.lstrip().startswith("6668 x ")]
    assert len(searches) == 3
    ends = [head.index(name) + len(name) for name in COLUMNS[3:]]
    assert all(line[end - 1] in "sn" or line[end - 1] == "h" for line in searches for end in ends)
    assert "0.0 s" not in searches[0] and "0.0 s" in searches[1]  # few candidates on averaged pixels
    assert any(line.startswith("memory") and "of 2.00 GB" in line for line in lines)


def test_json_has_all_figures() -> None:
    figures = json.loads(CliRunner().invoke(main, ["plan", str(FIELD), "--json"]).stdout)
    levels = figures["levels"]
    assert [level["shape"][1] for level in levels] == [512, 256, 128, 64, 32]
    assert figures["n_tiles"] == sum(level["n_tiles"] for level in levels)
    assert all(level["again_seconds"] == 0.0 for level in levels)
    parts = ("background_seconds", "tile_seconds", "reading_seconds", "again_seconds")
    total = sum(level[part] for level in levels for part in parts) + figures["catalog_seconds"]
    assert figures["seconds"] == pytest.approx(total)


def test_an_error_is_one_line_and_exit_code_2(sparse: Path) -> None:
    for arguments in (["absent.fits"], [str(sparse), "--max-memory", "450MB"]):
        result = CliRunner().invoke(main, ["plan", *arguments])
        assert result.exit_code == 2 and result.stderr.count("\n") == 1
        assert result.stderr.startswith("skadetect: error: ")

"""Submissions checked from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from skadetect.catalog.sdc1 import SDC1_COLUMNS
from skadetect.cli import main

ROW = "1 0.1 -30.1 359.9 -30.2 1.5e-6 0.0375 1.25 0.5 -45 2 3"


def test_a_bad_file_is_told_and_ends_with_one(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text(f"{' '.join(SDC1_COLUMNS)}\n{ROW}\n")
    bad.write_text(f"{ROW}\n{ROW}\n")
    result = CliRunner().invoke(main, ["validate", str(good)])
    assert (result.exit_code, result.stdout) == (0, f"{good}: sdc1: valid, 1 rows\n")
    result = CliRunner().invoke(main, ["validate", str(good), str(bad)])
    assert result.exit_code == 1
    assert f"{bad}: sdc1: 2 problems\n  problem: 0 lines before the first row" in result.stdout
    rows = json.loads(CliRunner().invoke(main, ["validate", str(bad), "--json"]).stdout)
    assert (rows[0]["valid"], len(rows[0]["problems"])) == (False, 2)
    absent = CliRunner().invoke(main, ["validate", "absent.txt"])
    assert (absent.exit_code, absent.stderr.count("\n")) == (2, 1)

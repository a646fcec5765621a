"""What the command says about the machine."""

from __future__ import annotations

import numpy as np
from click.testing import CliRunner

import skadetect
from skadetect.cli import main


def test_info_names_versions_threads_and_models() -> None:
    result = CliRunner().invoke(main, ["info"])
    assert result.exit_code == 0
    rows = dict(line.split(maxsplit=1) for line in result.output.splitlines())
    assert rows["skadetect"] == skadetect.__version__
    assert rows["numpy"] == np.__version__
    assert "threads" in rows["blas"]
    assert {"python", "processors", "models"} <= set(rows)


def test_plan_names_an_algorithm_for_every_convolution() -> None:
    result = CliRunner().invoke(main, ["info", "--plan", "continuum"])
    assert result.exit_code == 0
    rows = [line.split() for line in result.output.splitlines()[2:]]
    chosen = {row[0]: row[-1] for row in rows}
    assert chosen["stem1"] == chosen["outputs"] == "direct"
    assert chosen["block1a"] == "winograd"
    assert len(chosen) == 12


def test_plan_of_an_unknown_model_is_one_clear_error() -> None:
    result = CliRunner().invoke(main, ["info", "--plan", "nothing"])
    assert result.exit_code != 0
    assert "no model" in str(result.exception or "") + result.output

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

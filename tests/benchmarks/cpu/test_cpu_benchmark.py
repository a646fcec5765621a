"""The benchmark of the CPU back end runs, and its engines agree, on patches that take no time."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.mark.parametrize(("name", "patch"), [("continuum", "1 40 48"), ("hi", "16 16 16")])
def test_the_command_prints_layers_and_ratios(name, patch, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    run = importlib.import_module("run")
    run.main([name, "--rounds", "1", "--train", "--errors", "--patch", *patch.split()])
    text = capsys.readouterr().out
    assert "outputs" in text
    assert "training step" in text
    assert "error against double precision" in text
    assert all(engine in text for engine in ("skadetect", "onnxruntime", "pytorch", "ratio"))

"""The model card says what the header says; its first sentence is what `skadetect models` lists."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from skadetect.cli.models import card_summary
from tests.nn.networks import small_model

SCRIPT = Path(__file__).parents[2] / "pipelines" / "continuum" / "card.py"
SPEC = importlib.util.spec_from_file_location("card", SCRIPT)
card = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(card)

STAGE = {
    "steps": 40,
    "patches": 80,
    "targets": 1234,
    "fields": ["sdc1_001", "sdc1_002"],
    "options": {
        "seed": 7,
        "fields": [{"folders": ["fields/sdc1_*"], "weight": 0.65}],
        "sampling": {"patch": 192},
        "optimizer": {"learning_rate": 2e-3},
        "selection": {"min_snr": 2.5},
    },
}
PULL = {"quantity": "ra", "low": 0.0, "high": 1e9, "n": 50, "median": -0.1, "width": 1.02, "group": "held"}
METADATA = {
    "description": "Sources of toys",
    "skadetect": "1.2.3",
    "commands": ["skadetect train toy.toml"],
    "training": [STAGE],
    "validation": dict.fromkeys(
        (
            "threshold",
            "score",
            "score_purity",
            "mean_attribute",
            "completeness",
            "purity",
            "average_precision",
        ),
        0.625,
    ),
    "validation_options": {"completeness_snr": 5.0, "real_snr": 2.0, "lowest_purity": 0.94},
    "held_out_fields": ["validation_501", "validation_502"],
    "error_calibration": {"e_ra": (1.5, 0.02)},
    "pulls": [PULL, PULL | {"quantity": "flux", "median": 0.03, "width": 0.17}],
    "pulls_by_snr": [PULL | {"high": 5.0, "n": 3}, PULL | {"low": 5.0, "n": 0, "quantity": "flux"}],
    "flux_mean": {"network": 0.12, "aperture": 0.04, "scale": {"constant": 0.1, "slope": 0.0}},
    "bmaj_beyond_three": 0.071,
}


@pytest.fixture(scope="module")
def text() -> str:
    return card.model_card(replace(small_model(), name="toy", metadata=METADATA), 1_250_000)


def test_the_summary_is_the_description(text):
    assert card_summary(text) == "Sources of toys."


@pytest.mark.parametrize(
    "part",
    [
        "# toy\n",
        "1.25 MB",
        "    skadetect train toy.toml\n",
        "| 1 | 40 | 80 of 192^2 | 1234 | 7 | 0.002 | fields/sdc1_* 0.65 |",
        "`sdc1_001` to `002` (2)",
        "| `e_ra` | 1.5 | 0.02 | bmaj |",
        "| `held` | all | 50 | 1.02 (-0.10) | 0.17 (+0.03) |",
        "| `held` | 0 to 5 | 0 |  |  |",
        "7 % of the pulls",
        "network's, known to 12 %, and of sums of pixels, known to their noise and 4 %",
        "purity is at least 0.94 | 0.62 |",
        "| first | conv | 5x5 | 2 | 5 to 6 | batch norm, leaky ReLU 0.1 | 762 |",
    ],
)
def test_the_card_has_what_the_header_has(text, part):
    assert part in text, text


def test_tables_are_rectangular(text):
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) <= 1, block

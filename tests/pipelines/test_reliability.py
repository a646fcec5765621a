"""Rows that probabilities of images are fitted on: which are real, and what is reported of them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skadetect.detect import Detector
from skadetect.nn.model import Model
from skadetect.simulate import random_telescope, simulate_continuum

FOLDER = Path(__file__).parents[2] / "pipelines" / "continuum"


@pytest.fixture(scope="module")
def reliability():
    with pytest.MonkeyPatch.context() as patching:
        patching.syspath_prepend(FOLDER)
        import reliability

        yield reliability
        for name in ("reliability", "held_out"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def rows(reliability, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fields") / "telescope_3"
    simulate_continuum(folder, options=random_telescope(3, size=512, crowding=(2e-2, 3e-2)))
    model = replace(Model.load("continuum"), metadata={})
    return reliability._rows(Detector(model, threshold=reliability.LEAST_SCORE), folder)


def test_bright_rows_of_a_field_are_real_and_faint_ones_noise(reliability, rows):
    seen = rows[rows["score"].notna()]
    assert len(seen) > 10 and (seen["score"] >= reliability.LEAST_SCORE).all()
    loud = seen[(seen["snr"] > 8) & (seen["score"] > 0.8)]
    assert len(loud) > 3 and loud["real"].mean() > 0.9
    assert seen[(seen["snr"] < 4) & (seen["score"] < 0.2)]["real"].mean() < 0.3
    assert seen["density"].nunique() == 1 and 1e-3 < seen["density"].iloc[0] < 5e-2
    # most of what is bright sums up to its flux, and rows are about as far apart as at random
    assert np.median(np.abs(np.log(loud["sums"]))) < 0.15
    assert 0.5 < seen["distance"].median() < 1.5
    # peaks are those expected of the sources, which noise changes by one
    assert np.nanmedian(np.abs(loud["peak"] - loud["snr"]) / loud["snr"]) < 0.3


def test_sources_without_a_row_are_missed_ones(reliability, rows):
    missed = rows[rows["score"].isna()]
    assert len(missed) and missed["real"].all() and (missed["peak"] >= reliability.REAL_SNR).all()
    assert missed["peak"].median() < rows[rows["real"] & rows["score"].notna()]["peak"].median()


def test_what_is_reported_of_some_rows(reliability):
    rows = pd.DataFrame(
        {
            "field": ["a", "a", "b", "b"],
            "prob": [0.9, 0.7, 0.8, np.nan],
            "real": [True, False, True, True],
            "peak": [9.0, np.nan, 3.0, 6.0],
        }
    )
    assert reliability._summary("some", rows, 0.75) == {
        "group": "some",
        "fields": 2,
        "rows": 2,
        "purity": 1.0,
        "expected purity": pytest.approx(0.85),
        "completeness": 0.5,
    }

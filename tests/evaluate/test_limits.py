"""Limits: nothing beats them but luck, they rise with signal to noise, and constants are the best ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluate.test_sdc1 import truth_table

from skadetect.evaluate.limits import LimitOptions, attribute_limits
from skadetect.evaluate.sdc1 import PreparedTruth, match_sdc1
from skadetect.evaluate.sdc1_attributes import ATTRIBUTES

OPTIONS = LimitOptions(sample=300, population=300)


def table(noise: float, changes: dict | None = None, n: int = 300) -> pd.DataFrame:
    truth = truth_table(n).assign(size=2, core_frac=0.0375, flux=1e-5)
    prepared = PreparedTruth.prepare(truth)
    match = match_sdc1(truth.assign(**(changes or {})), prepared)
    return attribute_limits(match, prepared, np.full(n, noise), OPTIONS)


def test_without_noise_everything_is_known():
    found = table(1e-12)
    assert list(found.index) == list(ATTRIBUTES)
    assert found["score"].tolist() == [1.0] * 7
    measured = found.loc[["position", "flux", "b_maj", "b_min", "pa"], "limit"]
    assert measured.to_numpy() == pytest.approx(1.0, abs=0.02)  # angles are answered in half degrees


def test_limits_fall_with_noise_and_the_population_helps():
    names = ["flux", "b_maj", "b_min", "pa"]
    rows = [table(noise).loc[names] for noise in (3e-8, 3e-7, 2e-6)]
    limits = np.array([row["limit"].to_numpy() for row in rows])
    assert (np.diff(limits, axis=0) < 0).all()
    # all fluxes are alike here: who knows the population knows them
    assert rows[2].loc["flux", "limit_with_population"] > 0.99 > rows[2].loc["flux", "limit"] + 0.2
    for name in ("b_maj", "b_min"):
        assert rows[2].loc[name, "limit_with_population"] > rows[2].loc[name, "limit"]


def test_a_constant_submission_scores_what_constants_score():
    truth = truth_table(300)
    answers = {"pa": 10.0, "class": 3, "core_frac": 0.0375}
    constant, score = (table(3e-7, answers)[name] for name in ("constant", "score"))
    for name in ("pa", "class", "core_frac"):
        assert score[name] <= constant[name] + 1e-9
    assert constant["class"] == pytest.approx(truth["class"].value_counts(normalize=True).max(), abs=0.05)
    assert constant["flux"] == pytest.approx(1.0)
    assert np.isnan(constant["position"])


def test_a_measurement_at_the_bound_scores_the_limit():
    """Fluxes perturbed by the error of a point in white noise through its beam: its peak's."""
    n, noise = 2000, 5e-7
    truth = truth_table(n).assign(size=2, b_maj=0.01, b_min=0.01, flux=1e-5)
    prepared = PreparedTruth.prepare(truth)
    rng = np.random.default_rng(1)
    sub = truth.assign(flux=truth["flux"] + noise * rng.standard_normal(n))
    options = LimitOptions(sample=n, population=10)
    found = attribute_limits(match_sdc1(sub, prepared), prepared, np.full(n, noise), options)
    assert found.loc["flux", "score"] >= found.loc["flux", "limit"] - 0.02
    assert found.loc["flux", "limit"] == pytest.approx(found.loc["flux", "score"], abs=0.12)

"""A threshold sweep from one match equals scoring every cut catalogue anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluate.sdc2_oracle import random_tables

from skadetect.catalog.sdc1 import SDC1_COLUMNS
from skadetect.errors import InputError
from skadetect.evaluate.sdc1 import PreparedTruth, match_sdc1, score_sdc1
from skadetect.evaluate.sdc2 import PreparedSdc2Truth, match_sdc2, score_sdc2
from skadetect.evaluate.thresholds import score_curve, score_gain


def crowded(seed):
    """Truth, and a submission with duplicates, noise and false rows, with a confidence that has ties."""
    rng = np.random.default_rng(seed)
    n = 150
    ra, dec = rng.uniform(0.1, 0.11, n), rng.uniform(-30.0, -29.99, n)
    major = rng.uniform(0.3, 2.0, n)
    values = (
        np.arange(n), ra, dec, ra, dec, 10 ** rng.uniform(-6, -4, n), np.zeros(n), major,
        major * rng.uniform(0.2, 1.0, n), rng.uniform(-90, 90, n), rng.choice([1, 2, 3], n),
        rng.integers(1, 4, n),
    )  # fmt: skip
    truth = pd.DataFrame(dict(zip(SDC1_COLUMNS, values, strict=True)))
    sub = truth.sample(220, replace=True, random_state=seed).reset_index(drop=True)
    for name in ("flux", "b_maj", "b_min"):
        sub[name] *= np.exp(rng.normal(0, 0.5, len(sub)))
    shift = rng.normal(0, 0.3 / 3600, len(sub)) + np.where(rng.random(len(sub)) < 0.1, 0.5, 0.0)
    sub = sub.assign(id=np.arange(len(sub)), dec_core=sub["dec_core"] + shift)
    return truth, sub, np.round(rng.random(len(sub)), 2)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_curve_equals_rescoring(seed):
    truth, sub, confidence = crowded(seed)
    prepared = PreparedTruth.prepare(truth)
    curve = score_curve(match_sdc1(sub, prepared), confidence)
    assert len(curve.threshold) == len(np.unique(confidence))
    for k in range(0, len(curve.threshold), 9):
        direct = score_sdc1(sub[confidence >= curve.threshold[k]], prepared)
        assert (curve.n_det[k], curve.n_match[k]) == (direct.n_det, direct.n_match)
        assert curve.score[k] == pytest.approx(direct.score, rel=1e-10, abs=1e-10)
        assert curve.mean_attribute[k] == pytest.approx(direct.mean_attribute)
        assert curve.purity[k] == pytest.approx(direct.purity)


def test_best_obeys_the_purity():
    truth, sub, confidence = crowded(3)
    real = match_sdc1(sub, PreparedTruth.prepare(truth))
    curve = score_curve(real, np.where(real.accepted, 1.0, 0.0) + confidence / 2)
    free, strict = curve.best(), curve.best(purity=0.99)
    assert curve.score[free] == curve.score.max()
    assert curve.purity[strict] >= 0.99
    assert curve.score[strict] == curve.score[curve.purity >= 0.99].max()
    with pytest.raises(InputError, match="no threshold reaches a purity of 1.5"):
        curve.best(purity=1.5)


def test_gains_add_up_to_the_score():
    truth, sub, confidence = crowded(4)
    prepared = PreparedTruth.prepare(truth)
    match = match_sdc1(sub, prepared)
    gain = score_gain(match, confidence, np.linspace(0.0, 1.0, 6))
    assert gain.sum() == pytest.approx(score_sdc1(sub, prepared).score)


def test_empty_submission_has_an_empty_curve():
    truth, sub, _ = crowded(5)
    curve = score_curve(match_sdc1(sub.iloc[:0], PreparedTruth.prepare(truth)), np.zeros(0))
    assert len(curve.score) == 0
    with pytest.raises(InputError):
        curve.best()


@pytest.mark.parametrize(("seed", "same_ids"), [(0, 0.0), (1, 0.1), (2, 0.6)])
def test_sdc2_curve_equals_rescoring(seed, same_ids):
    truth, sub = random_tables(seed, n=50, spread=0.01, band=(1.04e9, 1.044e9))
    rng = np.random.default_rng(seed)
    truth.loc[:4, "line_flux_integral"] = 0.0  # distances that are infinite, or not defined
    sub.loc[rng.random(len(sub)) < 0.1, "line_flux_integral"] = 0.0
    sub["id"] = np.where(
        rng.random(len(sub)) < same_ids, rng.integers(0, 9, len(sub)), np.arange(len(sub)) + 9
    )
    confidence = np.round(rng.random(len(sub)), 2)
    prepared = PreparedSdc2Truth.prepare(truth)
    match = match_sdc2(sub, prepared)
    curve = score_curve(match, confidence)
    assert len(curve.threshold) == len(np.unique(confidence))
    assert match.shares.max() > 1
    for k in range(0, len(curve.threshold), 5):
        direct = score_sdc2(sub[confidence >= curve.threshold[k]], prepared)
        assert (curve.n_det[k], curve.n_match[k]) == (direct.n_det, direct.n_match)
        assert curve.score[k] == pytest.approx(direct.score, rel=1e-10, abs=1e-10)
        assert curve.mean_attribute[k] == pytest.approx(direct.mean_attribute)


def test_sdc2_gains_add_up_to_the_score():
    truth, sub = random_tables(4)
    match = match_sdc2(sub, PreparedSdc2Truth.prepare(truth))
    gain = score_gain(match, np.linspace(0.0, 1.0, len(sub)), np.linspace(0.0, 1.0, 6))
    assert gain.sum() == pytest.approx(score_sdc2(sub, truth).score)


def test_sdc2_without_a_match_costs_every_row():
    truth, sub = random_tables(5, n=5)
    prepared = PreparedSdc2Truth.prepare(truth)
    curve = score_curve(match_sdc2(sub.assign(dec=0.0), prepared), np.arange(len(sub)))
    assert curve.score.tolist() == [-1.0 - k for k in range(len(sub))]
    assert len(score_curve(match_sdc2(sub.iloc[:0], prepared), np.zeros(0)).score) == 0

"""Thresholds by groups find what was hidden in them, and are dropped where they are worth nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from evaluate.sdc2_oracle import random_tables
from evaluate.test_sdc1 import truth_table
from hypothesis import given
from hypothesis import strategies as st

from skadetect.errors import ConfigError, InputError
from skadetect.evaluate.sdc1 import PreparedTruth, match_sdc1, score_sdc1
from skadetect.evaluate.sdc2 import PreparedSdc2Truth, match_sdc2, score_sdc2
from skadetect.evaluate.thresholds import row_gains
from skadetect.evaluate.tuning import Candidates, Thresholds, TuneOptions, tune_thresholds


def submission(seed: int, limits: tuple[float, ...], n: int = 1500):
    """Rows whose prior k is true above limits[k] and false below."""
    rng = np.random.default_rng(seed)
    truth = truth_table(n, seed)
    prior, score = rng.integers(0, len(limits), n), rng.uniform(0.2, 1.0, n)
    real = score > np.asarray(limits)[prior]
    sub = truth.assign(dec_core=np.where(real, truth["dec_core"], -31.0))
    return truth, sub, Candidates(score, prior, np.arange(n))


def test_each_prior_finds_its_limit():
    truth, sub, rows = submission(0, (0.3, 0.7))
    match = match_sdc1(sub, PreparedTruth.prepare(truth))
    tuned = tune_thresholds([(match, rows)], given=0.5)
    assert tuned.kind == "groups"
    assert np.ravel(tuned.thresholds.values) == pytest.approx([0.3, 0.7], abs=0.02)
    assert tuned.held_out["groups"] > 1.1 * tuned.held_out["single"] > 1.1 * tuned.held_out["given"]
    kept = tuned.thresholds.keep(rows.score, rows.prior)
    assert score_sdc1(sub[kept], truth).score == pytest.approx(tuned.scores["groups"])


def test_several_fields_count_together():
    fields, rows_of = [], []
    for seed in (4, 5, 6):
        truth, sub, rows = submission(seed, (0.3, 0.7), n=400)
        fields.append((match_sdc1(sub, PreparedTruth.prepare(truth)), rows))
        rows_of.append(tune_thresholds(fields[-1:], given=0.5).scores["given"])
    tuned = tune_thresholds(fields, given=0.5)
    assert np.ravel(tuned.thresholds.values) == pytest.approx([0.3, 0.7], abs=0.03)
    assert tuned.scores["given"] == pytest.approx(sum(rows_of))


def test_alike_groups_are_not_told_apart():
    truth, sub, rows = submission(1, (0.5, 0.5, 0.5))
    tuned = tune_thresholds([(match_sdc1(sub, PreparedTruth.prepare(truth)), rows)], given=0.5)
    assert tuned.kind in ("given", "single")
    assert tuned.thresholds.lowest == pytest.approx(0.5, abs=0.02)


def test_a_threshold_between_the_scores_stays_where_it_was():
    truth, sub, rows = submission(2, (0.5,), n=200)
    rows = replace(rows, score=np.where(rows.score > 0.5, 0.9, 0.25))
    tuned = tune_thresholds([(match_sdc1(sub, PreparedTruth.prepare(truth)), rows)], given=0.61)
    assert tuned.scores["single"] == tuned.scores["given"] and tuned.kind == "given"
    low = tune_thresholds([(match_sdc1(sub, PreparedTruth.prepare(truth)), rows)], given=0.2)
    assert low.kind == "single" and low.thresholds.lowest == pytest.approx(0.255)


def test_a_few_rows_do_not_tune_by_chance():
    """A row in two is real at any score: nothing can be gained, whatever a few rows say."""
    rng, kinds = np.random.default_rng(7), []
    for seed in range(30):
        truth, sub, rows = submission(seed, (0.0,), n=24)
        false = rng.permutation(24) < 12
        sub = sub.assign(dec_core=np.where(false, -31.0, sub["dec_core"]))
        match = match_sdc1(sub, PreparedTruth.prepare(truth))
        kinds.append(
            [tune_thresholds([(match, rows)], given=0.5, options=TuneOptions(sigmas=s)).kind for s in (1, 0)]
        )
    cautious, greedy = (sum(pair[k] != "given" for pair in kinds) for k in (0, 1))
    assert cautious <= 5 < greedy


def test_frequency_bins_have_their_own():
    truth = random_tables(3, n=600, spread=0.3, band=(0.96e9, 1.14e9))[1]
    rng = np.random.default_rng(0)
    sub = truth.assign(id=np.arange(len(truth)))
    score, low = rng.uniform(0.2, 1.0, len(sub)), sub["central_freq"].to_numpy() < 1.05e9
    real = score > np.where(low, 0.8, 0.3)
    sub["dec"] = np.where(real, sub["dec"], 0.0)
    rows = Candidates(score, np.zeros(len(sub), int), np.arange(len(sub)), sub["central_freq"].to_numpy())
    options = TuneOptions(edges=(0.95e9, 1.05e9, 1.15e9), strength=20.0)
    match = match_sdc2(sub, PreparedSdc2Truth.prepare(truth))
    tuned = tune_thresholds([(match, rows)], given=0.5, options=options)
    assert tuned.kind == "groups"
    assert np.ravel(tuned.thresholds.values) == pytest.approx([0.8, 0.3], abs=0.03)
    with pytest.raises(InputError, match="depend on frequency"):
        tuned.thresholds.keep(score, rows.prior)


def test_purity_is_kept():
    truth, sub, rows = submission(2, (0.4,))
    rng = np.random.default_rng(1)
    sub["dec_core"] = np.where(rng.random(len(sub)) < 0.2 * (1 - rows.score), -31.0, sub["dec_core"])
    match = match_sdc1(sub, PreparedTruth.prepare(truth))
    purity = []
    for least in (0.0, 0.97):
        thresholds = tune_thresholds(
            [(match, rows)], given=0.99, options=TuneOptions(purity=least)
        ).thresholds
        purity.append(score_sdc1(sub[thresholds.keep(rows.score, rows.prior)], truth).purity)
    assert purity[0] < 0.97 <= purity[1]


@given(seed=st.integers(0, 1000))
def test_gains_add_up_to_the_score(seed):
    sub, truth = random_tables(seed, n=40, spread=0.02)
    confidence = np.random.default_rng(seed).random(len(sub))
    gain, matched = row_gains(match_sdc2(sub, PreparedSdc2Truth.prepare(truth)), confidence)
    whole = score_sdc2(sub, truth)
    assert gain.sum() == pytest.approx(whole.score)
    assert matched.sum() == whole.n_match


def test_thresholds_outlive_json():
    one = Thresholds(((0.1, 0.2), (0.3, 0.4)), (1e9, 2e9, 3e9))
    assert Thresholds.from_dict(json.loads(json.dumps(one.to_dict()))) == one
    assert one.keep([0.15, 0.15, 0.35, 0.35], [0, 0, 1, 9], [0.5e9, 2.5e9, 1.5e9, 5e9]).tolist() == [
        True, False, True, False,
    ]  # fmt: skip
    for wrong in ({"lowest": 0.0}, {"edges": (2.0, 1.0)}, {"folds": 1}):
        with pytest.raises(ConfigError):
            TuneOptions(**wrong)

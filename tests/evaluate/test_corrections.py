"""Corrections undo what is wrong alike in a cell, and leave alone what is right."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evaluate.test_sdc1 import truth_table

from skadetect.evaluate.corrections import Corrections, Rows, tune_corrections
from skadetect.evaluate.sdc1 import PreparedTruth, match_sdc1, score_sdc1


def rows(seed: int, *, n: int = 900, **changes) -> tuple[Rows, PreparedTruth]:
    """Rows that are the truth, but for some columns times a function of signal to noise."""
    rng = np.random.default_rng(seed)
    truth = truth_table(n, seed)
    snr = 10 ** rng.uniform(0.5, 2.0, n)
    sub = truth.assign(**{name: truth[name] * wrong(snr) for name, wrong in changes.items()})
    prepared = PreparedTruth.prepare(truth)
    size = sub["b_maj"].to_numpy()
    return Rows(sub, snr, size, rng.integers(0, 4, n), lambda table: match_sdc1(table, prepared)), prepared


def test_a_bias_with_brightness_is_undone():
    wrong = {"flux": lambda snr: np.where(snr < 20, 1.25, 1.0)}
    train, _ = rows(0, **wrong)
    test, truth = rows(1, **wrong)
    corrections, gains = tune_corrections([train], "sdc1")
    assert set(gains) == {"flux"}
    before = score_sdc1(test.submission, truth)
    after = score_sdc1(corrections.apply(test.submission, test.snr, test.size), truth)
    assert before.attributes["flux"] < 0.75
    assert after.attributes["flux"] > 0.85  # the cell that holds the step is in between
    assert after.score > before.score


def test_what_is_right_stays():
    train, _ = rows(2)
    corrections, gains = tune_corrections([train, rows(3)[0]], "sdc1")
    assert gains == {}
    assert corrections.apply(train.submission, train.snr, train.size).equals(train.submission)


def test_classes_are_learned_where_they_tell():
    train, _ = rows(4)
    bright = train.snr > 30
    train.submission["class"] = np.where(bright, 1, train.submission["class"])
    truth = PreparedTruth.prepare(train.submission)
    said = train.submission.assign(**{"class": 3})
    made = Rows(said, train.snr, train.size, train.part, lambda table: match_sdc1(table, truth))
    corrections, gains = tune_corrections([made], "sdc1")
    assert set(gains) == {"class"}
    after = corrections.apply(said, train.snr, train.size)["class"]
    assert (after[train.snr > 40] == 1).all()
    assert after.dtype == said["class"].dtype


def test_tables_outlive_json():
    corrections, _ = tune_corrections([rows(5, b_min=lambda snr: 1.0 + 0.0 * snr + 0.5)[0]], "sdc1")
    again = Corrections.from_dict(json.loads(json.dumps(corrections.to_dict())))
    assert again.tables == corrections.tables
    assert again.snr == pytest.approx(corrections.snr)
    empty = Corrections.from_dict(json.loads(json.dumps(Corrections().to_dict())))
    table = truth_table(5)
    assert empty.apply(table, np.ones(5), np.ones(5)).equals(table)

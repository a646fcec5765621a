"""The SDC1 scorer equals the official package on its golden cases, and has the properties it promises."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from data_paths import SHARED

from skadetect.catalog.sdc1 import SDC1_COLUMNS, read_sdc1
from skadetect.errors import ConfigError, InputError
from skadetect.evaluate import sdc1
from skadetect.evaluate.sdc1 import PreparedTruth, match_sdc1, score_match, score_sdc1

GOLDEN = SHARED.parent / "sdc" / "golden"
CASES = [
    (freq, mode, train)
    for freq in (560, 1400, 9200)
    for mode in ("core", "centroid")
    for train in (False, True)
]


def truth_table(n: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0.1, 0.2, n), rng.uniform(-30.0, -29.9, n)
    major = rng.uniform(0.3, 2.0, n)
    values = (
        np.arange(n) * 3 + 5, ra, dec, ra, dec, 10 ** rng.uniform(-6, -4, n), np.zeros(n), major,
        major * rng.uniform(0.2, 1.0, n), rng.uniform(-90, 90, n), rng.choice([2, 3], n),
        rng.integers(1, 4, n),
    )  # fmt: skip
    return pd.DataFrame(dict(zip(SDC1_COLUMNS, values, strict=True)))


@pytest.mark.parametrize(("freq", "mode", "train"), CASES)
def test_golden_cases(freq, mode, train):
    if not GOLDEN.exists():
        pytest.skip("the golden cases of the official scorer are absent")
    expected = json.loads((GOLDEN / "expected.json").read_text())
    expected = expected[f"sdc1_{freq}_{mode}_{'train' if train else 'exclude'}"]
    files = (GOLDEN / f"sdc1_{freq}_sub.txt", GOLDEN / f"sdc1_{freq}_truth.txt")
    result = score_sdc1(*files, freq=freq, train=train, mode=mode)
    for count in ("n_det", "n_match", "n_bad", "n_false", "n_truth"):
        assert getattr(result, count) == expected[count], count
    for value in ("score", "score_det", "accuracy"):
        assert getattr(result, value) == pytest.approx(expected[value], rel=1e-8), value
    assert result.attributes == pytest.approx(expected["attr_scores"], rel=1e-8)


def test_a_perfect_submission_scores_its_length():
    truth = truth_table()
    result = score_sdc1(truth, truth)
    assert (result.score, result.n_match, result.n_false, result.purity) == (len(truth), len(truth), 0, 1.0)
    assert set(result.attributes.values()) == {1.0}


def test_each_false_row_costs_one_point():
    truth = truth_table()
    false = truth.iloc[:7].assign(id=lambda t: t["id"] + 1_000_000, dec_core=-31.0, dec_cent=-31.0)
    result = score_sdc1(pd.concat([truth, false]), truth)
    assert result.score == pytest.approx(len(truth) - 7)
    assert result.n_false == 7


def test_nothing_matched_scores_zero():
    truth = truth_table(20)
    result = score_sdc1(truth.assign(dec_core=-31.0), truth)
    assert (result.score, result.n_false, result.mean_attribute) == (0.0, 20, 0.0)
    empty = score_sdc1(truth.iloc[:0], truth)
    assert (empty.score, empty.n_det, empty.purity) == (0.0, 0, 0.0)
    assert score_sdc1(truth, truth.iloc[:0]).score == 0.0


def test_order_of_rows_does_not_matter():
    truth, rng = truth_table(), np.random.default_rng(4)
    sub = truth.assign(flux=truth["flux"] * np.exp(rng.normal(0, 0.3, len(truth))))
    shuffled = score_sdc1(sub.sample(frac=1, random_state=1), truth.sample(frac=1, random_state=2))
    assert shuffled.score == pytest.approx(score_sdc1(sub, truth).score, rel=1e-12)


def test_chunks_do_not_show(monkeypatch):
    truth, rng = truth_table(), np.random.default_rng(5)
    sub = truth.assign(
        id=lambda t: t["id"] // 4,  # several rows an id, of which the sieve keeps one
        flux=truth["flux"] * np.exp(rng.normal(0, 0.3, len(truth))),
    )
    whole = score_sdc1(sub, truth)
    monkeypatch.setattr(sdc1, "_CHUNK", 7)
    assert score_sdc1(sub, truth) == whole
    assert whole.n_match <= sub["id"].nunique() < len(sub)


def test_losers_of_the_sieve_get_no_second_choice():
    truth = truth_table(1).iloc[[0, 0]].assign(id=[1, 2], flux=[1e-5, 1.5e-5])
    sub = truth.iloc[[0, 0]].assign(id=[1, 2], flux=[1.0e-5, 1.01e-5])
    result = score_sdc1(sub, truth)
    assert (result.n_match, result.n_bad, result.n_false) == (1, 0, 1)


def test_area_is_inside_outside_or_everywhere():
    truth = truth_table(30)
    truth.loc[:9, ["ra_core", "ra_cent"]] -= 0.3
    truth.loc[:9, ["dec_core", "dec_cent"]] += 0.2
    truth.loc[:4, ["ra_core", "ra_cent"]] += 360.0  # the same sky
    counts = [score_sdc1(truth, truth, train=train).n_match for train in (True, False, None)]
    assert counts == [10, 20, 30]


def test_prepared_truth_and_match_serve_again():
    truth = truth_table()
    prepared = PreparedTruth.prepare(truth)
    assert len(prepared) == len(truth)
    sub = truth.drop(index=[3, 4]).reset_index(drop=True)
    match = match_sdc1(sub, prepared)
    assert score_match(match) == score_sdc1(sub, truth) == score_sdc1(sub, prepared)
    assert match.accepted.all()
    assert prepared.columns["id"][match.truth].tolist() == sub["id"].tolist()


def test_rows_name_where_they_came_from():
    truth = truth_table(6)
    sub = truth.assign(flux=[1e-6, -1.0, 2e-6, np.nan, 3e-6, 1e-6])
    assert match_sdc1(sub, PreparedTruth.prepare(truth)).row.tolist() == [0, 2, 4, 5]


def test_bad_arguments_are_named():
    truth = truth_table(3)
    with pytest.raises(ConfigError, match="freq is 600"):
        score_sdc1(truth, truth, freq=600)
    with pytest.raises(ConfigError, match="mode is 'middle'"):
        score_sdc1(truth, truth, mode="middle")
    with pytest.raises(InputError, match="lacks the columns b_maj, pa"):
        score_sdc1(truth.drop(columns=["pa", "b_maj"]), truth)


def test_real_truth_lies_in_the_training_box():
    path = SHARED / "sdc1_cutout" / "truth.txt"
    if not path.exists():
        pytest.skip("the shared example data has no sdc1_cutout")
    table = read_sdc1(path)
    assert score_sdc1(table, table, train=True).n_match == len(table)
    assert score_sdc1(table, table).n_det == 0

"""The official SDC2 score: golden cases, a plain transcription of the rules, and its properties."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from data_paths import SHARED
from evaluate.sdc2_oracle import random_tables, slow_score
from hypothesis import given, settings
from hypothesis import strategies as st

from skadetect.catalog.sdc2 import SDC2_COLUMNS, read_sdc2
from skadetect.errors import ConfigError, InputError
from skadetect.evaluate import sky_pairs
from skadetect.evaluate.sdc2 import (
    PreparedSdc2Truth,
    Sdc2Field,
    match_sdc2,
    score_sdc2,
    score_sdc2_match,
)

GOLDEN = SHARED.parent / "sdc" / "golden"
COUNTS = ("n_det", "n_match", "n_bad", "n_duplicates")


def same(result, expected):
    """Compare with the transcription."""
    assert {name: getattr(result, name) for name in COUNTS} == {name: expected[name] for name in COUNTS}
    assert result.score == pytest.approx(expected["score"], rel=1e-9, abs=1e-9)
    assert list(result.attributes.values()) == pytest.approx(expected["means"], rel=1e-8, abs=1e-12)


def test_golden_case():
    if not GOLDEN.exists():
        pytest.skip("the golden cases of the official scorer are absent")
    expected = json.loads((GOLDEN / "expected.json").read_text())["sdc2"]
    result = score_sdc2(GOLDEN / "sdc2_sub.txt", GOLDEN / "sdc2_truth.txt")
    for count in ("n_det", "n_match", "n_bad", "n_false", "n_truth"):
        assert getattr(result, count) == expected[count], count
    for value in ("score", "score_det", "accuracy"):
        assert getattr(result, value) == pytest.approx(expected[value], rel=1e-8), value
    assert result.attributes == pytest.approx(expected["attr_scores"], rel=1e-8)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 14), few=st.integers(0, 12))
def test_equals_the_written_rules(seed, n, few):
    truth, sub = random_tables(seed, n=3 + n, spread=0.003)
    same(score_sdc2(sub[:few], truth), slow_score(sub[:few], truth))


def test_equals_the_written_rules_where_rows_compete():
    truth, sub = random_tables(5, n=20, spread=0.004, band=(1.04e9, 1.043e9))
    result = score_sdc2(sub, truth)
    assert result.n_match > 10 and result.n_bad > 0 and result.n_duplicates > 3
    same(result, slow_score(sub, truth))


@pytest.mark.parametrize("band", [(1.40e9, 1.419e9), (1.4195e9, 1.4215e9), (1.43e9, 1.45e9)])
def test_nearby_and_approaching_galaxies(band, caplog):
    truth, sub = random_tables(8, n=12, band=band, spread=0.01)
    sub["central_freq"] = np.where(sub["central_freq"] == 1.2e9, band[0], sub["central_freq"])
    field = {"band": None, "centre": (180.01, -29.98), "beam": 30.0}
    result = score_sdc2(sub, truth, **field)
    assert result.n_match > 5
    same(result, slow_score(sub, truth, **field))
    assert "in the band" not in caplog.text
    assert score_sdc2(sub, truth).n_match == 0  # none lies in the challenge's band
    assert "no true source lies in the band" in caplog.text


def test_a_perfect_submission_scores_its_length():
    truth, _ = random_tables(1)
    result = score_sdc2(truth, truth)
    assert result.score == result.n_match == result.n_truth == len(truth)
    assert (result.n_duplicates, result.purity, result.accuracy) == (0, 1.0, 100.0)
    assert set(result.attributes.values()) == {1.0}


def test_duplicates_divide_and_false_rows_cost():
    truth = random_tables(2)[0].iloc[:40]
    again = truth[:6].assign(id=lambda t: t["id"] + 10**6)
    false = truth[:3].assign(id=lambda t: t["id"] + 10**7, dec=-31.0)
    result = score_sdc2(pd.concat([truth, again, false]), truth)
    assert (result.n_match, result.n_duplicates, result.n_false) == (46, 6, 3)
    assert result.score == pytest.approx(40 - 3)
    assert result.mean_attribute == 1.0 and result.accuracy == pytest.approx(100 * 40 / 46)


def test_a_bad_row_still_takes_its_share():
    truth = random_tables(2)[0].iloc[:1]
    bad = truth.assign(id=-1, line_flux_integral=10 * truth["line_flux_integral"])
    result = score_sdc2(pd.concat([truth, bad]), truth)
    assert (result.n_match, result.n_bad, result.n_false, result.n_duplicates) == (1, 1, 1, 1)
    assert result.score == pytest.approx(0.5 - 1)


def test_of_rows_of_one_id_the_nearest_counts():
    truth = random_tables(3)[0].iloc[:2]
    sub = truth.assign(id=1, w20=truth["w20"] * [1.2, 1.1])
    match = match_sdc2(sub, PreparedSdc2Truth.prepare(truth))
    assert match.kept.tolist() == [False, True] and match.truth.tolist() == [0, 1]
    assert score_sdc2_match(match).score == pytest.approx(1 - 1)


def test_nothing_matched_costs_every_row():
    truth, sub = random_tables(4, n=10)
    result = score_sdc2(sub.assign(dec=-31.0), truth)
    assert (result.score, result.n_false, result.mean_attribute) == (-len(sub), len(sub), 0.0)
    empty = score_sdc2(sub.iloc[:0], truth)
    assert (empty.score, empty.n_det, empty.purity, empty.accuracy) == (0.0, 0, 0.0, 0.0)
    none = score_sdc2(sub, truth.iloc[:0])
    assert (none.score, none.n_truth) == (-len(sub), 0)


def test_position_angles_wrap_around():
    truth = random_tables(3)[0].iloc[:3].assign(pa=[1.0, 359.0, 0.0])
    result = score_sdc2(truth.assign(pa=[341.0, 19.0, 180.0]), truth)
    assert result.attributes["pa"] == pytest.approx((0.5 + 0.5 + 10 / 180) / 3)


def test_right_ascension_wraps_around():
    truth, sub = random_tables(6, n=15)
    expected = score_sdc2(sub, truth)
    turned = sub.assign(ra=(sub["ra"] + 180.0) % 360.0), truth.assign(ra=truth["ra"] + 180.0)
    assert score_sdc2(*turned, centre=(0.0, -30.0)).score == pytest.approx(expected.score)
    assert score_sdc2(*turned, centre=None).score == pytest.approx(expected.score)
    assert score_sdc2(*turned).n_match < expected.n_match  # a centre beyond the sky's seam


def test_order_and_chunks_do_not_matter(monkeypatch):
    truth, sub = random_tables(7)
    expected = score_sdc2(sub, truth)
    shuffled = score_sdc2(sub.sample(frac=1, random_state=1), truth.sample(frac=1, random_state=2))
    assert shuffled.score == pytest.approx(expected.score, rel=1e-12)
    monkeypatch.setattr(sky_pairs, "_CHUNK", 7)
    monkeypatch.setattr(sky_pairs, "_MOST_PAIRS", 11)
    assert score_sdc2(sub, truth) == expected


def test_blank_rows_are_dropped_and_others_named_where_they_came_from():
    truth, _ = random_tables(9, n=4)
    sub = truth[:5].assign(w20=[100.0, np.nan, 100.0, 100.0, 100.0], ra=[180.0, 180.0, np.inf, 180.0, 180.0])
    match = match_sdc2(sub, PreparedSdc2Truth.prepare(truth))
    assert match.row.tolist() == [0, 2, 3, 4] and match.truth[1] == -1


def test_undefined_distances_are_neither_good_nor_bad_but_share():
    truth = random_tables(2)[0].iloc[:1].assign(line_flux_integral=0.0)
    result = score_sdc2(truth, truth)
    assert (result.n_match, result.n_bad, result.n_false) == (0, 0, 1)


def test_prepared_truth_and_match_serve_again():
    truth, sub = random_tables(10)
    prepared = PreparedSdc2Truth.prepare(truth)
    match = match_sdc2(sub, prepared)
    assert score_sdc2_match(match) == score_sdc2(sub, truth) == score_sdc2(sub, prepared)
    first = np.flatnonzero(match.accepted)[0]
    assert prepared.row[match.truth[first]] == match.truth[first]
    assert abs(truth["dec"][match.truth[first]] - sub["dec"][match.row[first]]) < 0.02


def test_bad_arguments_are_named():
    truth, _ = random_tables(1, n=4)
    with pytest.raises(InputError, match="SDC2 catalogue lacks the columns pa, w20"):
        score_sdc2(truth.drop(columns=["pa", "w20"]), truth)
    with pytest.raises(InputError, match="no number"):
        score_sdc2(truth.assign(pa="north"), truth)
    for field in ({"band": (2.0, 1.0)}, {"centre": (0.0, 91.0)}, {"beam": 0.0}):
        with pytest.raises(ConfigError, match=next(iter(field))):
            Sdc2Field(**field)


def test_real_truth_scores_itself():
    path = SHARED / "sdc2_catalogue" / "sky_dev_truthcat_v2.txt"
    if not path.exists():
        pytest.skip("the shared example data has no sdc2_catalogue")
    result = score_sdc2(path, path)
    assert result.n_match == result.n_truth == len(read_sdc2(path))
    assert result.mean_attribute == 1.0


def test_columns_are_those_of_the_challenge():
    assert SDC2_COLUMNS[:2] == ("id", "ra") and len(SDC2_COLUMNS) == 9

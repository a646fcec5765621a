"""The scorers' benchmark has tables that match in part, and tells a result that differs."""

from types import SimpleNamespace

import pytest
from benchmarks.scorer import compare, our_score, sdc1_tables, sdc2_tables


@pytest.mark.parametrize(("challenge", "tables"), [("sdc1", sdc1_tables), ("sdc2", sdc2_tables)])
def test_most_rows_match(challenge, tables):
    sub, truth = tables(3000, 500)
    assert (len(sub), len(truth), sub["id"].nunique()) == (500, 3000, 500)
    result, seconds = our_score(challenge, sub, truth)
    assert 0.8 < result.purity < 1.0
    assert set(seconds) == {"prepare", "score", "curve"}


def test_a_difference_is_told():
    counts = {"n_det": 3, "n_bad": 0, "n_match": 2, "n_false": 1}
    result, seconds = SimpleNamespace(**counts, score=1.0), {"prepare": 1.0, "score": 1.0}
    assert "5.0 times ours, 10.0" in compare(result, {**counts, "score": 1.0, "seconds": 10.0}, seconds)
    with pytest.raises(SystemExit, match="score is"):
        compare(result, {**counts, "score": 1.1, "seconds": 10.0}, seconds)
    with pytest.raises(SystemExit, match="n_bad is 0"):
        compare(result, {**counts, "n_bad": 1, "score": 1.0, "seconds": 10.0}, seconds)

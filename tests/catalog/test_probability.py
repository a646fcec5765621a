"""Probabilities are those that the rows of a simulation have."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from skadetect.catalog.probability import TERMS, Reliability, evidence, fit_reliability

SLOPES = (0.8, 3.0, -0.5, 0.5, -0.7, -1.5, -0.6, -2.0, -0.6)
TRUE = Reliability(0.1, 1.0, dict(zip(TERMS, SLOPES, strict=True)))


def rows(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "score": rng.uniform(0.1, 0.999, n),
        "snr": np.exp(rng.normal(2.1, 0.7, n)),
        "f_max": rng.uniform(2e-5, 3e-4, n),
        "rms": rng.uniform(2.5e-5, 3.5e-5, n),
        "w20": np.exp(rng.normal(5.3, 0.6, n)),
        "beyond": np.maximum(rng.normal(0.0, 0.7, n), 0.0),
        "averaged": rng.integers(0, 2, n).astype(float),
        "cut": rng.uniform(0.0, 1.0, n),
        "beside": rng.integers(0, 2, n).astype(float),
    }


def test_the_fit_finds_the_function_that_made_the_rows():
    columns = rows(40000)
    real = np.random.default_rng(1).random(40000) < TRUE.probability(columns)
    fitted = fit_reliability(columns, real, weight=np.ones(40000), least_score=0.1)
    assert fitted.constant == pytest.approx(TRUE.constant, abs=0.3)
    for name in TERMS:
        assert fitted.slopes[name] == pytest.approx(TRUE.slopes[name], abs=0.2)


def test_as_many_rows_are_real_as_their_probabilities_say():
    columns, fresh = rows(20000), rows(20000, seed=2)
    rng = np.random.default_rng(3)
    real, known = (rng.random(20000) < TRUE.probability(each) for each in (columns, fresh))
    probability = fit_reliability(columns, real, weight=np.ones(20000), least_score=0.1).probability(fresh)
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        some = (probability >= low) & (probability < high)
        assert probability[some].mean() == pytest.approx(known[some].mean(), abs=0.04)


def test_terms_that_are_not_free_keep_what_they_have():
    columns = rows(20000)
    real = np.random.default_rng(1).random(20000) < TRUE.probability(columns)
    start = Reliability(0.1, TRUE.constant, TRUE.slopes | {"loud": 0.0, "cut": 5.0})
    fit = partial(fit_reliability, columns, real, weight=np.ones(20000), least_score=0.1)
    fitted = fit(given=start, free=("loud", "cut"))
    assert fitted.constant == TRUE.constant
    for name, slope in fitted.slopes.items():
        assert slope == pytest.approx(TRUE.slopes[name], abs=0.2 if name in ("loud", "cut") else 0.0)
    assert fit(free=TERMS[:-1]).slopes["beside"] == 0.0


def test_a_weight_is_a_number_of_rows():
    columns = rows(400)
    real = np.random.default_rng(1).random(400) < TRUE.probability(columns)
    weight = np.where(real, 1.0, 3.0)
    again = {name: np.concatenate([values, *[values[~real]] * 2]) for name, values in columns.items()}
    repeated = np.concatenate([real, *[real[~real]] * 2])
    one = fit_reliability(columns, real, weight=weight, least_score=0.1)
    two = fit_reliability(again, repeated, weight=np.ones(len(repeated)), least_score=0.1)
    np.testing.assert_allclose(one.probability(columns), two.probability(columns), atol=1e-3)


def test_separable_rows_have_a_finite_fit():
    columns = rows(100)
    real = columns["snr"] > np.median(columns["snr"])
    fitted = fit_reliability(columns, real, weight=np.ones(100), least_score=0.1)
    assert np.isfinite(list(fitted.slopes.values())).all()
    assert ((fitted.probability(columns) > 0.5) == real).mean() > 0.95


def test_rows_of_one_kind_are_refused():
    with pytest.raises(ValueError, match="both kinds"):
        fit_reliability(rows(5), np.ones(5, bool), weight=np.ones(5), least_score=0.1)


def test_evidence_is_finite_for_hopeless_rows_and_unknown_is_improbable():
    columns = {
        "score": np.array([0.0, 1.0, 0.5]),
        "snr": np.array([0.0, 5.0, np.nan]),
        "f_max": np.array([-1e-5, 1e-4, 1e-4]),
        "rms": np.full(3, 3e-5),
        "w20": np.array([0.0, 100.0, 100.0]),
        "beyond": np.zeros(3),
        "averaged": np.ones(3),
        "cut": np.zeros(3),
        "beside": np.zeros(3),
    }
    assert np.isfinite(evidence(columns)[:2]).all()
    assert np.all(TRUE.probability(columns)[[0, 2]] < 1e-3)


def test_a_fit_of_fewer_terms_still_holds():
    """A model file may be older than a term."""
    older = Reliability(0.1, 1.0, {name: value for name, value in TRUE.slopes.items() if name != "beyond"})
    columns = rows(50)
    within = columns | {"beyond": np.zeros(50)}
    np.testing.assert_array_equal(older.probability(columns), TRUE.probability(within))


def test_through_plain_data_and_back():
    assert Reliability.of({"reliability": TRUE.to_dict()}) == TRUE
    assert Reliability.of({}) is None

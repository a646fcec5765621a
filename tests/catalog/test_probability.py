"""Probabilities are those that the rows of a simulation have."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from skadetect.catalog.evidence import KINDS
from skadetect.catalog.probability import CONSTANT, Reliability, fit_reliability

TERMS = KINDS["cube"].terms
NOTHING = Reliability(0.1, 0.0, {})
SLOPES = (0.8, 3.0, -0.5, 0.5, -0.7, -1.5, -0.6, -2.0)
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
    }


def test_the_fit_finds_the_function_that_made_the_rows():
    columns = rows(40000)
    real = np.random.default_rng(1).random(40000) < TRUE.probability(columns)
    fitted = fit_reliability(columns, real, weight=np.ones(40000), start=NOTHING)
    assert fitted.constant == pytest.approx(TRUE.constant, abs=0.3)
    for name in TERMS:
        assert fitted.slopes[name] == pytest.approx(TRUE.slopes[name], abs=0.2)


def test_as_many_rows_are_real_as_their_probabilities_say():
    columns, fresh = rows(20000), rows(20000, seed=2)
    rng = np.random.default_rng(3)
    real, known = (rng.random(20000) < TRUE.probability(each) for each in (columns, fresh))
    probability = fit_reliability(columns, real, weight=np.ones(20000), start=NOTHING).probability(fresh)
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        some = (probability >= low) & (probability < high)
        assert probability[some].mean() == pytest.approx(known[some].mean(), abs=0.04)


def test_terms_that_are_not_free_keep_what_they_have():
    columns = rows(20000)
    real = np.random.default_rng(1).random(20000) < TRUE.probability(columns)
    start = Reliability(0.1, TRUE.constant, TRUE.slopes | {"loud": 0.0, "cut": 5.0})
    fit = partial(fit_reliability, columns, real, weight=np.ones(20000))
    fitted = fit(start=start, free=("loud", "cut"))
    assert fitted.constant == TRUE.constant
    for name, slope in fitted.slopes.items():
        assert slope == pytest.approx(TRUE.slopes[name], abs=0.2 if name in ("loud", "cut") else 0.0)
    assert fit(start=NOTHING, free=(*TERMS[:-1], CONSTANT)).slopes["cut"] == 0.0


def test_a_weight_is_a_number_of_rows():
    columns = rows(400)
    real = np.random.default_rng(1).random(400) < TRUE.probability(columns)
    weight = np.where(real, 1.0, 3.0)
    again = {name: np.concatenate([values, *[values[~real]] * 2]) for name, values in columns.items()}
    repeated = np.concatenate([real, *[real[~real]] * 2])
    one = fit_reliability(columns, real, weight=weight, start=NOTHING)
    two = fit_reliability(again, repeated, weight=np.ones(len(repeated)), start=NOTHING)
    np.testing.assert_allclose(one.probability(columns), two.probability(columns), atol=1e-3)


def test_separable_rows_have_a_finite_fit():
    columns = rows(100)
    real = columns["snr"] > np.median(columns["snr"])
    fitted = fit_reliability(columns, real, weight=np.ones(100), start=NOTHING)
    assert np.isfinite(list(fitted.slopes.values())).all()
    assert ((fitted.probability(columns) > 0.5) == real).mean() > 0.95


def test_rows_of_one_kind_are_refused():
    with pytest.raises(ValueError, match="both kinds"):
        fit_reliability(rows(5), np.ones(5, bool), weight=np.ones(5), start=NOTHING)


def test_unknown_is_improbable():
    columns = rows(2) | {"snr": np.array([10.0, np.nan])}
    assert TRUE.probability(columns)[0] > 0.0 == TRUE.probability(columns)[1]


def test_an_image_has_other_evidence_than_a_cube():
    rng = np.random.default_rng(4)
    columns = {"score": rng.uniform(0.1, 0.99, 20000), "snr": rng.uniform(2, 12, 20000), "density": 1e-3}
    true = Reliability(0.1, -6.0, {"score": 0.7, "peak": 0.8, "density": 0.3, "crowded": 0.0}, "image")
    real = rng.random(20000) < true.probability(columns)
    start = replace(true, constant=0.0, slopes={"density": 0.3})
    fitted = fit_reliability(
        columns, real, weight=np.ones(20000), start=start, free=("score", "peak", CONSTANT)
    )
    assert fitted.constant == pytest.approx(-6.0, abs=0.3)
    for name, slope in fitted.slopes.items():
        assert slope == pytest.approx(true.slopes[name], abs=0.1), name


def test_a_fit_of_fewer_terms_still_holds():
    """A model file may be older than a term."""
    older = Reliability(0.1, 1.0, {name: value for name, value in TRUE.slopes.items() if name != "beyond"})
    columns = rows(50)
    within = columns | {"beyond": np.zeros(50)}
    np.testing.assert_array_equal(older.probability(columns), TRUE.probability(within))


def test_through_plain_data_and_back():
    assert Reliability.of({"reliability": TRUE.to_dict()}) == TRUE
    image = replace(TRUE, kind="image")
    assert Reliability.of({"reliability": image.to_dict()}) == image
    assert Reliability.of({}) is None

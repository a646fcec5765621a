"""Probabilities of rows in smoothed views are those that the rows of a simulation have."""

import numpy as np
import pytest

from skadetect.catalog.coarse_probability import TERMS, CoarseReliability, fit_coarse_reliability, terms

TRUE = CoarseReliability(
    dict(zip(TERMS, (0.9, 0.1, -0.5, 0.6, 0.1, 0.6, 0.8, -0.6, -0.4, -1.2, -0.5), strict=True))
)


def rows(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    major = np.exp(rng.normal(-0.5, 1.0, n))
    return {
        "alone": rng.uniform(0.02, 0.999, n),
        "snr": 4.5 + rng.exponential(10.0, n),
        "major": major,
        "minor": major * rng.uniform(0.2, 1.0, n),
        "sums": np.exp(rng.normal(0.0, 0.4, n)),
        "inside": np.exp(rng.normal(-2.0, 3.0, n)),
        "beside": np.exp(rng.normal(0.0, 3.0, n)),
        "edge": (rng.random(n) < 0.1).astype(float),
    }


def test_as_many_rows_are_real_as_their_probabilities_say():
    columns, fresh = rows(30000), rows(30000, seed=2)
    real, known = np.random.default_rng(1).random(30000) < TRUE.probability(columns), TRUE.probability(fresh)
    fitted = fit_coarse_reliability(columns, real, weight=np.ones(30000))
    probability = fitted.probability(fresh)
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        chosen = (probability >= low) & (probability < high)
        assert probability[chosen].mean() == pytest.approx(known[chosen].mean(), abs=0.03)


def test_what_a_bright_source_leaves_is_less_probable_than_a_source():
    column = {"alone": 0.9, "snr": 20.0, "major": 1.0, "minor": 0.7, "sums": 1.0, "edge": 0.0}
    beside = {"inside": np.array([0.0, 0.0, 30.0]), "beside": np.array([0.0, 30.0, 30.0])}
    clean, near, under = TRUE.probability({name: np.full(3, v) for name, v in column.items()} | beside)
    assert clean > near > under


def test_what_is_not_known_is_not_probable():
    columns = rows(3)
    columns["alone"][0] = np.nan
    columns["sums"][1] = np.nan  # a sum on blank pixels: the row is one without agreement
    probability = TRUE.probability(columns)
    assert probability[0] == 0.0
    assert terms(columns)["agree"][1] == 0.0 < probability[1]


def test_a_fit_needs_rows_of_both_kinds_and_lasts_in_a_header():
    with pytest.raises(ValueError, match="both kinds"):
        fit_coarse_reliability(rows(5), np.ones(5, bool), weight=np.ones(5))
    assert CoarseReliability.of({}) is None
    assert CoarseReliability.of({"coarse_reliability": TRUE.to_dict()}) == TRUE

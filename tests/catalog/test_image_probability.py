"""Probabilities of images are those that the rows of a simulation have, in crowded and in empty fields."""

import numpy as np
import pytest

from skadetect.catalog.image_probability import (
    NOISE,
    PIECES,
    ImageReliability,
    _likelihood,
    bright_density,
    fit_image_reliability,
    terms,
)

TRUE = ImageReliability(
    0.1,
    dict(zip(PIECES, (-0.8, 0.3, 0.0, 1.0, -1.5), strict=True)),
    dict(zip(NOISE, (-0.5, -0.4, -0.9, -2.0), strict=True)),
)


def rows(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "score": rng.uniform(0.1, 0.99, n),
        "snr": np.exp(rng.normal(1.6, 0.4, n)),
        "area": np.exp(rng.exponential(0.4, n)),
        "density": np.exp(rng.uniform(np.log(1e-5), np.log(2e-2), n)),
    }


def test_as_many_rows_are_real_as_their_probabilities_say_at_any_density():
    columns, fresh = rows(40000), rows(40000, seed=2)
    real, known = np.random.default_rng(1).random(40000) < TRUE.probability(columns), TRUE.probability(fresh)
    fitted = fit_image_reliability(columns, real, weight=np.ones(40000), least_score=0.1)
    assert fitted.least_score == 0.1
    probability = fitted.probability(fresh)
    for low, high in ((1e-5, 1e-4), (1e-4, 1e-3), (1e-3, 2e-2)):
        some = (fresh["density"] >= low) & (fresh["density"] < high)
        for least, most in ((0.0, 0.3), (0.3, 0.6), (0.6, 1.0)):
            chosen = some & (probability >= least) & (probability < most)
            assert probability[chosen].mean() == pytest.approx(known[chosen].mean(), abs=0.04)
    assert fitted.noise["density"] == pytest.approx(-0.9, abs=0.15)


def test_the_same_faint_row_is_noise_in_an_empty_field_and_a_piece_at_worst_in_a_crowded_one():
    faint = {"score": np.full(2, 0.5), "snr": np.full(2, 4.5), "area": 1.0, "density": np.array([1e-5, 1e-2])}
    empty, crowded = TRUE.probability(faint)
    assert empty < 0.1 < 0.6 < crowded
    bright = faint | {"snr": np.full(2, 20.0)}
    empty, crowded = TRUE.probability(bright)
    assert 0.7 < empty < crowded < 1 / (1 + np.exp(-1.5))


def test_the_slope_of_the_likelihood_is_its_difference():
    columns, rng = rows(200), np.random.default_rng(5)
    known = terms(columns)
    design = np.stack([known[name] for name in (*PIECES, *NOISE)], axis=1)
    real, weight, values = rng.random(200) < 0.5, rng.uniform(0.5, 2, 200), 0.2 * rng.standard_normal(9)
    _, slope = _likelihood(design, values, real, weight)
    for k in range(9):
        step = np.zeros(9)
        step[k] = 1e-6
        high, low = (_likelihood(design, values + sign * step, real, weight)[0] for sign in (1, -1))
        assert slope[k] == pytest.approx((high - low) / 2e-6, rel=1e-4, abs=1e-4)


def test_a_weight_is_a_number_of_rows():
    columns = rows(400)
    real = np.random.default_rng(1).random(400) < TRUE.probability(columns)
    again = {name: np.concatenate([values, *[values[~real]] * 2]) for name, values in columns.items()}
    repeated = np.concatenate([real, *[real[~real]] * 2])
    one = fit_image_reliability(columns, real, weight=np.where(real, 1.0, 3.0), least_score=0.1)
    two = fit_image_reliability(again, repeated, weight=np.ones(len(repeated)), least_score=0.1)
    np.testing.assert_allclose(one.probability(columns), two.probability(columns), atol=0.02)


def test_hopeless_rows_have_finite_terms_and_unknown_ones_no_probability():
    columns = {
        "score": np.array([0.0, 1.0, 0.9]),
        "snr": np.array([-3.0, 1e9, np.nan]),
        "area": np.array([0.0, 1e9, 1.0]),
        "density": 1e-9,
    }
    known = terms(columns)
    assert all(np.isfinite(values[:2]).all() for values in known.values())
    np.testing.assert_allclose(known["snr"][:2], [0.0, np.log(8.0)])
    np.testing.assert_allclose(known["peak"][:2], [0.5, 32.0])
    np.testing.assert_allclose(known["area"], [0.0, np.log(10.0), 0.0])
    assert TRUE.probability(columns)[2] == 0.0
    assert len(TRUE.probability(dict.fromkeys(columns, np.zeros(0)) | {"density": 1e-3})) == 0


def test_rows_of_one_kind_are_refused():
    with pytest.raises(ValueError, match="both kinds"):
        fit_image_reliability(rows(5), np.ones(5, bool), weight=np.ones(5), least_score=0.1)


def test_bright_sources_are_counted_and_small_fields_are_taken_to_be_usual():
    snr, score = np.array([3.0, 7.0, 50.0, 50.0, np.nan]), np.array([0.9, 0.9, 0.1, 0.9, 0.9])
    assert bright_density(snr, score, 1e6) == pytest.approx(3e-6, rel=1e-3)
    assert bright_density(np.repeat(snr, 1000), np.repeat(score, 1000), 1e6) == pytest.approx(2e-3, rel=2e-3)
    assert bright_density([], [], 10.0) == pytest.approx(1 / 510)


def test_through_plain_data_and_back():
    assert ImageReliability.of({"reliability": TRUE.to_dict()}) == TRUE
    assert ImageReliability.of({}) is None

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
    isolation,
    terms,
)

TRUE = ImageReliability(
    0.1,
    dict(zip(PIECES, (-0.8, 0.3, 0.0, 1.0, -2.0, -1.2, -1.5), strict=True)),
    dict(zip(NOISE, (-0.5, -0.4, -0.9, -2.0), strict=True)),
)


def rows(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "score": rng.uniform(0.1, 0.99, n),
        "snr": np.exp(rng.normal(1.6, 0.4, n)),
        "area": np.exp(rng.exponential(0.4, n)),
        "density": np.exp(rng.uniform(np.log(1e-5), np.log(2e-2), n)),
        "sums": np.exp(rng.normal(0.0, 0.3, n)),
        "distance": rng.rayleigh(1.2, n),
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
    faint |= {"sums": np.nan, "distance": 1.0}
    empty, crowded = TRUE.probability(faint)
    assert empty < 0.1 < 0.6 < crowded
    bright = faint | {"snr": np.full(2, 20.0)}
    empty, crowded = TRUE.probability(bright)
    assert 0.7 < empty < crowded < 1 / (1 + np.exp(-1.5))


def test_the_slope_of_the_likelihood_is_its_difference():
    columns, rng = rows(200), np.random.default_rng(5)
    known = terms(columns)
    design = np.stack([known[name] for name in (*PIECES, *NOISE)], axis=1)
    real, weight, values = rng.random(200) < 0.5, rng.uniform(0.5, 2, 200), 0.2 * rng.standard_normal(11)
    _, slope = _likelihood(design, values, real, weight)
    for k in range(11):
        step = np.zeros(11)
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
        "sums": np.array([-1.0, 1e9, np.nan]),
        "distance": np.array([0.0, np.inf, 1.0]),
    }
    known = terms(columns)
    assert all(np.isfinite(values[:2]).all() for values in known.values())
    np.testing.assert_allclose(known["snr"][:2], [0.0, np.log(8.0)])
    np.testing.assert_allclose(known["peak"][:2], [0.5, 32.0])
    np.testing.assert_allclose(known["area"], [0.0, np.log(10.0), 0.0])
    np.testing.assert_allclose(known["agree"], 0.0, atol=1e-3)
    np.testing.assert_allclose(known["alone"], [np.log(0.1), np.log(3.0), 0.0])
    assert TRUE.probability(columns)[2] == 0.0
    assert len(TRUE.probability(dict.fromkeys(columns, np.zeros(0)) | {"density": 1e-3})) == 0


def test_a_bright_row_that_sums_up_to_its_flux_is_no_piece_and_a_faint_one_tells_nothing():
    columns = {"score": 0.5, "area": 1.0, "density": 1e-3, "distance": 1.0}
    sums = np.array([1.0, 0.9, 1.15, 2.0, np.nan])
    bright = TRUE.probability(columns | {"snr": 20.0, "sums": sums})
    assert bright[0] > bright[1] > bright[2] > bright[3] > bright[4]
    assert terms(columns | {"snr": 20.0, "sums": np.exp([0.0, 0.15])})["agree"] == pytest.approx([1.0, 0.5])
    assert np.ptp(TRUE.probability(columns | {"snr": 5.0, "sums": sums})) == 0.0


def test_a_row_beside_another_one_is_rather_a_piece():
    columns = {"score": 0.5, "snr": 20.0, "area": 1.0, "density": 1e-3, "sums": 1.0}
    found = TRUE.probability(columns | {"distance": np.array([0.0, 0.1, 0.5, 1.0, 3.0, np.inf])})
    assert found[0] == found[1] < found[2] < found[3] < found[4] == found[5]


def test_rows_at_random_are_as_far_apart_as_expected_and_others_do_not_count():
    rng = np.random.default_rng(3)
    place, counted = rng.uniform(0.0, 1000.0, (20000, 2)), rng.random(20000) < 0.5
    found = isolation(place, counted, 1e6)
    assert found.mean() == pytest.approx(1.0, abs=0.02)
    assert found[~counted].mean() == pytest.approx(1.0, abs=0.02)
    np.testing.assert_allclose(found[counted], isolation(place[counted], np.ones(counted.sum(), bool), 1e6))
    # a unit of length is no matter, nor is the order
    np.testing.assert_allclose(isolation(3.0 * place, counted, 9e6), found)
    np.testing.assert_array_equal(isolation(place[::-1], counted[::-1], 1e6), found[::-1])
    # two of a pair stand out of their field
    pair = np.vstack([place[counted], place[counted][:1] + 1.0])
    assert isolation(pair, np.ones(len(pair), bool), 1e6)[-1] < 0.4


def test_nothing_is_beside_the_only_row():
    assert isolation(np.zeros((1, 2)), [True], 100.0) == np.inf
    assert (isolation(np.zeros((2, 2)), [False, False], 100.0) == np.inf).all()
    assert len(isolation(np.zeros((0, 2)), np.zeros(0, bool), 100.0)) == 0


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

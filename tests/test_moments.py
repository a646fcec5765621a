"""Moments of pixels are those of the Gaussians that were drawn, whatever the weight was."""

import numpy as np
import pytest

from skadetect.beams import ellipse_of, second_moments
from skadetect.moments import weighted_moments


def gaussian(shape, place, ellipse):
    y, x = np.indices(shape, np.float64)
    dy, dx = y - place[0], x - place[1]
    cos, sin = np.cos(ellipse[2]), np.sin(ellipse[2])
    along, across = (dx * cos + dy * sin) / ellipse[0], (dy * cos - dx * sin) / ellipse[1]
    return np.exp(-4.0 * np.log(2.0) * (along**2 + across**2)).astype(np.float32)


def measure(pixels, place, ellipse, **options):
    arrays = tuple(np.array([value]) for value in ellipse)
    options = {"background": np.zeros(1), "reach": 60.0} | options
    return weighted_moments(pixels, np.array([place]), arrays, **options)


@pytest.mark.parametrize("weight", [(6.0, 4.0, 0.5), (5.0, 5.0, 0.0), (8.0, 5.0, -0.4)])
def test_place_and_ellipse_do_not_depend_on_the_weight(weight):
    true = (40.3, 38.8), (6.0, 4.0, 0.5)
    pixels = 3.0 * gaussian((80, 80), *true) + np.float32(2.0)
    centre, spread = measure(pixels, (40.0, 39.0), weight, background=np.array([2.0]))
    np.testing.assert_allclose(centre, [[0.3, -0.2]], atol=0.02)
    np.testing.assert_allclose(ellipse_of(*spread.T), np.array(true[1])[:, None], rtol=0.02)


def test_errors_are_those_of_theory_in_white_noise():
    ellipse, rng, n = (5.0, 4.0, 0.3), np.random.default_rng(1), 400
    clean, snr = gaussian((41, 41), (20.0, 20.0), ellipse), 50.0
    found = [
        measure(clean + rng.normal(0.0, 1.0 / snr, clean.shape).astype(np.float32), (20.0, 20.0), ellipse)
        for _ in range(n)
    ]
    centre = np.concatenate([each.centre for each in found])
    along = centre @ [np.sin(0.3), np.cos(0.3)]
    theory = np.sqrt(2.0 / np.pi * 5.0 / 4.0) / snr  # Condon 1997, eq. 21
    assert along.std() == pytest.approx(theory, rel=0.2) and abs(along.mean()) < theory / 4
    major = np.array([ellipse_of(*each.spread.T)[0][0] for each in found])
    assert major.mean() == pytest.approx(5.0, rel=0.01) and major.std() < 0.2


def test_many_sources_are_measured_each_by_itself_in_any_order():
    rng = np.random.default_rng(2)
    places = np.stack(np.meshgrid([30.0, 90.0, 150.0], [30.0, 90.0, 150.0]), axis=-1).reshape(-1, 2)
    places += rng.uniform(-0.5, 0.5, places.shape)
    axes = rng.uniform(4.0, 6.0, 9), rng.uniform(3.0, 4.0, 9), rng.uniform(-1.5, 1.5, 9)
    pixels = sum(gaussian((180, 180), place, each) for place, *each in zip(places, *axes, strict=True))
    whole = weighted_moments(pixels, places, axes, background=np.zeros(9), reach=25.0)
    np.testing.assert_allclose(whole.centre, 0.0, atol=1e-3)
    np.testing.assert_allclose(whole.spread, np.stack(second_moments(*axes), axis=1), atol=0.2)
    turned = weighted_moments(
        pixels, places[::-1], tuple(each[::-1] for each in axes), background=np.zeros(9), reach=25.0
    )
    np.testing.assert_array_equal(turned.spread[::-1], whole.spread)
    # any window that shows as much as is looked at says the same
    one = tuple(each[4:5] for each in axes)
    window = weighted_moments(
        pixels[60:125, 60:125], places[4:5] - 60.0, one, background=np.zeros(1), reach=25.0
    )
    np.testing.assert_allclose(window.spread, whole.spread[4:5], rtol=1e-9)


def test_nothing_is_looked_at_beyond_the_reach():
    ellipse = (12.0, 12.0, 0.0)
    pixels = gaussian((80, 80), (40.0, 40.0), ellipse)
    near = measure(pixels, (40.0, 40.0), ellipse, reach=8.0)
    pixels[(np.indices(pixels.shape) - 40.0).__abs__().max(axis=0) > 8.0] = np.nan
    again = measure(pixels, (40.0, 40.0), ellipse, reach=8.0)
    np.testing.assert_array_equal(near.spread, again.spread)
    np.testing.assert_allclose(ellipse_of(*again.spread.T)[0], 12.0, rtol=0.06)  # a part shows less


@pytest.mark.parametrize("case", ["blank", "border", "negative", "wider than any Gaussian"])
def test_what_is_no_gaussian_is_not_known(case):
    ellipse, place = (5.0, 5.0, 0.0), (20.0, 20.0)
    pixels = gaussian((41, 41), place, ellipse)
    if case == "blank":
        pixels[20, 21] = np.nan
    elif case == "border":
        pixels, place = pixels[18:], (2.0, 20.0)
    elif case == "negative":
        pixels = -pixels
    else:
        pixels = np.ones_like(pixels) + 0.1 * np.abs(np.indices(pixels.shape) - 20.0).sum(axis=0).astype("f4")
    found = measure(pixels, place, ellipse)
    assert np.isnan(found.centre).all() and np.isnan(found.spread).all()


def test_no_sources_have_no_moments():
    none = np.empty(0)
    found = weighted_moments(
        np.zeros((5, 5), np.float32), np.empty((0, 2)), (none, none, none), background=none, reach=3.0
    )
    assert found.centre.shape == (0, 2) and found.spread.shape == (0, 3)

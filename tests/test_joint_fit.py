"""Gaussians that are fitted together, against what they were drawn with and against SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import least_squares

from skadetect.beams import gaussian_exponents
from skadetect.joint_fit import Fits, fit_groups

Floats = NDArray[np.float64]
BEAM = gaussian_exponents([4.0], [4.0], [0.0])[0]


def source(*terms: float) -> Floats:
    """Peak, y, x and, if it is no point, bmaj, bmin and theta."""
    bmaj, bmin, theta = terms[3:] or (4.0, 4.0, 0.0)
    return np.concatenate([terms[:3], gaussian_exponents([bmaj], [bmin], [theta])[0]])


def drawn(sources: Floats, side: int = 64) -> Floats:
    y, x = np.mgrid[:side, :side]
    image = np.zeros((side, side))
    for peak, y0, x0, a, b, c in sources:
        image += peak * np.exp(a * (y - y0) ** 2 + b * (x - x0) ** 2 + c * (y - y0) * (x - x0))
    return image


def noise(seed: int, side: int = 64) -> NDArray[np.float32]:
    """As smooth as the beam, of unit rms."""
    made = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), 4.0 / 2.3548, mode="wrap")
    return np.asarray(made / made.std(), np.float32)


def fitted(pixels: NDArray[np.floating[Any]], guess: Floats, start: list[int] | None = None) -> Fits:
    """Fits to an image from a guess, which is taken out of it first."""
    begin = np.array([0, len(guess)] if start is None else start)
    groups = len(begin) - 1
    left = (pixels - drawn(guess)).astype(np.float32)
    return fit_groups(left, guess, begin, noise=np.ones(groups), level=np.zeros(groups), beam=BEAM)


def test_what_was_drawn_comes_back_from_a_rough_guess() -> None:
    true = np.stack([source(80, 30, 30, 6, 4.5, 0.4), source(50, 33, 36), source(20, 25.5, 35, 5, 4, -1.0)])
    guess = true * [1.2, 1, 1, 0.9, 1.1, 0.5] + [0, 0.5, -0.6, 0, 0, 0]
    found = fitted(drawn(true), guess)
    assert found.sound.all() and np.isnan(found.second).all() and found.left[0] < 1e-3
    np.testing.assert_allclose(found.sources, true, rtol=1e-3, atol=1e-4)


def test_it_is_the_least_square() -> None:
    true = np.stack([source(60, 30, 30), source(25, 34, 33, 5, 4, 0.7)])
    pixels = drawn(true) + noise(1)
    found = fitted(pixels, true)
    y, x = np.mgrid[:64, :64]
    power = [a * (y - p) ** 2 + b * (x - q) ** 2 + c * (y - p) * (x - q) for _, p, q, a, b, c in true]
    near = np.max(power, axis=0) >= -4.0 * np.log(2.0)

    def rest(terms: Floats) -> Floats:
        return np.asarray((pixels - drawn(terms.reshape(2, 6)))[near])

    expected = least_squares(rest, true.ravel(), method="lm").x.reshape(2, 6)
    np.testing.assert_allclose(found.sources, expected, rtol=2e-3, atol=1e-3)
    assert found.left[0] == pytest.approx(np.sqrt(np.mean(rest(found.sources.ravel()) ** 2)), rel=1e-3)


def test_one_ellipse_of_two_points_becomes_two() -> None:
    true = np.stack([source(100, 30, 30), source(60, 30, 34.5)])
    pixels = drawn(true) + noise(2)
    found = fitted(pixels, source(90, 30.2, 31.8, 6.5, 4.1, 0.0)[None])
    both = np.concatenate([found.sources, found.second])
    order = np.argsort(-both[:, 0])
    np.testing.assert_allclose(both[order, :3], true[:, :3], rtol=0.06, atol=0.2)


def test_what_is_one_stays_one() -> None:
    for seed, (bmaj, bmin) in enumerate([(4, 4), (6, 4), (8, 5), (12, 8), (5, 4.5)]):
        true = source(100, 30, 30, bmaj, bmin, 0.3 * seed)[None]
        found = fitted(drawn(true) + noise(seed), true * [0.9, 1, 1, 1.1, 1.1, 1.1] + [0, 0.3, 0.2, 0, 0, 0])
        assert np.isnan(found.second).all()
        assert not found.sound[0]  # a source by itself is left as it was
    # a disc of a galaxy, which is no Gaussian
    y, x = np.mgrid[:64, :64]
    disc = np.exp(-np.hypot((y - 30) / 1.5, (x - 30) / 4.0))
    pixels = gaussian_filter(disc, 4.0 / 2.3548)
    pixels = (100 * pixels / pixels.max() + noise(7)).astype("f4")
    assert np.isnan(fitted(pixels, source(90, 30, 30, 11, 6, 0.0)[None]).second).all()


def test_groups_are_fitted_each_for_itself_and_order_does_not_matter() -> None:
    one = np.stack([source(60, 20, 20), source(30, 23, 22)])
    other = np.stack([source(40, 45, 45, 5, 4, 0.2), source(35, 45, 50)])
    pixels = drawn(np.concatenate([one, other])) + noise(3)
    both = fitted(pixels, np.concatenate([one, other]), [0, 2, 4])
    turned = fitted(pixels, np.concatenate([other[::-1], one]), [0, 2, 4])
    np.testing.assert_allclose(both.sources[:2], turned.sources[2:], rtol=1e-6)
    np.testing.assert_allclose(both.sources[2:], turned.sources[1::-1], rtol=1e-3)


def test_blank_pixels_and_edges_are_left_out() -> None:
    true = np.stack([source(60, 2, 30), source(30, 4, 34)])
    pixels = drawn(true) + 0.1 * noise(4)
    pixels[3:5, 28] = np.nan
    found = fitted(pixels, true)
    assert found.sound.all()
    np.testing.assert_allclose(found.sources[:, 0], true[:, 0], rtol=0.03)
    pixels[:] = np.nan
    nothing = fitted(pixels, true)
    assert not nothing.sound.any() and np.isinf(nothing.left).all()
    np.testing.assert_array_equal(nothing.sources, true)


def test_no_sources_are_no_fits() -> None:
    none = {"noise": np.empty(0), "level": np.empty(0)}
    found = fit_groups(np.zeros((4, 4), "f4"), np.empty((0, 6)), np.zeros(1, int), beam=BEAM, **none)
    assert len(found.sources) == len(found.second) == len(found.left) == 0

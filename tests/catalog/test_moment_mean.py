"""Places and shapes are the network's of faint sources and the pixels' of bright ones."""

import json

import numpy as np
import pytest

from skadetect.beams import PixelBeam, convolve, ellipse_of, second_moments
from skadetect.catalog.moment_mean import MomentMean, Seen, fit_place, fit_shapes, trusted, weight

BEAM = PixelBeam(3.0, 3.0, 0.0)
USUAL = MomentMean(8.0, 15.0, 1.0)


def seen(snr, own, moments, *, angle_error=0.2, known=True) -> Seen:
    """Sources of equal ellipses: the network's and, intrinsic, the pixels'."""
    snr = np.atleast_1d(np.asarray(snr, float))
    ones = np.ones(len(snr))
    own, pixels = (tuple(value * ones for value in each) for each in (own, moments))
    major, minor, _ = convolve(*own, BEAM)
    return Seen(
        snr, own, angle_error * ones, second_moments(*pixels), major * minor, 9.0, np.full(len(snr), known)
    )


def test_nothing_changes_without_a_calibration_or_moments():
    own, pixels = (4.0, 2.0, 0.3), (5.0, 3.0, 1.0)
    for mean, known in ((MomentMean(), True), (USUAL, False)):
        ellipse, error = mean.ellipse(seen([5.0, 500.0], own, pixels, known=known))
        np.testing.assert_allclose(ellipse, np.transpose([own, own]), rtol=1e-12)
        np.testing.assert_array_equal(error, 0.2)
    assert MomentMean.of({}) == MomentMean()
    for mean in (USUAL, MomentMean(8.0, float("inf"), 1.0), MomentMean()):
        text = json.dumps(mean.to_dict(), allow_nan=False)  # as a model file has it
        assert MomentMean.of({"moment_mean": json.loads(text)}) == mean


def test_the_ellipse_goes_from_the_network_s_to_the_pixels_with_the_signal_to_noise():
    own, pixels = (4.0, 2.0, 0.3), (5.0, 3.0, 0.6)
    (major, minor, theta), error = USUAL.ellipse(seen([1.0, 30.0, 100.0, 1e4], own, pixels))
    for values, ends in ((major, (4.0, 5.0)), (minor, (2.0, 3.0)), (theta, (0.3, 0.6))):
        assert (np.diff(values) > 0).all()
        assert values[0] == pytest.approx(ends[0], rel=0.05)
        assert values[-1] == pytest.approx(ends[1], rel=0.01)
    assert (np.diff(error) < 0).all() and error[-1] < 0.01


def test_moments_alone_are_taken_whole_whatever_the_network_says():
    rng = np.random.default_rng(4)
    for _ in range(20):
        own = rng.uniform(3.0, 5.0), rng.uniform(1.0, 3.0), rng.uniform(-1.5, 1.5)
        pixels = rng.uniform(3.0, 6.0), rng.uniform(0.5, 3.0), rng.uniform(-1.5, 1.5)
        found, _ = MomentMean(0.0, 0.0, 0.0).ellipse(seen(10.0, own, pixels))
        wanted = np.reshape(second_moments(*pixels), (3, 1))
        np.testing.assert_allclose(second_moments(*found), wanted, atol=1e-9)


def test_a_point_stays_one_until_its_pixels_are_sure_and_no_axis_is_negative():
    own, pixels = (0.2, 0.1, 0.0), (2.0, 0.0, 0.0)
    (major, _, _), _ = USUAL.ellipse(seen([10.0, 1e5], own, pixels))
    assert major[0] < 0.4 and major[1] == pytest.approx(2.0, rel=0.01)
    shrunk = seen([1e5], own, pixels)._replace(moments=tuple(np.array([v]) for v in (-1.0, -2.0, 0.0)))
    (major, minor, _), _ = USUAL.ellipse(shrunk)
    assert major == 0.0 and minor == 0.0


def test_a_share_is_that_of_the_variances():
    np.testing.assert_allclose(weight([0.0, 10.0, 20.0, -3.0], 10.0), [0.0, 0.5, 0.8, 0.0])
    np.testing.assert_array_equal(weight([1.0, 1e9], np.inf), 0.0)
    np.testing.assert_array_equal(weight([1.0, 1e-3], 0.0), 1.0)


def test_moments_of_something_else_are_not_trusted():
    centre = np.array([[0.1, 0.0], [2.0, 2.0], [0.0, 0.0], [0.0, 0.0], [np.nan, np.nan]])
    spread = np.array([[16.0, 9.0, 0.0]] * 2 + [[60.0, 60.0, 0.0], [2.0, 2.0, 0.0], [np.nan] * 3])
    found = trusted(centre, spread, np.full(5, 12.0))
    np.testing.assert_array_equal(found, [True, False, False, False, False])


def test_what_counts_alike_is_found_again():
    rng, n = np.random.default_rng(5), 20000
    snr = np.exp(rng.uniform(np.log(5.0), np.log(500.0), n))
    network = 0.05 * rng.standard_normal((n, 2))
    moments = 0.05 * rng.standard_normal((n, 2)) * 8.0 / snr[:, None]
    assert fit_place(network, moments, np.ones(n), snr) == pytest.approx(8.0, rel=0.3)

    true = rng.uniform(2.0, 4.0, n), rng.uniform(1.0, 2.0, n), rng.uniform(-1.5, 1.5, n)
    sure = 0.15
    own = true[0] * np.exp(0.1 * rng.standard_normal(n)), true[1] * np.exp(0.1 * rng.standard_normal(n))
    own = np.maximum(*own), np.minimum(*own), true[2] + sure * rng.standard_normal(n)
    major, minor, _ = convolve(*own, BEAM)
    noise = 2.0 * major * minor / snr
    noisy = noise * rng.standard_normal((3, n)) * np.array([[1.0], [1.0], [0.7]])
    moments = tuple(np.stack(second_moments(*true)) + noisy)
    given = Seen(snr, own, np.full(n, sure), moments, major * minor, 9.0, np.ones(n, bool))
    axes, angle = fit_shapes(given, true)
    assert axes == pytest.approx(10.0, rel=0.5) and angle == pytest.approx(1.4, rel=0.6)
    best, _ = MomentMean(axes=axes, angle=angle).ellipse(given)
    for other in (own, ellipse_of(*moments)):
        assert np.median(np.abs(best[0] / true[0] - 1)) < np.median(np.abs(other[0] / true[0] - 1))

"""Sums over sources' pixels: the flux that is there, with the error that noise makes, in any window."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

from skadetect.aperture import BEAM, DISC, LEAST_CHANNELS, LINE, Apertures, sum_apertures
from skadetect.background_mesh import Background
from skadetect.beams import PixelBeam, convolve
from skadetect.train.augment import correlated_noise

BEAM_PIXELS = PixelBeam(4.0, 3.0, 0.4)
SHAPE = (40, 60, 64)
REACH = (20, 24, 24)


def background(level=0.0, rms=1.0, shape=SHAPE):
    mesh = np.ones((shape[0], 2, 2))
    return Background(level * mesh, rms * mesh, shape)


def discs(n=1, *, size=6.0, incl=0.9, direction=0.7, w20=8.0):
    values = {"hi_size": size, "incl": incl, "direction": direction, "w20": w20}
    return {name: np.full(n, value, np.float64) for name, value in values.items()}


def summed(pixels, positions, shapes=None, *, of=None, low=(0, 0, 0)):
    positions = np.atleast_2d(np.asarray(positions, np.float64))
    shapes = shapes or discs(len(positions))
    of = of or background()
    apertures = Apertures.of(shapes, BEAM_PIXELS, snr=np.full(len(positions), 10.0))
    return sum_apertures(pixels, of, positions, apertures, BEAM_PIXELS, low=low, reach=REACH)


def gaussian(position, *, along_z):
    """A point source of unit flux (beams times channels) seen through the beam."""
    z, y, x = (np.arange(n) - c for n, c in zip(SHAPE, position, strict=True))
    cos, sin = np.cos(BEAM_PIXELS.theta), np.sin(BEAM_PIXELS.theta)
    u, v = x * cos + y[:, None] * sin, y[:, None] * cos - x * sin
    sky = np.exp(-4 * np.log(2) * ((u / BEAM_PIXELS.bmaj) ** 2 + (v / BEAM_PIXELS.bmin) ** 2))
    line = np.exp(-0.5 * (z / along_z) ** 2) / (along_z * np.sqrt(2 * np.pi))
    return (line[:, None, None] * sky).astype(np.float32)


def test_the_flux_of_a_point_is_what_an_ellipse_of_the_beam_holds():
    position, sigma = (18.3, 30.2, 31.4), 2.5
    w20 = 2 * np.sqrt(2 * np.log(5)) * sigma
    flux = summed(gaussian(position, along_z=sigma), position, discs(size=0.0, w20=w20)).flux
    # an ellipse of so many FWHM across holds 1 - 2^-(BEAM^2) of a Gaussian
    channels = erf(0.5 * np.hypot(LINE * w20, LEAST_CHANNELS) / sigma / np.sqrt(2))
    assert flux[0] == pytest.approx((1 - 2 ** -(BEAM**2)) * channels, abs=0.015)


def test_an_even_brightness_adds_up_to_the_volume():
    pixels = np.full(SHAPE, 3.5, np.float32)
    flux, error = summed(pixels, (19.6, 30.2, 31.9), of=background(level=1.5, rms=0.3))
    across = 6.0 * np.hypot(np.cos(0.9), 0.15 * np.sin(0.9))
    size = (DISC * 6.0, DISC * across)
    assert size[0] > size[1] > 0
    # the area of an ellipse whose covariance is the sum of those of disc and beam
    covariance = sum(
        turned(axes, theta)
        for axes, theta in (
            (size, 0.7),
            ((BEAM * BEAM_PIXELS.bmaj, BEAM * BEAM_PIXELS.bmin), BEAM_PIXELS.theta),
        )
    )
    area = 0.25 * np.pi * np.sqrt(np.linalg.det(covariance))
    volume = area * np.hypot(LINE * 8.0, LEAST_CHANNELS)
    assert flux[0] * BEAM_PIXELS.area == pytest.approx(2.0 * volume, rel=0.02)
    assert error[0] == pytest.approx(0.3 * np.sqrt(2 * volume / BEAM_PIXELS.area), rel=0.1)


def turned(axes, theta):
    """Matrix of squared axes."""
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    return turn @ np.diag(np.square(axes)) @ turn.T


def test_the_error_is_that_of_noise_as_correlated_as_the_beam():
    rng, shape = np.random.default_rng(3), (40, 240, 240)
    noise = correlated_noise(shape, BEAM_PIXELS, rng)
    y, x = np.mgrid[20:220:12, 20:220:12].reshape(2, -1)
    positions = np.stack([np.full(len(y), 20.0), y, x], axis=1)
    flux, error = summed(noise, positions, of=background(shape=shape))
    # in an aperture of few beams noise varies less than in a large one
    assert 0.8 < (flux / error).std() < 1.05
    assert abs((flux / error).mean()) < 0.25


def test_no_window_matters_that_shows_all_within_reach():
    rng = np.random.default_rng(1)
    pixels, mesh = rng.standard_normal(SHAPE).astype(np.float32), rng.uniform(1, 2, (2, SHAPE[0], 3, 2))
    of, position = Background(*mesh, SHAPE), np.array([20.3, 30.1, 31.6])
    low = (1, 7, 8)
    window = pixels[low[0] : 40, low[1] : 54, low[2] : 56]
    for shape in (discs(), discs(size=500.0, w20=300.0)):
        whole = summed(pixels, position, shape, of=of)
        part = summed(window, position - low, shape, of=of, low=low)
        np.testing.assert_allclose(np.array(part), np.array(whole), rtol=1e-12)
        assert np.isfinite(whole).all()


def test_what_is_blank_counts_as_the_rest_and_adds_to_the_error():
    pixels = np.ones(SHAPE, np.float32)
    whole = summed(pixels, (20.0, 30.0, 31.0))
    pixels[:, :, 32:] = np.nan
    cut = summed(pixels, (20.0, 30.0, 31.0))
    assert cut.flux == pytest.approx(whole.flux) and cut.error > 1.15 * whole.error
    pixels[:, :, 30:] = np.nan
    assert np.isnan(summed(pixels, (20.0, 30.0, 31.0))).all()
    beyond = summed(np.ones(SHAPE, np.float32), (20.0, 30.0, SHAPE[2] - 2.0))
    assert beyond.flux == pytest.approx(whole.flux)


def test_without_the_shape_of_a_galaxy_nothing_is_known():
    some = discs()
    del some["incl"]
    assert Apertures.of(some, BEAM_PIXELS, snr=np.ones(1)) is None
    assert summed(np.ones(SHAPE, np.float32), np.empty((0, 3))).flux.shape == (0,)


@pytest.mark.parametrize(("snr", "seen"), [(3.0, 1.8), (50.0, 2.2), (1e4, 2.6)])
@pytest.mark.parametrize("axes", [(0.0, 0.0), (5.0, 2.0)])
def test_the_flux_of_a_source_in_an_image_is_whole_and_its_aperture_larger_where_it_is_brighter(
    axes, snr, seen
):
    shape, beam = (1, 80, 84), BEAM_PIXELS
    source = {
        name: np.array([value]) for name, value in zip(("bmaj", "bmin", "theta"), (*axes, 1.1), strict=True)
    }
    major, minor, theta = (float(each[0]) for each in convolve(*source.values(), beam))
    y, x = np.mgrid[: shape[1], : shape[2]] - np.array([41.3, 39.8])[:, None, None]
    u, v = x * np.cos(theta) + y * np.sin(theta), y * np.cos(theta) - x * np.sin(theta)
    pixels = 7.0 + 3.0 * np.exp(-4 * np.log(2) * ((u / major) ** 2 + (v / minor) ** 2))
    of = background(level=7.0, rms=0.1, shape=shape)
    apertures, position = Apertures.of(source, beam, snr=np.array([snr])), np.array([[0.0, 41.3, 39.8]])
    seen_by = pixels[None].astype(np.float32), of, position, apertures, beam
    sums = sum_apertures(*seen_by, low=(0, 0, 0), reach=(0, 40, 40))
    flux = 3.0 * major * minor / (beam.bmaj * beam.bmin)
    assert sums.flux[0] == pytest.approx(flux, rel=0.015)
    area = 0.25 * np.pi * seen**2 * major * minor
    held = 1 - 2 ** -(seen**2)
    assert sums.error[0] == pytest.approx(0.1 * np.sqrt(2 * area / beam.area) / held, rel=0.1)

"""Backgrounds of cubes: steady from channel to channel, but for what truly differs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from skadetect.background import Background, BackgroundOptions, estimate_background
from skadetect.background_channels import SHORTEST, _running_quantiles, steady
from skadetect.errors import ConfigError
from skadetect.image import open_image
from tests.fits_files import sky_header

N, SIDE, SIGMA = 96, 96, 3e-5
CELL = BackgroundOptions(cell=96)


def background_of(pixels: np.ndarray, options: BackgroundOptions = CELL) -> Background:
    cards = {"CTYPE3": "FREQ", "CRVAL3": 1.4e9, "CRPIX3": 1.0, "CDELT3": 1e4, "RESTFRQ": 1.42e9}
    header = sky_header(pixels.shape[2], pixels.shape[1], **cards)
    return estimate_background(open_image((pixels.astype(np.float32), header)), options)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Unit noise through a beam of 3 pixels."""
    white = np.random.default_rng(8).normal(size=(N, SIDE, SIDE))
    seen = gaussian_filter(white, (0, 3 / 2.3548, 3 / 2.3548), mode="wrap")
    return seen / seen.std()


def test_small_planes_are_not_uncertain(noise: np.ndarray) -> None:
    alone = background_of(SIGMA * noise, BackgroundOptions(cell=96, channels=1))
    got = background_of(SIGMA * noise)
    assert got.rms.shape == (N, 1, 1)
    assert alone.rms.std() > 0.025 * SIGMA
    assert got.rms.std() < 0.012 * SIGMA
    assert got.level.std() < 0.015 * SIGMA
    assert got.rms.mean() == pytest.approx(SIGMA, rel=0.02)
    assert abs(got.level.mean()) < 0.02 * SIGMA


def test_slow_changes_and_interference_are_followed(noise: np.ndarray) -> None:
    sigma = np.linspace(1, 2, N)
    sigma[[20, 50, 51, 52, 80]] *= 1.5, 3, 5, 3, 12
    got = background_of(SIGMA * noise * sigma[:, None, None]).rms[:, 0, 0] / SIGMA
    calm = np.isin(np.arange(N), [20, 50, 51, 52, 80], invert=True)
    np.testing.assert_allclose(got[calm][4:-4], sigma[calm][4:-4], rtol=0.05)
    np.testing.assert_allclose(got[~calm], sigma[~calm], rtol=0.08)


def test_noise_that_differs_over_the_sky_is_followed() -> None:
    slope = np.linspace(1, 2, 256)
    white = np.random.default_rng(1).normal(size=(16, 256, 256)) * slope
    white[7] *= 4
    got = background_of(white, BackgroundOptions(cell=64)).rms
    pattern = got / got.mean(axis=(1, 2), keepdims=True)
    expected = slope.reshape(4, 64).mean(axis=1) / slope.mean()
    np.testing.assert_allclose(pattern[:, 1:3, 1:3], np.broadcast_to(expected[1:3], (16, 2, 2)), rtol=0.05)
    assert got[7].mean() / got[6].mean() == pytest.approx(4, rel=0.04)


def test_a_galaxy_that_fills_a_channel_lifts_nothing(noise: np.ndarray) -> None:
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    galaxy = np.zeros((N, SIDE, SIDE))
    for z in range(40, 60):
        galaxy[z] = 4 * np.exp(-((y / 18) ** 2) - (x / 30) ** 2)
    seen = background_of(noise + galaxy)
    alone = background_of(noise + galaxy, BackgroundOptions(cell=96, channels=1))
    inside = slice(40, 60)
    assert alone.level[inside].mean() > 0.15
    assert abs(seen.level[inside].mean()) < 0.06 < alone.level[inside].mean() / 2
    assert seen.rms[inside].mean() == pytest.approx(1, abs=0.1)
    assert abs(seen.level[:30].mean()) < 0.03


def test_an_offset_of_a_channel_is_its_level(noise: np.ndarray) -> None:
    pixels = noise.copy()
    pixels[30] += 5
    pixels[60] -= 1
    got = background_of(pixels).level[:, 0, 0]
    assert got[30] == pytest.approx(5, abs=0.25)
    assert got[60] == pytest.approx(-1, abs=0.25)
    assert np.abs(np.delete(got, [30, 60])).max() < 0.15


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_channels_without_noise_do_not_matter(noise: np.ndarray, value: float) -> None:
    pixels = noise.copy()
    pixels[10:60] = value
    got = background_of(pixels)
    kept = np.r_[0:10, 60:N]
    assert got.rms[kept].mean() == pytest.approx(1, abs=0.02)
    assert (got.rms > 0).all() and np.isfinite(got.level).all()
    nothing = background_of(np.full((8, 32, 32), value))
    assert (nothing.rms > 0).all()


def test_few_channels_stay_as_they_are(noise: np.ndarray) -> None:
    one = background_of(noise[:4])
    two = background_of(noise[:4], BackgroundOptions(cell=96, channels=1))
    np.testing.assert_array_equal(one.rms, two.rms)
    with pytest.raises(ConfigError, match="odd number of channels"):
        BackgroundOptions(channels=4)


@pytest.mark.parametrize("n", [1, 3, 9, 40])
@pytest.mark.parametrize("window", [1, 5, 21, 65])
def test_running_quantiles(n: int, window: int) -> None:
    values = np.random.default_rng(n).integers(0, 6, n).astype(float)
    median, quartile = _running_quantiles(values, window)
    for k in range(n):
        reach = min(window // 2, max(min(k, n - 1 - k), SHORTEST))
        around = np.sort(values[max(0, k - reach) : k + reach + 1])
        assert median[k] == np.median(around)
        assert quartile[k] == around[(around.size - 1) // 4]


def test_cells_do_not_depend_on_each_other_being_many() -> None:
    rng = np.random.default_rng(3)
    rms = np.exp(0.03 * rng.normal(size=(200, 6, 7)))
    level = 0.05 * rng.normal(size=rms.shape)
    before = rms.std()
    steady(level, rms, beams=1500, window=65)
    assert rms.std() < 0.3 * before
    assert level.std() < 0.015

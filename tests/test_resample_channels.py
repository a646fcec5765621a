"""Channels resampled: the same spectra on other channels, whichever window is read."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from skadetect.errors import ConfigError
from skadetect.image import Image, open_image
from skadetect.resample import block_mean, match_sampling
from skadetect.resample_channels import average_channels, interpolate_channels, match_channels
from tests.fits_files import sky_header

SHAPE = (23, 8, 9)


def cube_of(array: np.ndarray, *, step: float = 2e4) -> Image:
    cards = {"CTYPE3": "FREQ", "CRVAL3": 1.42e9, "CRPIX3": 1.0, "CDELT3": step, "RESTFRQ": 1.420405751786e9}
    header = sky_header(array.shape[2], array.shape[1], **cards)
    return open_image((array.astype(np.float32), header))


def whole(image: Image) -> np.ndarray:
    return image.read((0, 0, 0), image.shape)


@pytest.fixture(scope="module")
def holed() -> np.ndarray:
    array = np.random.default_rng(3).normal(size=SHAPE)
    array[7:13, 2:5, 3:6] = np.nan
    array[20] = np.nan
    return array


@pytest.mark.parametrize(
    "resample",
    [
        lambda i: average_channels(i, 3),
        lambda i: interpolate_channels(i, 2),
        lambda i: interpolate_channels(i, 5),
        lambda i: block_mean(average_channels(i, 2), 2),
    ],
)
def test_any_window_is_cut_from_the_whole(holed: np.ndarray, resample) -> None:  # type: ignore[no-untyped-def]
    view = pickle.loads(pickle.dumps(resample(cube_of(holed))))
    full = whole(view)
    for z, y, x in [(0, 0, 0), (1, 1, 2), (3, 2, 1), (5, 0, 3)]:
        window = view.read((z, y, x), (z + 3, y + 2, x + 1))
        np.testing.assert_array_equal(window, full[z : z + 3, y : y + 2, x : x + 1])
    outside = view.read((-2, 0, 0), (2, 2, 2))
    assert np.isnan(outside[:2]).all()
    np.testing.assert_array_equal(outside[2:], full[:2, :2, :2])


def test_means_by_hand(holed: np.ndarray) -> None:
    full = whole(average_channels(cube_of(holed), 4))
    assert full.shape == (6, 8, 9)
    np.testing.assert_allclose(full[0], holed[:4].mean(axis=0), rtol=1e-5, atol=1e-7)
    assert np.isnan(full[2, 3, 4])  # 8 to 11 are blank there
    np.testing.assert_allclose(full[1, 3, 4], holed[4:7, 3, 4].mean(), rtol=1e-5)
    np.testing.assert_allclose(full[5], holed[21:].mean(axis=0), rtol=1e-5, atol=1e-7)  # two of four: half


def test_interpolation_is_exact_on_lines(holed: np.ndarray) -> None:
    line = np.arange(SHAPE[0])[:, None, None] * 0.5 + np.zeros(SHAPE)
    view = interpolate_channels(cube_of(line), 3)
    place = view.to_original(np.stack([np.arange(69.0), np.zeros(69), np.zeros(69)], axis=1))[:, 0]
    np.testing.assert_allclose(whole(view)[:, 0, 0], 0.5 * np.clip(place, 0, 22), rtol=1e-5)
    np.testing.assert_array_equal(
        np.isnan(whole(interpolate_channels(cube_of(holed), 2))), np.isnan(holed).repeat(2, 0)
    )


@pytest.mark.parametrize("resample", [lambda i: average_channels(i, 3), lambda i: interpolate_channels(i, 3)])
def test_channels_keep_frequency_and_flux(holed: np.ndarray, resample) -> None:  # type: ignore[no-untyped-def]
    spectrum = np.exp(-0.5 * ((np.arange(21) - 9.3) / 3) ** 2)
    image = cube_of(spectrum[:, None, None] * np.ones((1, 4, 4)))
    view = resample(image)
    assert view.spectral is not None and image.spectral is not None
    assert view.spectral.freq.size == view.shape[0]
    z = np.arange(view.shape[0], dtype=float)
    original = view.to_original(np.stack([z, z, z], axis=1))
    np.testing.assert_allclose(view.spectral.frequency(z), image.spectral.frequency(original[:, 0]))
    np.testing.assert_array_equal(original[:, 1:], np.stack([z, z], axis=1))
    flux = [(whole(i)[:, 1, 1] * i.spectral.width(np.arange(i.shape[0]))).sum() for i in (image, view)]
    assert flux[1] == pytest.approx(flux[0], rel=1e-3)
    assert view.spectral.channel_kms == pytest.approx(image.spectral.channel_kms * view.factor_z, rel=1e-3)
    assert view.frequency == view.spectral.freq[0]


@pytest.mark.parametrize("step", [1e3, 5e3, 9e3, 2e4, 8e4, 2e5, -3e6])
def test_the_width_lands_in_the_range(step: float) -> None:
    image = cube_of(np.zeros((9, 4, 4)), step=step)
    view = match_sampling(image, (2.2, 6.0), (3.0, 9.0))
    assert view.spectral is not None and image.spectral is not None
    inside = 3.0 <= image.spectral.channel_kms <= 9.0
    assert (view is image) == inside
    if not inside:
        assert "km/s" in view.repairs[-1]
    width = image.spectral.channel_kms * view.factor_z
    assert 3.0 * (1 - 1e-9) <= width <= 9.0 * (1 + 1e-9)


def test_images_and_ranges_that_are_none() -> None:
    image = open_image((np.zeros((6, 6), np.float32), sky_header(6, 6)))
    assert match_channels(image, (3, 9)) is image
    assert match_sampling(cube_of(np.zeros((9, 4, 4)), step=1e3), (2.2, 6.0)).factor_z == 1
    with pytest.raises(ConfigError, match="channel_range"):
        match_channels(image, (9, 3))
    with pytest.raises(ValueError, match="no spectral axis"):
        average_channels(image, 2)

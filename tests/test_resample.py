"""Resampling: the same sky at another pixel, whichever window is read."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from skadetect.errors import ConfigError
from skadetect.image import Image, open_image
from skadetect.resample import block_mean, match_sampling, upsample
from tests.fits_files import sky_header

SHAPE = (61, 83)


def image_of(array: np.ndarray, *, fwhm: float = 3.0) -> Image:
    header = sky_header(array.shape[1], array.shape[0])
    header["BMAJ"] = header["BMIN"] = fwhm * abs(header["CDELT1"])
    return open_image((array.astype(np.float32), header))


def gaussian(y: float, x: float, fwhm: float, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-4 * math.log(2) * ((yy - y) ** 2 + (xx - x) ** 2) / fwhm**2)


def whole(image: Image) -> np.ndarray:
    return image.read((0, 0, 0), image.shape)[0]


@pytest.fixture(scope="module")
def holed() -> np.ndarray:
    array = np.random.default_rng(6).normal(size=SHAPE).astype(np.float32)
    array[20:30, 40:55] = np.nan
    array[5, 5] = np.nan
    return array


@pytest.mark.parametrize(
    "resample", [lambda i: block_mean(i, 3), lambda i: upsample(i, 2), lambda i: upsample(i, 3)]
)
def test_any_window_is_cut_from_the_whole(holed: np.ndarray, resample) -> None:  # type: ignore[no-untyped-def]
    view = resample(image_of(holed))
    full = whole(view)
    for y, x in [(0, 0), (1, 2), (5, 7), (11, 13)]:
        window = view.read((0, y, x), (1, y + 9, x + 14))
        np.testing.assert_array_equal(window[0], full[y : y + 9, x : x + 14])
    outside = view.read((0, -3, -2), (1, 2, 2))
    assert np.isnan(outside[0, :3]).all()
    np.testing.assert_array_equal(outside[0, 3:, 2:], full[:2, :2])


def test_block_means_by_hand(holed: np.ndarray) -> None:
    image = image_of(holed)
    view = block_mean(image, 3)
    assert view.shape == (1, 21, 28)
    gain = view.pixel_beam.area * 9 / image.pixel_beam.area
    full = whole(view)
    np.testing.assert_allclose(full[2, 3], gain * holed[6:9, 9:12].mean(), rtol=1e-5)
    np.testing.assert_allclose(full[1, 1], gain * np.nanmean(holed[3:6, 3:6]), rtol=1e-5)
    assert np.isnan(full[7, 15])
    # The last row has one of three rows of pixels: less than half is not enough.
    assert np.isnan(full[20]).all()


def test_upsampling_reproduces_a_plane_and_keeps_holes(holed: np.ndarray) -> None:
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    plane = 0.5 * xx - 0.25 * yy + 3
    view = upsample(image_of(np.where(np.isnan(holed), np.nan, plane)), 2)
    y, x = (np.mgrid[: 2 * SHAPE[0], : 2 * SHAPE[1]] + 0.5) / 2 - 0.5
    full, inner = whole(view), slice(6, -6)
    clear = full[inner, inner][:, :60]
    expected = (0.5 * x - 0.25 * y + 3)[inner, inner][:, :60]
    far = np.s_[10:, :]
    np.testing.assert_allclose(clear[far], expected[far], rtol=1e-5)
    np.testing.assert_array_equal(np.isnan(full), np.isnan(holed).repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize(
    ("fwhm", "resample"), [(15.0, lambda i: block_mean(i, 4)), (2.2, lambda i: upsample(i, 2))]
)
def test_a_point_source_keeps_flux_place_and_peak(fwhm: float, resample) -> None:  # type: ignore[no-untyped-def]
    image = image_of(gaussian(30.3, 41.8, fwhm), fwhm=fwhm)
    view = resample(image)
    full = np.nan_to_num(whole(view)).astype(float)
    flux = full.sum() / view.pixel_beam.area
    assert flux == pytest.approx(1.0, rel=0.02)
    assert full.max() == pytest.approx(1.0, abs=0.08)
    yy, xx = np.indices(full.shape)
    centre = np.array([(full * yy).sum(), (full * xx).sum()]) / full.sum()
    np.testing.assert_allclose(view.to_original(centre), [30.3, 41.8], atol=0.05)
    # Second moments say how wide the source is; for a point that is the beam.
    width = math.sqrt((full * (xx - centre[1]) ** 2).sum() / full.sum() * 8 * math.log(2))
    assert width == pytest.approx(view.pixel_beam.fwhm, rel=0.03)


def test_coordinates_stay_on_the_sky() -> None:
    image = image_of(np.zeros(SHAPE))
    for view in (block_mean(image, 4), upsample(image, 3)):
        places = np.array([[2.0, 3.0], [10.5, 7.25], [-0.5, -0.5]])
        original = view.to_original(places)
        here = view.wcs.wcs_pix2world(places[:, ::-1], 0)
        np.testing.assert_allclose(here, image.wcs.wcs_pix2world(original[:, ::-1], 0), atol=1e-10)
    np.testing.assert_array_equal(block_mean(image, 4).to_original(np.array([-0.5, -0.5])), [-0.5, -0.5])
    assert block_mean(image, 4).pixel_scale == pytest.approx(4 * image.pixel_scale)


@pytest.mark.parametrize("fwhm", [0.8, 1.3, 2.0, 2.2, 4.0, 6.0, 6.1, 9.0, 17.0, 60.0])
def test_the_beam_lands_in_the_range(fwhm: float) -> None:
    image = image_of(np.zeros((300, 300)), fwhm=fwhm)
    view = match_sampling(image, (2.2, 6.0))
    assert 2.2 <= view.pixel_beam.fwhm * (1 + 1e-9) <= 6.0 * (1 + 1e-6)
    assert (view is image) == (2.2 <= image.pixel_beam.fwhm <= 6.0)
    if view is not image:
        assert "pixels" in view.repairs[-1]
        pickle.loads(pickle.dumps(view)).read((0, 0, 0), (1, 2, 2))


def test_a_range_that_is_none() -> None:
    with pytest.raises(ConfigError):
        match_sampling(image_of(np.zeros(SHAPE)), (6.0, 2.0))

"""Blanking: pixels in front of bright continuum on any grid, and channels, given or found."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from skadetect import blanking
from skadetect.background import Background, estimate_background
from skadetect.blanking import blank, find_bad_channels
from skadetect.errors import ConfigError, InputError
from skadetect.image import Image, open_image
from tests.fits_files import PIXEL, sky_header, write_image

SIDE = 150


def cube(nz: int = 6) -> Image:
    pixels = np.random.default_rng(0).normal(size=(nz, SIDE, SIDE)).astype(np.float32)
    cards = {"CTYPE3": "FREQ", "CRVAL3": 1.4e9, "CRPIX3": 1.0, "CDELT3": 1e4, "RESTFRQ": 1.42e9}
    return open_image((pixels, sky_header(SIDE, SIDE, **cards)))


def spots(shape: tuple[int, int], *, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    sky = np.full(shape, 1e-4, np.float32)
    for y, x in rng.integers(3, np.array(shape) - 3, (12, 2)):
        sky[y - 1 : y + 2, x - 2 : x + 1] = 0.01
    return sky


def whole(image: Image) -> np.ndarray:
    return image.read((0, 0, 0), image.shape)


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"CRPIX1": 40.3, "CRPIX2": 71.8},
        {"CDELT1": -3.1 * PIXEL, "CDELT2": 3.1 * PIXEL},
        {"CDELT1": -0.7 * PIXEL, "CDELT2": 0.7 * PIXEL, "CRVAL2": -29.99},
        {"CROTA2": 30.0},
        {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"},
    ],
)
def test_the_nearest_continuum_pixel_counts(tmp_path: Path, cards: dict[str, object]) -> None:
    image = cube(2)
    path = write_image(tmp_path / "c.fits", spots((130, 140)), sky_header(140, 130, **cards))
    continuum = open_image(path)
    y, x = np.mgrid[:SIDE, :SIDE]
    sky = SkyCoord.from_pixel(x, y, image.wcs)
    column, row = continuum.wcs.world_to_pixel(sky)
    row, column = np.rint(row).astype(int), np.rint(column).astype(int)
    inside = (row >= 0) & (row < 130) & (column >= 0) & (column < 140)
    expected = np.zeros((SIDE, SIDE), bool)
    expected[inside] = whole(continuum)[0][row[inside], column[inside]] > 3e-3
    got = blank(image, continuum=path)
    assert expected.any()
    np.testing.assert_array_equal(np.isnan(whole(got)), np.broadcast_to(expected, image.shape))
    kept = ~np.isnan(whole(got))
    np.testing.assert_array_equal(whole(got)[kept], whole(image)[kept])
    assert f"{np.count_nonzero(expected)} pixels" in got.repairs[-1]


def test_galactic_coordinates_and_millijansky(tmp_path: Path) -> None:
    image = cube(1)
    centre = SkyCoord.from_pixel(70, 80, image.wcs).galactic
    cards = {"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN", "CRVAL1": centre.l.deg, "CRVAL2": centre.b.deg}
    sky = np.zeros((21, 21), np.float32)
    sky[10, 10] = 5.0
    header = sky_header(21, 21, CRPIX1=11.0, CRPIX2=11.0, BUNIT="mJy/beam", **cards)
    got = blank(image, continuum=write_image(tmp_path / "c.fits", sky, header))
    y, x = np.nonzero(np.isnan(whole(got)[0]))
    assert 1 <= y.size <= 4
    assert np.abs(y - 80).max() <= 1 and np.abs(x - 70).max() <= 1
    brighter = blank(image, continuum=tmp_path / "c.fits", limit=6e-3)
    assert not np.isnan(whole(brighter)).any()


def test_planes_of_continuum_are_averaged_and_a_beam_may_lack(tmp_path: Path) -> None:
    sky = np.zeros((2, SIDE, SIDE), np.float32)
    sky[:, 5, 6] = 2e-3, 5e-3
    sky[:, 9, 9] = 5e-3, 0.0
    sky[0, 20, 20], sky[1, 20, 20] = np.nan, 4e-3
    header = sky_header(SIDE, SIDE, CTYPE3="FREQ", CRVAL3=1.3e9, CDELT3=5e7, BMAJ=None, BMIN=None)
    got = blank(cube(1), continuum=write_image(tmp_path / "c.fits", sky, header))
    np.testing.assert_array_equal(np.argwhere(np.isnan(whole(got)[0])), [[5, 6], [20, 20]])


def test_windows_pickles_and_channels() -> None:
    image = cube(9)
    got = pickle.loads(pickle.dumps(blank(image, channels=((0, 1), (5, 5)))))
    full = whole(got)
    np.testing.assert_array_equal(np.isnan(full).all(axis=(1, 2)), np.isin(np.arange(9), [0, 1, 5]))
    np.testing.assert_array_equal(got.read((1, 2, 3), (7, 20, 30)), full[1:7, 2:20, 3:30])
    assert "3 of 9 channels" in got.repairs[-1]
    assert blank(image) is image


def test_what_cannot_be_blanked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="channels 5-6.*0 to 5"):
        blank(cube(), channels=((5, 6),))
    path = write_image(tmp_path / "c.fits", np.zeros((9, 9), np.float32), sky_header(9, 9, BUNIT="K"))
    with pytest.raises(InputError, match="continuum in K"):
        blank(cube(), continuum=path)
    with pytest.raises(ConfigError, match="limit"):
        blank(cube(), continuum=path, limit=0)
    with pytest.raises(InputError, match="no such file"):
        blank(cube(), continuum=tmp_path / "none.fits")


def test_channels_that_stand_out_are_found() -> None:
    rms = np.linspace(1, 3, 200)[:, None, None] * np.ones((1, 2, 2))
    rms[50:150] *= 5  # broad interference is noise like any other
    rms[[20, 21, 120]] *= 9
    rms[180] = 1e-30
    background = Background(np.zeros_like(rms), rms, (200, 9, 9))
    assert find_bad_channels(background) == ((20, 21), (120, 120), (180, 180))
    assert find_bad_channels(Background(rms * 0, rms * 0 + 1, (200, 9, 9))) == ()


def test_a_channel_without_noise_is_found_in_a_cube() -> None:
    image = cube(5)
    pixels = whole(image)
    pixels[3] = 0.0
    noisy = open_image((pixels, image.header))
    assert find_bad_channels(estimate_background(noisy)) == ((3, 3),)


@pytest.mark.parametrize("count", [1, 2, 5, 64, 65, 200])
def test_the_running_median_is_scipys(count):
    from scipy.ndimage import median_filter

    values, size = np.random.default_rng(count).random(count), min(blanking.NEIGHBOURS, count)
    np.testing.assert_array_equal(
        blanking._running_median(values, size), median_filter(values, size=size, mode="nearest")
    )

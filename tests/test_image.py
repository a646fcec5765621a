"""Images: one object for any file, its units and beam, and windows that agree with astropy."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from radio_beam import Beam

from skadetect.errors import InputError
from skadetect.image import open_image
from tests.data_paths import shared
from tests.fits_files import PIXEL, sky_header, write_image


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(12, 16)).astype(np.float32)


def whole(image: object) -> np.ndarray:
    return image.read((0, 0, 0), image.shape)  # type: ignore[attr-defined]


def test_file_array_and_hdu_are_the_same_image(tmp_path: Path, array: np.ndarray) -> None:
    path = write_image(tmp_path / "a.fits", array, sky_header())
    images = [open_image(path), open_image(str(path)), open_image((array, sky_header()))]
    images.append(open_image(fits.PrimaryHDU(array, sky_header())))
    for image in images:
        assert image.shape == (1, 12, 16)
        assert image.ndim == 2
        assert image.unit == u.Jy / u.beam
        assert image.pixel_scale == pytest.approx(PIXEL * 3600)
        assert image.pixel_beam.fwhm == pytest.approx(3.0)
        assert image.repairs == ()
        np.testing.assert_array_equal(whole(image)[0], array)


def test_an_image_travels(tmp_path: Path, array: np.ndarray) -> None:
    image = open_image(write_image(tmp_path / "a.fits", array, sky_header()))
    copy = pickle.loads(pickle.dumps(image))
    np.testing.assert_array_equal(whole(copy), whole(image))
    np.testing.assert_allclose(copy.wcs.wcs_pix2world(3, 4, 0), image.wcs.wcs_pix2world(3, 4, 0), atol=1e-10)
    assert copy.pixel_beam == image.pixel_beam


@pytest.mark.parametrize("order", [("x", "y", "f", "s"), ("s", "f", "y", "x"), ("f", "y", "x"), ("y", "x")])
def test_axes_in_any_order_give_one_image(array: np.ndarray, order: tuple[str, ...]) -> None:
    straight, header = sky_header(), fits.Header()
    numbers = {"x": "1", "y": "2"}
    for i, axis in enumerate(order, start=1):
        for stem in ("CTYPE", "CRVAL", "CRPIX", "CDELT"):
            extra = {"CTYPE": {"f": "FREQ", "s": "STOKES"}, "CRVAL": {"f": 1.4e9, "s": 1.0}}.get(stem, {})
            header[f"{stem}{i}"] = straight[stem + numbers[axis]] if axis in numbers else extra.get(axis, 1.0)
    for key in ("BUNIT", "BMAJ", "BMIN", "BPA"):
        header[key] = straight[key]
    place = [order[::-1].index("y"), order[::-1].index("x")]
    turned = array if place[0] < place[1] else array.T
    turned = turned.reshape([{"y": 12, "x": 16}.get(axis, 1) for axis in order[::-1]])
    image, plain = open_image((turned, header)), open_image((array, straight))
    np.testing.assert_array_equal(whole(image)[0], array)
    np.testing.assert_allclose(image.wcs.wcs_pix2world(3, 4, 0), plain.wcs.wcs_pix2world(3, 4, 0))
    assert image.frequency == (1.4e9 if "f" in order else None)


def test_a_cube_keeps_its_planes() -> None:
    cube = np.random.default_rng(1).normal(size=(3, 12, 16)).astype(np.float32)
    header = sky_header(CTYPE3="FREQ", CRVAL3=1.4e9, CRPIX3=1.0, CDELT3=1e6)
    image = open_image((cube, header))
    assert image.ndim == 3
    np.testing.assert_array_equal(image.read((1, 2, 3), (3, 5, 9)), cube[1:3, 2:5, 3:9])


BEAM = Beam(major=3 * PIXEL * u.deg, minor=3 * PIXEL * u.deg, pa=0 * u.deg)
PIXEL_AREA = (PIXEL * u.deg) ** 2


@pytest.mark.parametrize(
    ("bunit", "factor"),
    [
        ("Jy/beam", 1.0),
        ("mJy/beam", 1e-3),
        ("beam-1 uJy", 1e-6),
        ("W.U.", 5e-3),
        ("JY/PIXEL", (BEAM.sr / PIXEL_AREA).to_value(u.one)),
        ("MJy/sr", 1e6 * BEAM.sr.value),
        ("K", (1 * u.K).to_value(u.Jy, BEAM.jtok_equiv(1.4 * u.GHz))),
    ],
)
def test_units_become_jansky_a_beam(array: np.ndarray, bunit: str, factor: float) -> None:
    header = sky_header(BUNIT=bunit, CTYPE3="FREQ", CRVAL3=1.4e9, CRPIX3=1.0, CDELT3=1e6)
    image = open_image((array, header))
    assert image.unit == u.Jy / u.beam
    np.testing.assert_allclose(whole(image)[0], array * factor, rtol=1e-6)
    assert (len(image.repairs) > 0) == (factor != 1)


def test_kelvin_without_a_frequency_stays(array: np.ndarray) -> None:
    image = open_image((array, sky_header(BUNIT="mK")))
    assert image.unit == u.K
    np.testing.assert_allclose(whole(image)[0], array * 1e-3, rtol=1e-6)
    assert "without a frequency" in image.repairs[-1]


def test_what_cannot_be_opened_names_the_value(array: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"no restoring beam \(BMAJ = absent.*give beam="):
        open_image((array, sky_header(BMAJ=None, BMIN=None)))
    with pytest.raises(InputError, match="BUNIT = 'counts'; expected Jy/beam"):
        open_image((array, sky_header(BUNIT="counts")))
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        open_image((np.zeros(3), sky_header()))
    with pytest.raises(InputError, match="beam of"):
        open_image((array, sky_header()), beam=(1.0, 2.0, 0.0))


@pytest.mark.parametrize("beam", [7.2, (7.2, 7.2, 0.0), Beam(7.2 * u.arcsec)])
def test_a_given_beam_overrides(array: np.ndarray, beam: object) -> None:
    image = open_image((array, sky_header(BMAJ=None, BMIN=None)), beam=beam)  # type: ignore[arg-type]
    assert image.pixel_beam.fwhm == pytest.approx(4.0)
    assert image.beam.major.to_value(u.arcsec) == pytest.approx(7.2)


def test_the_real_sdc1_piece() -> None:
    path = shared("sdc1_cutout/B1_1000h_0.05tr.fits")
    image = open_image(path)
    assert image.shape == (1, 160, 174)
    assert image.repairs == ()
    assert image.pixel_beam.bmaj == pytest.approx(2.4824, abs=1e-4)
    assert image.frequency == 560e6
    stored = np.frombuffer(path.read_bytes(), ">f4", 160 * 174, offset=4 * 2880).reshape(160, 174)
    np.testing.assert_array_equal(whole(image)[0], stored)


def test_the_real_lofar_snapshot_says_more_axes_than_it_has() -> None:
    image = open_image(shared("lofar_snapshot/GRB201006A_final_2min_srcs-t0002-image-pb_cutout.fits"))
    assert image.ndim == 2
    assert image.frequency == pytest.approx(143.65e6, rel=1e-4)
    assert (image.pixel_beam.bmaj, image.pixel_beam.bmin) == pytest.approx((6.4937, 3.5917), abs=1e-3)


def test_the_real_hi_cube_in_old_spellings() -> None:
    image = open_image(shared("hi_cube/ngc6946.fits"))
    assert image.shape == (101, 100, 100)
    assert len(image.repairs) == 3
    assert image.spectral is not None
    velocity = -243 + 4.199999809 * (np.arange(101) + 21)
    np.testing.assert_allclose(image.spectral.freq, 1.42040575837e9 / (1 + velocity / 299792.458), atol=1e-3)
    assert (image.spectral.frame, image.spectral.kind) == ("BARYCENT", "VOPT")
    assert np.isnan(whole(image)).sum() == 1  # one pixel has the BLANK value

"""Beams of cubes: one for each channel brought to one, and the beam that the noise tells."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from radio_beam import Beam

from skadetect.beams import PixelBeam
from skadetect.errors import InputError
from skadetect.image import Image, open_image
from skadetect.image_beam import noise_beam, pixel_beam
from skadetect.noise_beam import estimate_pixel_beam
from skadetect.pixels import ArrayPixels, AxisOrder
from tests.data_paths import shared
from tests.fits_files import PIXEL, sky_header

N = 5
CUBE = {"CTYPE3": "FREQ", "CRVAL3": 1.4e9, "CRPIX3": 1.0, "CDELT3": 1e7, "RESTFRQ": 1.420405752e9}
FWHM = PIXEL * 3600 * np.array([3.0, 3.3, 3.1, 2.9, 3.2])  # arcsec


def whole(image: Image) -> np.ndarray:
    return image.read((0, 0, 0), image.shape)


def beam_columns(major: np.ndarray, *, unit: str = "arcsec", pol: bool = False) -> fits.BinTableHDU:
    scale = (1 * u.arcsec).to_value(unit)
    columns = [fits.Column(name, "1E", unit=unit, array=major * scale) for name in ("BMAJ", "BMIN")]
    columns.append(fits.Column("BPA", "1E", unit="deg", array=np.zeros(len(major))))
    if pol:
        columns.append(fits.Column("POL", "1J", array=np.arange(len(major)) // N))
    return fits.BinTableHDU.from_columns(columns, name="BEAMS")


def write_cube(path: Path, pixels: np.ndarray, table: fits.BinTableHDU | None, **cards: object) -> Path:
    header = sky_header(pixels.shape[2], pixels.shape[1], **(CUBE | cards))
    hdus = [fits.PrimaryHDU(pixels.astype(np.float32), header)] + ([] if table is None else [table])
    fits.HDUList(hdus).writeto(path)
    return path


@pytest.mark.parametrize(("unit", "pol"), [("arcsec", False), ("deg", False), ("arcsec", True)])
def test_channels_are_brought_to_the_median_beam(tmp_path: Path, unit: str, pol: bool) -> None:
    pixels = np.random.default_rng(0).normal(size=(N, 8, 9))
    major = np.concatenate([FWHM, 2 * FWHM]) if pol else FWHM
    table = beam_columns(major, unit=unit, pol=pol)
    path = write_cube(tmp_path / "c.fits", pixels, table, BMAJ=None, BMIN=None, CASAMBM=True)
    image = open_image(path)
    assert image.pixel_beam.fwhm == pytest.approx(3.1, rel=1e-5)
    gains = (FWHM[2] / FWHM) ** 2
    np.testing.assert_allclose(whole(image), pixels * gains[:, None, None], rtol=1e-5)
    # Summed over a channel, flux over the common area is what flux over the channel's own was.
    own = PixelBeam(1.0, 1.0).area * (FWHM / PIXEL / 3600) ** 2
    fluxes = whole(image).sum(axis=(1, 2)) / image.pixel_beam.area
    np.testing.assert_allclose(fluxes, pixels.sum(axis=(1, 2)) / own, rtol=1e-4)
    assert "a beam for each channel, 0.935 to 1.06 times" in image.repairs[-1]
    np.testing.assert_array_equal(image.read((2, 1, 3), (4, 5, 7)), whole(image)[2:4, 1:5, 3:7])
    given = open_image(path, beam=12.0)
    np.testing.assert_array_equal(whole(given), pixels.astype(np.float32))


def test_tables_that_say_nothing_new_or_nothing_at_all(tmp_path: Path) -> None:
    pixels = np.ones((N, 8, 9))
    same = open_image(write_cube(tmp_path / "a.fits", pixels, beam_columns(np.full(N, FWHM[1])), BMAJ=-1.0))
    assert same.pixel_beam.fwhm == pytest.approx(3.3, rel=1e-5)
    assert same.repairs == () and (whole(same) == 1).all()
    holes = np.where(np.arange(N) == 1, 0.0, FWHM)
    holed = open_image(write_cube(tmp_path / "b.fits", pixels, beam_columns(holes), BMAJ=None))
    assert (whole(holed)[1] == 1).all()
    for name, table in (("c", beam_columns(FWHM[:3])), ("d", beam_columns(np.zeros(N)))):
        other = open_image(write_cube(tmp_path / f"{name}.fits", pixels, table))
        assert other.pixel_beam.fwhm == pytest.approx(3.0)


def test_kelvin_depends_on_the_channel_and_not_on_its_beam(tmp_path: Path) -> None:
    pixels = np.ones((N, 8, 9))
    table = beam_columns(FWHM)
    image = open_image(write_cube(tmp_path / "k.fits", pixels, table, BUNIT="K"))
    frequency = (1.4 + 0.01 * np.arange(N)) * u.GHz
    expected = [(1 * u.K).to_value(u.Jy, Beam(FWHM[2] * u.arcsec).jtok_equiv(f)) for f in frequency]
    np.testing.assert_allclose(whole(image)[:, 3, 3], expected, rtol=1e-5)
    assert image.unit == u.Jy / u.beam


def noise(shape: tuple[int, int, int], beam: PixelBeam, *, seed: int = 0) -> np.ndarray:
    """Noise through a beam, of unit variance."""
    ky, kx = np.fft.fftfreq(shape[1])[:, None], np.fft.fftfreq(shape[2])[None]
    along = kx * np.cos(beam.theta) + ky * np.sin(beam.theta)
    across = ky * np.cos(beam.theta) - kx * np.sin(beam.theta)
    power = (beam.bmaj * along) ** 2 + (beam.bmin * across) ** 2
    response = np.exp(-2 * np.pi**2 / (8 * math.log(2)) * power)
    white = np.random.default_rng(seed).normal(size=shape)
    seen = np.fft.ifft2(np.fft.fft2(white) * response).real
    return seen / seen.std()


@pytest.mark.parametrize(
    ("major", "minor", "theta"), [(3.0, 3.0, 0.0), (5.0, 3.0, 0.5), (2.2, 2.0, 1.0), (8.0, 6.0, -1.0)]
)
def test_noise_tells_the_beam(major: float, minor: float, theta: float) -> None:
    beam = PixelBeam(major, minor, theta)
    pixels = noise((12, 96, 120), beam) * 1e-3
    yy, xx = np.mgrid[:96, :120]
    pixels[2:9] += 0.1 * np.exp(-(((yy - 40) / 15) ** 2) - ((xx - 60) / 9) ** 2)  # a galaxy
    pixels[4, :, 50:] = np.nan
    pixels[11] = np.nan
    pixels[0] = 0.0
    found = estimate_pixel_beam(ArrayPixels(pixels, AxisOrder((0, 1, 2))))
    assert found is not None
    assert (found.bmaj, found.bmin) == pytest.approx((major, minor), rel=0.05)
    if major > 1.3 * minor:
        assert math.sin(found.theta - theta) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("bmaj", [None, 0.0, -1.0])
def test_a_cube_without_a_beam_has_that_of_its_noise(bmaj: float | None) -> None:
    cards = CUBE | {"BMAJ": bmaj, "BMIN": bmaj, "BPA": None, "CROTA2": 25.0}
    header = sky_header(100, 100, **cards)
    true = Beam(4.5 * PIXEL * u.deg, 3.0 * PIXEL * u.deg, 40 * u.deg)
    wcs = open_image((np.zeros((2, 100, 100)), header), beam=true).wcs
    pixels = noise((8, 100, 100), pixel_beam(true, wcs), seed=1)
    image = open_image((pixels.astype(np.float32), header))
    assert image.beam.major.to_value(u.deg) / PIXEL == pytest.approx(4.5, rel=0.05)
    assert image.beam.minor.to_value(u.deg) / PIXEL == pytest.approx(3.0, rel=0.05)
    assert image.beam.pa.to_value(u.deg) == pytest.approx(40, abs=5)
    text = "absent" if bmaj is None else str(bmaj)
    assert f"BMAJ is {text}: beam" in image.repairs[-1] and "estimated from the noise" in image.repairs[-1]


@pytest.mark.parametrize("value", [0.0, np.nan, None])
def test_noise_that_tells_nothing(value: float | None) -> None:
    pixels = (
        np.random.default_rng(0).normal(size=(4, 40, 40)) if value is None else np.full((4, 40, 40), value)
    )
    header = sky_header(40, 40, **(CUBE | {"BMAJ": None}))
    with pytest.raises(InputError, match="no restoring beam.*--beam"):
        open_image((pixels.astype(np.float32), header))
    with pytest.raises(InputError, match="--beam"):
        open_image((pixels[0].astype(np.float32), sky_header(40, 40, BMAJ=None)))


def test_the_real_cube_without_its_beam() -> None:
    image = open_image(shared("hi_cube/ngc6946.fits"))
    found = noise_beam(fits.Header(), image.wcs, image.pixels)
    assert found is not None
    # The noise has the dirty beam's shape, whose main lobe is narrower than the clean beam.
    assert 0.7 < found.beam.major / image.beam.major < 1.1

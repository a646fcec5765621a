"""Spectral axes of headers: all conventions give the frequencies that spectral-cube and the formulas give."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from skadetect.errors import InputError
from skadetect.image import Image, open_image
from skadetect.spectral import HI_FREQUENCY
from tests.fits_files import sky_header, write_image

LIGHT = 299792458.0
N = 7
VELOCITY = 5e6 + 2e5 * np.arange(N)
FREQUENCY = 1.39e9 - 3e6 * np.arange(N)
OPTICAL, RADIO = HI_FREQUENCY / (1 + VELOCITY / LIGHT), HI_FREQUENCY * (1 - VELOCITY / LIGHT)
RELATIVISTIC = HI_FREQUENCY * np.sqrt((1 - VELOCITY / LIGHT) / (1 + VELOCITY / LIGHT))
FELO = OPTICAL[0] - 2e5 * np.arange(N) / LIGHT * OPTICAL[0] ** 2 / HI_FREQUENCY
VELO = {"CRVAL3": 5e6, "CDELT3": 2e5, "CUNIT3": "m/s"}
FREQ = {"CTYPE3": "FREQ", "CRVAL3": 1.39e9, "CDELT3": -3e6, "CUNIT3": "Hz"}
LENGTH = {"CTYPE3": "WAVE", "CRVAL3": 0.21, "CDELT3": 1e-3, "CUNIT3": "m"}

CONVENTIONS = [
    (FREQ, FREQUENCY, ""),
    (FREQ | {"SPECSYS": "LSRK"}, FREQUENCY, "LSRK"),
    (FREQ | {"CTYPE3": "FREQ-LSR"}, FREQUENCY, "LSRK"),
    (FREQ | {"CRVAL3": 1390.0, "CDELT3": -3.0, "CUNIT3": "MHz"}, FREQUENCY, ""),
    (FREQ | {"CDELT3": 3e6, "CRPIX3": 4.0}, 1.39e9 + 3e6 * (np.arange(N) - 3), ""),
    (VELO | {"CTYPE3": "VRAD"}, RADIO, ""),
    (VELO | {"CTYPE3": "VOPT", "SPECSYS": "BARYCENT"}, OPTICAL, "BARYCENT"),
    (VELO | {"CTYPE3": "VELO"}, RELATIVISTIC, ""),
    (VELO | {"CTYPE3": "VOPT-F2W"}, FELO, ""),
    (VELO | {"CTYPE3": "VELO-HEL"}, OPTICAL, "BARYCENT"),
    (VELO | {"CTYPE3": "VELO-LSR", "VELREF": 1}, OPTICAL, "LSRK"),
    (VELO | {"CTYPE3": "VELO-HEL", "VELREF": 258}, RADIO, "BARYCENT"),
    (VELO | {"CTYPE3": "FELO-HEL"}, FELO, "BARYCENT"),
    (VELO | {"CTYPE3": "FELO-OBS", "CRVAL3": 5e3, "CDELT3": 2e2, "CUNIT3": "km/s"}, FELO, "TOPOCENT"),
    (LENGTH, LIGHT / (0.21 + 1e-3 * np.arange(N)), ""),
]
OLD = [
    (FREQ | {"CUNIT3": "HZ"}, FREQUENCY, "read as 'Hz'"),
    (VELO | {"CTYPE3": "VRAD", "CUNIT3": "M/S"}, RADIO, "read as 'm/s'"),
    (VELO | {"CTYPE3": "velo-hel", "CRVAL3": 5e3, "CDELT3": 2e2, "CUNIT3": "KM/S"}, OPTICAL, "'km/s'"),
    (VELO | {"CTYPE3": "VOPT-HEL"}, OPTICAL, ""),
    (VELO | {"CTYPE3": "VRAD-LSR"}, RADIO, ""),
    (VELO | {"CTYPE3": "FELO"}, FELO, ""),
    (VELO | {"CTYPE3": "VRAD", "CUNIT3": None}, RADIO, ""),
    (VELO | {"CTYPE3": "VELOCITY"}, RELATIVISTIC, "'VELOCITY' read as 'VELO'"),
    (FREQ | {"CUNIT3": None, "CRVAL3": 1390.0, "CDELT3": -3.0}, FREQUENCY, "MHz assumed"),
    (FREQ | {"CTYPE3": None}, FREQUENCY, "CTYPE3 is absent: FREQ"),
    (VELO | {"CTYPE3": "VOPT", "CRVAL3": 5e3, "CDELT3": 4.0, "CUNIT3": None},
     HI_FREQUENCY / (1 + (5e6 + 4e3 * np.arange(N)) / LIGHT), "km/s assumed"),
    ({"CTYPE3": "ZOPT", "CRVAL3": 5e6 / LIGHT, "CDELT3": 2e5 / LIGHT}, OPTICAL, ""),
    (VELO | {"CTYPE3": "VOPT", "RESTFRQ": None}, OPTICAL, "HI line assumed"),
    (VELO | {"CTYPE3": "VOPT", "RESTFRQ": None, "RESTFREQ": 1.4e9}, OPTICAL / HI_FREQUENCY * 1.4e9, ""),
    (VELO | {"CTYPE3": "VOPT", "RESTFRQ": None, "FREQ0": 1.4e9}, OPTICAL / HI_FREQUENCY * 1.4e9, "FREQ0"),
    (VELO | {"CTYPE3": "VOPT", "RESTFRQ": 0.0}, OPTICAL, "HI line assumed"),
    (VELO | {"CTYPE3": "VOPT", "CDELT3": None, "CD3_3": 2e5}, OPTICAL, ""),
    (VELO | {"CTYPE3": "VOPT", "CDELT3": 1e5, "PC3_3": 2.0}, OPTICAL, ""),
    (FREQ | {"CTYPE3": "FREQ-OHEL", "CRVAL3": 1.4e9, "CDELT3": -1e6, "DRVAL3": 5e3, "DUNIT3": "KM/S"},
     OPTICAL[0] * (1 - 1e6 / 1.4e9 * np.arange(N)), "moved to the frame"),
]  # fmt: skip


def header_of(cards: dict[str, object], *, nx: int = 9) -> fits.Header:
    return sky_header(nx, nx, **({"CRPIX3": 1.0, "RESTFRQ": HI_FREQUENCY} | cards))


def opened(cards: dict[str, object]) -> Image:
    return open_image((np.zeros((N, 9, 9), np.float32), header_of(cards)))


@pytest.mark.parametrize(("cards", "expected", "frame"), CONVENTIONS)
def test_frequencies_are_those_of_the_formulas_and_of_spectral_cube(
    tmp_path: Path, cards: dict[str, object], expected: np.ndarray, frame: str
) -> None:
    pixels = np.random.default_rng(2).normal(size=(N, 9, 9)).astype(np.float32)
    path = write_image(tmp_path / "c.fits", pixels, header_of(cards))
    image = open_image(path)
    assert image.spectral is not None
    np.testing.assert_allclose(image.spectral.freq, expected, rtol=1e-11)
    assert image.spectral.frame == frame
    assert image.spectral.rest_freq == HI_FREQUENCY
    assert image.frequency == image.spectral.freq[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from spectral_cube import SpectralCube

        cube = SpectralCube.read(path)
        other = cube.with_spectral_unit(u.Hz, rest_value=HI_FREQUENCY * u.Hz).spectral_axis.to_value(u.Hz)
        values = cube.filled_data[:].value
    np.testing.assert_allclose(image.spectral.freq, other, rtol=1e-11)
    np.testing.assert_array_equal(image.read((0, 0, 0), image.shape), values)


@pytest.mark.parametrize(("cards", "expected", "remark"), OLD)
def test_old_and_incomplete_headers_are_read(
    cards: dict[str, object], expected: np.ndarray, remark: str
) -> None:
    image = opened(cards)
    assert image.spectral is not None
    np.testing.assert_allclose(image.spectral.freq, expected, rtol=1e-11)
    assert remark in " | ".join(image.repairs)


@pytest.mark.parametrize("order", ["xyfs", "xysf", "sfyx", "fxys", "xfsy", "xyf"])
@pytest.mark.parametrize("planes", [1, 2])
def test_the_stokes_axis_may_be_anywhere(tmp_path: Path, order: str, planes: int) -> None:
    if planes == 2 and "s" not in order:
        return
    array = np.random.default_rng(4).normal(size=(N, 5, 9)).astype(np.float32)
    straight, header = sky_header(9, 5, **({"CRPIX3": 1.0, "RESTFRQ": HI_FREQUENCY} | FREQ)), fits.Header()
    numbers = {"x": "1", "y": "2", "f": "3"}
    for i, axis in enumerate(order, start=1):
        for stem in ("CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT"):
            if axis in numbers:
                header[f"{stem}{i}"] = straight[stem + numbers[axis]]
            elif stem != "CUNIT":
                header[f"{stem}{i}"] = "STOKES" if stem == "CTYPE" else 1.0
    for key in ("BUNIT", "BMAJ", "BMIN", "BPA", "RESTFRQ"):
        header[key] = straight[key]
    axes = [axis for axis in order[::-1] if axis != "s"]
    stored = array.transpose(["fyx".index(axis) for axis in axes])
    if "s" in order:
        stored = np.stack([stored, stored + 100][:planes], axis=order[::-1].index("s"))
    path = write_image(tmp_path / "c.fits", stored, header)
    image = open_image(path)
    np.testing.assert_array_equal(image.read((0, 0, 0), image.shape), array)
    assert image.spectral is not None
    np.testing.assert_allclose(image.spectral.freq, FREQUENCY)
    assert any("Stokes" in repair for repair in image.repairs) == (planes == 2)


@pytest.mark.parametrize(
    "cards", [FREQ | {"CDELT3": 0.0}, FREQ | {"CRVAL3": -1.0}, VELO | {"CTYPE3": "VRAD", "CRVAL3": 3e8}]
)
def test_what_are_no_frequencies(cards: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"spectral axis 3 \(.*CTYPE1"):
        opened(cards)


def test_absent_reference_pixels_are_told() -> None:
    image = opened(FREQ | {"CRPIX3": None, "CRPIX1": None})
    assert image.spectral is not None
    assert image.spectral.freq[0] == FREQUENCY[1]
    text = " | ".join(image.repairs)
    assert "CRPIX1 is absent: 0 assumed" in text and "CRPIX3 is absent: 0 assumed" in text

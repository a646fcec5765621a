"""Files: plain, zipped, compressed, of several HDUs, and every way they can be broken."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skadetect.errors import InputError
from skadetect.fits_source import open_fits
from tests.fits_files import sky_header, write_image


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(12, 16)).astype(np.float32)


def whole(path: Path, **keywords: object) -> np.ndarray:
    _, pixels = open_fits(path, **keywords)  # type: ignore[arg-type]
    return pixels.read((0, 0, 0), pixels.shape)[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64])
def test_all_number_types(tmp_path: Path, dtype: type) -> None:
    stored = np.arange(192).reshape(12, 16).astype(dtype)
    np.testing.assert_array_equal(whole(write_image(tmp_path / "a.fits", stored, sky_header())), stored)


def test_unsigned_integers_by_their_zero(tmp_path: Path) -> None:
    stored = np.array([[0, 65535]], np.uint16)
    np.testing.assert_array_equal(whole(write_image(tmp_path / "a.fits", stored, sky_header())), stored)


def test_gzip_is_the_same_and_leaves_nothing(tmp_path: Path, array: np.ndarray) -> None:
    plain = write_image(tmp_path / "a.fits", array, sky_header())
    zipped = tmp_path / "b.fits.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    _, pixels = open_fits(zipped)
    expanded = pixels.path
    assert expanded.exists()
    np.testing.assert_array_equal(pixels.read((0, 0, 0), pixels.shape)[0], array)
    del pixels
    assert not expanded.exists()


def test_tile_compressed_images(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "a.fits.fz"
    fits.CompImageHDU(array, sky_header(), compression_type="GZIP_2", quantize_level=0).writeto(path)
    np.testing.assert_array_equal(whole(path), array)


def test_the_first_image_is_found_behind_an_empty_primary(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "a.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("n", "J", array=np.arange(3))])
    first, second = fits.ImageHDU(array, name="SCI"), fits.ImageHDU(array + 1, name="MODEL")
    fits.HDUList([fits.PrimaryHDU(), table, first, second]).writeto(path)
    np.testing.assert_array_equal(whole(path), array)
    np.testing.assert_array_equal(whole(path, hdu="MODEL"), array + 1)
    np.testing.assert_array_equal(whole(path, hdu=3), array + 1)
    for hdu in (7, "NONE", 0, 1):
        with pytest.raises(InputError, match="no HDU|no image"):
            open_fits(path, hdu=hdu)


def test_truncated_files_say_so(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits", np.zeros((100, 100), np.float32), sky_header())
    path.write_bytes(path.read_bytes()[:30000])
    with pytest.raises(InputError, match=r"a\.fits: truncated: it has 30000 bytes"):
        open_fits(path)


def test_truncated_gzip_says_so(tmp_path: Path, array: np.ndarray) -> None:
    plain = write_image(tmp_path / "a.fits", array, sky_header())
    zipped = tmp_path / "b.fits.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes())[:-200])
    with pytest.raises(InputError, match=r"b\.fits\.gz"):
        open_fits(zipped)


@pytest.mark.parametrize("content", [b"", b"hello", b"SIMPLE  =  F", b"\x1f\x8bgarbage", b"\0" * 5000])
def test_what_is_not_fits_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.fits"):
        open_fits(path)


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_fits(tmp_path / "none.fits")

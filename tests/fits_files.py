"""Small FITS images for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

PIXEL = 5e-4


def sky_header(nx: int = 16, ny: int = 12, *, pixel: float = PIXEL, **cards: object) -> fits.Header:
    """Header of a 2D image, beam 3 pixels, north up; further cards replace or add."""
    header = fits.Header(
        {
            "CTYPE1": "RA---SIN", "CRVAL1": 150.0, "CRPIX1": nx / 2, "CDELT1": -pixel, "CUNIT1": "deg",
            "CTYPE2": "DEC--SIN", "CRVAL2": -30.0, "CRPIX2": ny / 2, "CDELT2": pixel, "CUNIT2": "deg",
            "BUNIT": "Jy/beam", "BMAJ": 3 * pixel, "BMIN": 3 * pixel, "BPA": 0.0,
        }
    )  # fmt: skip
    header.update({key: value for key, value in cards.items() if value is not None})
    for key, value in cards.items():
        if value is None:
            header.remove(key, ignore_missing=True)
    return header


def write_image(path: Path, array: np.ndarray, header: fits.Header) -> Path:
    """Write an array and its header as the primary HDU."""
    fits.PrimaryHDU(array, header).writeto(path, overwrite=True)
    return path

"""Small FITS images for tests."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from astropy.io import fits

from skadetect.simulate import HiOptions
from skadetect.simulate.hi_files import cube_header
from skadetect.simulate.hi_options import HiTelescope

PIXEL = 5e-4
SDC2 = (6668, 5851, 5851)


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


def sparse_sdc2(path: Path) -> Path:
    """A cube of the whole challenge's shape and header whose pixels take no place on the disk."""
    header = cube_header(HiTelescope.from_options(HiOptions(shape=SDC2)), (180.0, -30.0)).tostring()
    size = len(header) + 4 * math.prod(SDC2)
    with path.open("wb") as handle:
        handle.write(header.encode("ascii"))
        handle.truncate(size + -size % 2880)
    return path

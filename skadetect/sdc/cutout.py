"""Pieces of an image or cube as files of their own: the training area, and the parts of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from skadetect.astrometry import sky_to_pixel
from skadetect.atomic import atomic_path
from skadetect.errors import InputError
from skadetect.image import Image

Floats = NDArray[np.float64]

SLAB = 1 << 24  # pixels written at a time
#: Points of an edge of a box on the sky that are looked up.
_EDGE = 65


@dataclass(frozen=True)
class Window:
    """A box of pixels of all channels: y_lo <= y < y_hi, x_lo <= x < x_hi."""

    y_lo: int
    y_hi: int
    x_lo: int
    x_hi: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y_hi - self.y_lo, self.x_hi - self.x_lo

    def holds(self, x: Floats, y: Floats) -> NDArray[np.bool_]:
        """Which positions (pixels, integers are centres), each (n,), lie in it."""
        inside = (x >= self.x_lo - 0.5) & (x < self.x_hi - 0.5)
        return inside & (y >= self.y_lo - 0.5) & (y < self.y_hi - 0.5)

    def split(self, shares: tuple[float, ...]) -> list[Window]:
        """Parts side by side along the longer axis, as large as the shares say."""
        rows, columns = self.shape
        low, extent = (self.x_lo, columns) if columns >= rows else (self.y_lo, rows)
        ends = low + np.rint(extent * np.cumsum([0.0, *shares]) / sum(shares)).astype(int)
        pairs = [(int(a), int(b)) for a, b in pairwise(ends)]
        if columns >= rows:
            return [Window(self.y_lo, self.y_hi, *pair) for pair in pairs]
        return [Window(*pair, self.x_lo, self.x_hi) for pair in pairs]


def window_of(image: Image) -> Window:
    """All of an image."""
    return Window(0, image.shape[1], 0, image.shape[2])


def sky_window(image: Image, box: tuple[float, float, float, float]) -> Window:
    """The largest window inside of a box on the sky, as far as the image goes.

    Parameters
    ----------
    image : Image
    box : (ra_min, ra_max, dec_min, dec_max)
        Degrees.

    Raises
    ------
    InputError
        The box lies outside of the image.
    """
    ra, dec = np.linspace(box[0], box[1], _EDGE), np.linspace(box[2], box[3], _EDGE)
    left, _ = sky_to_pixel(image.wcs, np.full(_EDGE, box[1]), dec)
    right, _ = sky_to_pixel(image.wcs, np.full(_EDGE, box[0]), dec)
    _, low = sky_to_pixel(image.wcs, ra, np.full(_EDGE, box[2]))
    _, high = sky_to_pixel(image.wcs, ra, np.full(_EDGE, box[3]))
    _, height, width = image.shape
    x_lo, x_hi = max(0, int(np.ceil(left.max()))), min(width, int(np.floor(right.min())) + 1)
    y_lo, y_hi = max(0, int(np.ceil(low.max()))), min(height, int(np.floor(high.min())) + 1)
    if x_hi <= x_lo or y_hi <= y_lo:
        raise InputError(
            f"{image.name}: the training area, RA {box[0]} to {box[1]} and Dec {box[2]} to {box[3]}, lies "
            "outside of the image"
        )
    return Window(y_lo, y_hi, x_lo, x_hi)


def write_cutout(
    image: Image, window: Window, path: Path, *, channels: tuple[int, int] | None = None
) -> Path:
    """Write a window of an image, or of some channels of a cube, as FITS under a temporary name.

    Parameters
    ----------
    image : Image
        As opened: in Jy/beam.
    window : Window
    path : Path
        Replaced if it exists; its folder is made.
    channels : (first, last), optional
        Channels first <= z < last; all by default.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    first, last = channels or (0, image.shape[0])
    header = _header(image, window, first, last)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path, overwrite=True) as temporary, temporary.open("wb") as file:
        file.write(header.tostring().encode("ascii"))
        step = max(1, SLAB // window.shape[1])
        for z in range(first, last):
            for y in range(window.y_lo, window.y_hi, step):
                high = (z + 1, min(y + step, window.y_hi), window.x_hi)
                file.write(image.read((z, y, window.x_lo), high).astype(">f4").tobytes())
        file.write(b"\0" * (-file.tell() % 2880))
    return path


def _header(image: Image, window: Window, first: int, last: int) -> fits.Header:
    """Header of a window: the celestial axes moved, the beam and the unit as they were read."""
    header = fits.Header()
    rows, columns = window.shape
    header["SIMPLE"], header["BITPIX"] = True, -32
    cube = image.ndim == 3
    extents = (columns, rows, last - first) if cube else (columns, rows)
    header["NAXIS"] = len(extents)
    for number, extent in enumerate(extents, start=1):
        header[f"NAXIS{number}"] = extent
    celestial = image.wcs.deepcopy()
    celestial.wcs.crpix -= [window.x_lo, window.y_lo]
    header.extend(celestial.to_header(relax=True), update=True)
    if "WCSAXES" in header:
        header["WCSAXES"] = len(extents)
    if image.spectral is not None:
        axis = image.spectral
        step = float(np.diff(axis.freq).mean()) if axis.freq.size > 1 else axis.step
        cards = {"CTYPE3": "FREQ", "CUNIT3": "Hz", "CRPIX3": 1.0, "CDELT3": step}
        header.update(cards | {"CRVAL3": float(axis.freq[first]), "RESTFRQ": axis.rest_freq})
        header.update({"SPECSYS": axis.frame} if axis.frame else {})
    degrees = {"BMAJ": image.beam.major, "BMIN": image.beam.minor, "BPA": image.beam.pa}
    header.update({name: float(value.to_value("deg")) for name, value in degrees.items()})
    header["BUNIT"] = image.unit.to_string("fits").replace(" beam-1", "/beam")
    return header

"""Leave out what is known to be bad in a cube: pixels in front of bright continuum, and flagged channels.

A bright continuum source is never subtracted quite: what is left is correlated over many channels and looks
like a galaxy. Blank pixels are NaN to every reader of the image; nothing is copied.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skadetect.astrometry import pixel_to_sky, sky_to_pixel
from skadetect.background import Background
from skadetect.errors import ConfigError, InputError
from skadetect.image import JY_PER_BEAM, Image, open_image
from skadetect.pixels import Corner, PixelSource

Ranges = Sequence[tuple[int, int]]
Mask = NDArray[np.bool_]
BLOCK = 64  # pixels of the side of a block that is looked up at once
SLAB_PIXELS = 1 << 22
NEIGHBOURS = 65  # channels that a channel's noise is compared with


@dataclass(frozen=True, eq=False)
class BlankedPixels:
    """Pixels of a source, NaN in some channels and in some pixels of all channels.

    `pixels` is (n,) int64, rising: y * width + x of those that are blank; `channels` is (z,) bool.
    """

    source: PixelSource
    pixels: NDArray[np.int64]
    channels: Mask

    @property
    def shape(self) -> Corner:
        """(z, y, x)."""
        return self.source.shape

    def read(self, lo: Corner, hi: Corner) -> NDArray[np.float32]:
        """Pixels lo <= index < hi, inside the array."""
        out = self.source.read(lo, hi)
        width = self.shape[2]
        first, last = np.searchsorted(self.pixels, (lo[1] * width, hi[1] * width))
        y, x = np.divmod(self.pixels[first:last], width)
        inside = (x >= lo[2]) & (x < hi[2])
        out[:, y[inside] - lo[1], x[inside] - lo[2]] = np.nan
        out[self.channels[lo[0] : hi[0]]] = np.nan
        return out


def blank(
    image: Image,
    *,
    continuum: str | os.PathLike[str] | None = None,
    limit: float = 3e-3,
    channels: Ranges = (),
) -> Image:
    """The image without what lies in front of bright continuum, and without flagged channels.

    Parameters
    ----------
    image : Image
    continuum : path, optional
        FITS image of the continuum, on any grid (its nearest pixel counts); of several planes the mean.
    limit : float
        Brightness of the continuum above which a pixel is blank in all channels, Jy/beam of its own beam.
    channels : sequence of (first, last), optional
        Channels to leave out, 0-based, both ends included.

    Returns
    -------
    Image
        The image itself if there is nothing to leave out.

    Raises
    ------
    ConfigError
        If the limit is not positive, or a channel is not in the image.
    InputError
        If the continuum cannot be read, or is in a unit that cannot be made Jy/beam.
    """
    flagged = _flags(channels, image)
    remarks = []
    if flagged.any():
        words = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in _runs(flagged))
        remarks.append(f"{np.count_nonzero(flagged)} of {flagged.size} channels left out: {words}")
    pixels = np.empty(0, np.int64)
    if continuum is not None:
        if not limit > 0:
            raise ConfigError(f"continuum limit {limit} Jy/beam, expected a positive number")
        pixels = _bright_pixels(image, _open_continuum(continuum, image), limit)
        share = pixels.size / (image.shape[1] * image.shape[2])
        remarks.append(
            f"{pixels.size} pixels ({share:.2%}) left out for continuum above {limit * 1e3:g} mJy/beam"
        )
    if not remarks:
        return image
    source = BlankedPixels(image.pixels, pixels, flagged)
    return replace(image, pixels=source, repairs=(*image.repairs, *remarks))


def find_bad_channels(background: Background, *, factor: float = 8.0) -> tuple[tuple[int, int], ...]:
    """Channels whose noise stands out of their neighbours', or that have none.

    Parameters
    ----------
    background : Background
        Of a cube.
    factor : float
        Noise in that of the median of the neighbouring channels above which a channel is bad.

    Returns
    -------
    tuple of (first, last)
        0-based, both ends included, for `blank`.
    """
    rms = np.median(background.rms.reshape(background.rms.shape[0], -1), axis=1)
    known = np.isfinite(rms) & (rms > 1e-6 * np.nanmax(rms))
    if not known.any():
        return ()
    z = np.arange(rms.size)
    filled = np.interp(z, z[known], rms[known])
    usual = _running_median(filled, min(NEIGHBOURS, rms.size))
    return tuple(_runs(~known | (rms > factor * usual)))


def _running_median(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Median of as many neighbours, the ends repeated: SciPy's filter, whose import takes 0.2 s."""
    padded = np.pad(values, (size // 2, size - 1 - size // 2), mode="edge")
    window = np.lib.stride_tricks.sliding_window_view(padded, size)
    usual: NDArray[np.float64] = np.partition(window, size // 2, axis=1)[:, size // 2]
    return usual


def _flags(channels: Ranges, image: Image) -> Mask:
    """Which channels (z,) some ranges flag."""
    count = image.shape[0]
    flagged = np.zeros(count, np.bool_)
    for first, last in channels:
        if not 0 <= first <= last < count:
            raise ConfigError(f"channels {first}-{last}: {image.name} has channels 0 to {count - 1}")
        flagged[first : last + 1] = True
    return flagged


def _runs(marked: Mask) -> Iterator[tuple[int, int]]:
    """First and last index of each run of what is marked."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    for first, end in zip(edges[::2].tolist(), edges[1::2].tolist()):
        yield first, end - 1


def _open_continuum(path: str | os.PathLike[str], image: Image) -> Image:
    """The continuum image in Jy/beam; of the cube's beam if it has none of its own."""
    try:
        continuum = open_image(path)
    except InputError as error:
        if "no restoring beam" not in str(error):
            raise
        continuum = open_image(path, beam=image.beam)
    if continuum.unit != JY_PER_BEAM:
        raise InputError(
            f"{continuum.name}: continuum in {continuum.unit}; expected Jy/beam or what becomes it"
        )
    return continuum


def _bright_pixels(image: Image, continuum: Image, limit: float) -> NDArray[np.int64]:
    """Pixels y * width + x of an image, rising, whose nearest continuum pixel is above a limit."""
    bright = _above(continuum, limit)
    if not bright.any():
        return np.empty(0, np.int64)
    height, width = image.shape[1:]
    parts = [np.empty(0, np.int64)]
    for y0, x0 in _blocks_near(bright, image, continuum):
        y, x = np.mgrid[y0 : min(y0 + BLOCK, height), x0 : min(x0 + BLOCK, width)]
        row, column = _nearest(image, continuum, y, x)
        inside = (row >= 0) & (row < bright.shape[0]) & (column >= 0) & (column < bright.shape[1])
        hit = inside.copy()
        hit[inside] = bright[row[inside], column[inside]]
        parts.append((y[hit] * width + x[hit]).astype(np.int64))
    return np.sort(np.concatenate(parts))


def _above(continuum: Image, limit: float) -> Mask:
    """Where (y, x) the mean over the planes of a continuum image is above a limit; read by slabs of rows."""
    planes, height, width = continuum.shape
    rows = max(1, SLAB_PIXELS // (planes * width))
    bright = np.zeros((height, width), np.bool_)
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        pixels = continuum.read((0, start, 0), (planes, stop, width))
        known = np.maximum(np.isfinite(pixels).sum(axis=0), 1)
        bright[start:stop] = np.nansum(pixels, axis=0, dtype=np.float64) > limit * known
    return bright


def _blocks_near(bright: Mask, image: Image, continuum: Image) -> Iterator[tuple[int, int]]:
    """First pixels (y, x) of the blocks of an image within whose outline there is bright continuum."""
    height, width = image.shape[1:]
    y, x = np.arange(0, height + BLOCK, BLOCK), np.arange(0, width + BLOCK, BLOCK)
    row, column = _nearest(image, continuum, *np.meshgrid(y, x, indexing="ij"))
    margin = 2 + math.ceil(0.1 * BLOCK * image.pixel_scale / continuum.pixel_scale)
    for i in range(y.size - 1):
        for j in range(x.size - 1):
            box = []
            for place in (row[i : i + 2, j : j + 2], column[i : i + 2, j : j + 2]):
                box.append(slice(max(int(place.min()) - margin, 0), max(int(place.max()) + margin + 1, 0)))
            off_sky = min(row[i : i + 2, j : j + 2].min(), column[i : i + 2, j : j + 2].min()) < -(1 << 30)
            if off_sky or bright[tuple(box)].any():
                yield int(y[i]), int(x[j])


def _nearest(
    image: Image, continuum: Image, y: NDArray[np.int64], x: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of the continuum pixel at each pixel of an image; far negative off the sky."""
    ra, dec = pixel_to_sky(image.wcs, x, y)
    column, row = sky_to_pixel(continuum.wcs, ra, dec)
    off = ~(np.isfinite(row) & np.isfinite(column)) | (np.abs(row) > 1e9) | (np.abs(column) > 1e9)
    places = [np.rint(np.where(off, -(2.0**31), place)).astype(np.int64) for place in (row, column)]
    return places[0], places[1]

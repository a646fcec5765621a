"""What is left of an image without the sources that were found, seen by a beam twice as wide.

A source of ten beams is nothing to a network that looks for sources of one to three. Without the smaller
ones, smoothed to twice the beam and on pixels twice as large, the image is one that the network knows, and
so is what is left of that, and so on: each source is found where it is about as large as the beam.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numba
import numpy as np
from astropy import units as u
from numpy.typing import NDArray
from radio_beam import Beam

from skadetect import arena
from skadetect._numba import PARALLEL
from skadetect.beams import FWHM_PER_SIGMA, PixelBeam
from skadetect.image import Image
from skadetect.pixels import Corner, PixelSource, read_padded
from skadetect.resample import scaled_wcs
from skadetect.sky_model import SkyModel

#: Sides of a beam, and of a pixel, over those of the view before.
STEP = 2
#: Where the smoothing Gaussian ends, in standard deviations.
_REACH = 3.5
#: Finite pixels of the four that meet at a place: with less it is blank.
_LEAST_FINITE = 2
#: Fine pixels that are read at a time.
_SLAB = 1 << 22


def residual_view(view: Image, found: SkyModel) -> Image:
    """The image without some sources, with a beam and pixels of twice the side.

    Parameters
    ----------
    view : Image
        Of rank 2; the image or the residual view before.
    found : SkyModel
        Sources in its pixels that are taken out.

    Returns
    -------
    Image
        Of unit Jy per its own beam. Pixels are read and smoothed when they are wanted; each is a fixed
        function of the file's, whichever window is read.
    """
    fwhm = smoothing(view.pixel_beam)
    bmaj, bmin = (math.hypot(axis, fwhm) / STEP for axis in (view.pixel_beam.bmaj, view.pixel_beam.bmin))
    beam = PixelBeam(bmaj, bmin, view.pixel_beam.theta)
    gain = beam.area * STEP**2 / view.pixel_beam.area
    left = ResidualPixels(view.pixels, found)
    pixels = SmoothedPixels(left, _weights(fwhm), gain)
    wide = fwhm * view.pixel_scale
    axes = [math.hypot(axis.to_value(u.arcsec), wide) for axis in (view.beam.major, view.beam.minor)]
    return replace(
        view,
        pixels=pixels,
        wcs=scaled_wcs(view.wcs, float(STEP), pixels.shape),
        beam=Beam(major=axes[0] * u.arcsec, minor=axes[1] * u.arcsec, pa=view.beam.pa),
        pixel_beam=beam,
        pixel_scale=view.pixel_scale * STEP,
        factor=view.factor * STEP,
    )


def smoothing(beam: PixelBeam) -> float:
    """FWHM of the round Gaussian that makes a beam twice as wide, by the geometric mean of its axes, in
    pixels.

    The square of it, k, solves (bmaj^2 + k) (bmin^2 + k) = 16 bmaj^2 bmin^2.
    """
    half, product = 0.5 * (beam.bmaj**2 + beam.bmin**2), (beam.bmaj * beam.bmin) ** 2
    return math.sqrt(math.sqrt(half**2 + (STEP**4 - 1) * product) - half)


@dataclass(frozen=True)
class ResidualPixels:
    """Pixels of one plane without some sources."""

    source: PixelSource
    found: SkyModel

    @property
    def shape(self) -> Corner:
        """(1, y, x)."""
        return self.source.shape

    def read(self, lo: Corner, hi: Corner) -> NDArray[np.float32]:
        """Pixels lo <= index < hi, inside the shape."""
        window = self.source.read(lo, hi)
        self.found.add_to(window[0], (lo[1], lo[2]), sign=-1.0)
        return window


@dataclass(frozen=True)
class SmoothedPixels:
    """Every second pixel, in y and in x, of a smoothed plane: where four pixels of the source meet.

    Attributes
    ----------
    source : PixelSource
    weights : array (2 r,)
        Of the pixels on both sides of such a place, along either axis.
    gain : float
        Factor on the weighted means.
    """

    source: PixelSource
    weights: NDArray[np.float64]
    gain: float

    @property
    def shape(self) -> Corner:
        """(1, y, x)."""
        z, y, x = self.source.shape
        return z, -(-y // STEP), -(-x // STEP)

    def read(self, lo: Corner, hi: Corner) -> NDArray[np.float32]:
        """Pixels lo <= index < hi, inside the shape."""
        out = arena.empty((1, hi[1] - lo[1], hi[2] - lo[2]))
        reach = len(self.weights) // 2 - 1
        left, right = STEP * lo[2] - reach, STEP * hi[2] + reach
        rows = max(1, _SLAB // (STEP * (right - left)))
        for top in range(lo[1], hi[1], rows):
            bottom = min(top + rows, hi[1])
            fine = read_padded(self.source, (0, STEP * top - reach, left), (1, STEP * bottom + reach, right))
            _smooth(fine[0], self.weights, self.gain, out[0, top - lo[1] : bottom - lo[1]])
        return out


def _weights(fwhm: float) -> NDArray[np.float64]:
    """A Gaussian of some FWHM on the pixels on both sides of its centre, which lies between two of them."""
    sigma = fwhm / FWHM_PER_SIGMA
    reach = max(1, math.ceil(_REACH * sigma))
    weights: NDArray[np.float64] = np.exp(-0.5 * ((np.arange(2 * reach) - reach + 0.5) / sigma) ** 2)
    return weights / weights.sum()


@numba.njit(**PARALLEL)
def _smooth(
    fine: NDArray[np.float32], weights: NDArray[np.float64], gain: float, out: NDArray[np.float32]
) -> None:
    """Weighted means of the finite pixels around places two pixels apart, one axis after the other."""
    taps, width = len(weights), fine.shape[1]
    middle = taps // 2 - 1
    for row in numba.prange(out.shape[0]):
        total, weight = np.zeros(width), np.zeros(width)
        for t in range(taps):
            line, share = fine[STEP * row + t], weights[t]
            for x in range(width):
                finite = not np.isnan(line[x])
                total[x] += share * np.float64(line[x]) if finite else 0.0
                weight[x] += share if finite else 0.0
        for x in range(out.shape[1]):
            value, known = 0.0, 0.0
            for t in range(taps):
                value += weights[t] * total[STEP * x + t]
                known += weights[t] * weight[STEP * x + t]
            there = 0
            for t in range(middle, middle + STEP):
                for k in range(middle, middle + STEP):
                    there += not np.isnan(fine[STEP * row + t, STEP * x + k])
            out[row, x] = gain * value / known if there >= _LEAST_FINITE else np.nan

"""Fluxes summed on pixels, of sources in an image and of galaxies in a cube: a network only guesses sums.

An aperture is an ellipse about what is seen of a source through the beam, in a cube over the channels of its
line; its rims are linear ramps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import JIT, PARALLEL
from skadetect.background_mesh import Background
from skadetect.beams import Ellipses, PixelBeam, convolve, inclined_axis

Floats = NDArray[np.float64]
Voxel = tuple[int, int, int]

#: Axes of a source's aperture over its FWHM seen through the beam, up to a signal to noise and from one on:
#: the smaller one holds 9 tenths of a Gaussian; to the larger one an error of the size hardly matters.
SEEN, SEEN_SNR = (1.8, 2.6), (25.0, 100.0)
#: Axes of a galaxy's over those of its disc and of the beam, which add in quadrature; channels over w20.
DISC, BEAM, LINE = 1.35, 1.6, 1.15
#: Channels that add in quadrature to those of the line.
LEAST_CHANNELS = 3.0
#: Thickness of a disc over its diameter, seen edge-on.
THICKNESS = 0.15
#: Beam areas that noise as correlated as the beam varies over: it is the beam's own autocorrelation.
NOISE_AREAS = 2.0
#: Share of an aperture that has to hold data.
LEAST_COVERED = 0.5


class Sums(NamedTuple):
    """What apertures hold.

    Attributes
    ----------
    flux, error : array (n,)
        Flux over the background and its standard deviation by the noise, in the image's unit times beams (and
        channels in a cube); as much again for what is blank, and of sources for what is outside. NaN where
        less than half of an aperture holds data.
    """

    flux: Floats
    error: Floats


@dataclass(frozen=True)
class Apertures:
    """Where to sum.

    Attributes
    ----------
    ellipse : (major, minor, theta), each (n,)
        Whole axes in pixels, angle in radians from +x towards +y.
    length : array (n,)
        Channels; 1 in an image.
    share : array (n,)
        Of a source's flux that an aperture holds, which a sum is divided by; 1 where that is not known.
    """

    ellipse: Ellipses
    length: Floats
    share: Floats

    @classmethod
    def of(cls, shapes: Mapping[str, Floats], beam: PixelBeam, *, snr: Floats) -> Apertures | None:
        """The apertures of sources, or None if their shapes are not all known.

        Parameters
        ----------
        shapes : mapping of str to array (n,)
            Of sources in an image bmaj and bmin, intrinsic FWHM in pixels, and theta, radians; of galaxies in
            a cube hi_size, pixels, incl and direction, radians, and w20, channels.
        beam : PixelBeam
            Of the image.
        snr : array (n,)
            Signal to noise of the peaks.
        """
        if {"bmaj", "bmin", "theta"} <= shapes.keys():
            major, minor, theta = convolve(shapes["bmaj"], shapes["bmin"], shapes["theta"], beam)
            seen = np.interp(np.log(np.maximum(snr, 1.0)), np.log(SEEN_SNR), SEEN)
            return cls((seen * major, seen * minor, theta), np.ones(len(major)), 1.0 - 2.0 ** -(seen**2))
        if not {"hi_size", "incl", "direction", "w20"} <= shapes.keys():
            return None
        size, incl = np.maximum(shapes["hi_size"], 0.0), np.clip(shapes["incl"], 0.0, 0.5 * np.pi)
        across = inclined_axis(size, incl, thickness=THICKNESS)
        ellipse = convolve(DISC * size, DISC * across, shapes["direction"], beam.scaled(BEAM))
        return cls(ellipse, np.hypot(LINE * shapes["w20"], LEAST_CHANNELS), np.ones(len(size)))

    def within(self, reach: Voxel) -> Floats:
        """Half axes and angle (n, 4), columns z, major, minor, theta, of those that end within a reach.

        A window may end half a pixel before, and rims are one wide; an ellipse that is cut keeps its form.
        """
        major, minor, theta = self.ellipse
        most = 2.0 * (np.array(reach) - 1.0)
        cut = np.minimum(1.0, most[1:].min() / major)
        length = self.length if reach[0] < 1 else np.minimum(self.length, most[0])
        return np.stack([0.5 * length, 0.5 * major * cut, 0.5 * minor * cut, theta], axis=1)


def sum_apertures(
    pixels: NDArray[np.float32],
    background: Background,
    positions: Floats,
    apertures: Apertures,
    beam: PixelBeam,
    *,
    low: Voxel,
    reach: Voxel,
) -> Sums:
    """Sum the pixels of sources.

    Parameters
    ----------
    pixels : array (z, y, x), float32
        A window of the image.
    background : Background
        Of the image; all of a source's pixels in a channel have the level and the noise at its position.
    positions : array (n, 3)
        (z, y, x) of the centres, in pixels of the window; z is 0 in an image.
    apertures : Apertures
        Around them.
    beam : PixelBeam
        Of the image.
    low : (z, y, x)
        First pixel of the window in the image.
    reach : (z, y, x)
        Pixels from a centre beyond which an aperture ends: what any window shows.
    """
    shapes = apertures.within(reach)
    if not len(shapes):
        return Sums(np.empty(0), np.empty(0))
    first = np.ceil(positions[:, 0] - shapes[:, 0] - 0.5).astype(np.int64)
    count = int(np.ceil(2.0 * shapes[:, 0].max())) + 2
    where = np.floor(positions[:, 1:] + 0.5).astype(np.int64) + np.array(low[1:])
    level, rms = background.spectra(first + low[0], count, where)
    sums = np.empty((len(shapes), 4))
    _sum(pixels, np.ascontiguousarray(positions), shapes, first, level, rms, sums)
    flux, variance, seen, whole = sums.T
    covered = seen / np.maximum(whole, 1e-30)
    part = covered * apertures.share
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(NOISE_AREAS * beam.area * variance) / beam.area / part
        flux = flux / beam.area / part
    enough = covered >= LEAST_COVERED
    return Sums(np.where(enough, flux, np.nan), np.where(enough, error, np.nan))


@numba.njit(**PARALLEL)
def _sum(pixels, positions, shapes, first, level, rms, sums):  # type: ignore[no-untyped-def]
    """Flux, variance of white noise, weight with data and in all, of each aperture."""
    for i in numba.prange(len(positions)):
        flux, variance, seen, whole = 0.0, 0.0, 0.0, 0.0
        half = shapes[i, 0]
        for k in range(level.shape[1]):
            z = first[i] + k
            along = min(max(half + 0.5 - abs(z - positions[i, 0]), 0.0), 1.0)
            if along > 0.0:
                plane = _sum_plane(pixels, z, positions[i], shapes[i], level[i, k])
                flux += along * plane[0]
                variance += (along * rms[i, k]) ** 2 * plane[1]
                seen += along * plane[2]
                whole += along * plane[3]
        sums[i, 0], sums[i, 1], sums[i, 2], sums[i, 3] = flux, variance, seen, whole


@numba.njit(**JIT)
def _sum_plane(pixels, z, position, shape, level):  # type: ignore[no-untyped-def]
    """Of one channel the sum, the sums of squared weights and of weights with data, and of all weights."""
    depth, height, width = pixels.shape
    major, minor, cos, sin = shape[1], shape[2], np.cos(shape[3]), np.sin(shape[3])
    total, squares, seen, whole = 0.0, 0.0, 0.0, 0.0
    reach = int(np.ceil(major + 1.0))
    y0, x0 = int(np.floor(position[1] + 0.5)), int(np.floor(position[2] + 0.5))
    for y in range(y0 - reach, y0 + reach + 1):
        for x in range(x0 - reach, x0 + reach + 1):
            dy, dx = y - position[1], x - position[2]
            u, v = (dx * cos + dy * sin) / major, (dy * cos - dx * sin) / minor
            weight = min(max(0.5 + (1.0 - np.sqrt(u * u + v * v)) * minor, 0.0), 1.0)
            if weight > 0.0:
                whole += weight
                if 0 <= z < depth and 0 <= y < height and 0 <= x < width and not np.isnan(pixels[z, y, x]):
                    total += weight * (pixels[z, y, x] - level)
                    squares += weight * weight
                    seen += weight
    return total, squares, seen, whole

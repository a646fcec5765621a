"""Line fluxes of galaxies in a cube, summed on its voxels: a network only guesses what they add up to.

The aperture is an ellipse somewhat larger than the disc seen through the beam, over somewhat more channels
than the line has; its rims are linear ramps.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import JIT, PARALLEL
from skadetect.background_mesh import Background
from skadetect.beams import PixelBeam, convolve

Floats = NDArray[np.float64]
Voxel = tuple[int, int, int]

#: Axes of the aperture over those of the disc and of the beam, which add in quadrature; channels over w20.
DISC, BEAM, LINE = 1.35, 1.6, 1.15
#: Channels that add in quadrature to those of the line.
LEAST_CHANNELS = 3.0
#: Thickness of a disc over its diameter, seen edge-on.
THICKNESS = 0.15
#: Beam areas that noise as correlated as the beam varies over: it is the beam's own autocorrelation.
NOISE_AREAS = 2.0
#: Share of an aperture that has to hold data.
LEAST_COVERED = 0.5


class LineAperture(NamedTuple):
    """What apertures hold.

    Attributes
    ----------
    flux, error : array (n,)
        Line flux over the background and its standard deviation by the noise, in the image's unit times beams
        times channels; as much again for what is blank. NaN where the aperture is not known, or less than
        half of it holds data.
    """

    flux: Floats
    error: Floats


def line_apertures(
    pixels: NDArray[np.float32],
    background: Background,
    positions: Floats,
    discs: dict[str, Floats],
    beam: PixelBeam,
    *,
    low: Voxel,
    reach: Voxel,
) -> LineAperture:
    """Sum the voxels of galaxies.

    Parameters
    ----------
    pixels : array (z, y, x), float32
        A window of the cube.
    background : Background
        Of the cube; a galaxy's channels each have the level and the noise at its position.
    positions : array (n, 3)
        (z, y, x) of the centres, in pixels of the window.
    discs : mapping of str to array (n,)
        hi_size, pixels; incl and direction, radians (from +x towards +y); w20, channels. Without one of
        them no aperture is known.
    beam : PixelBeam
        Of the cube.
    low : (z, y, x)
        First voxel of the window in the cube.
    reach : (z, y, x)
        Voxels from a centre beyond which an aperture ends: what any window shows.
    """
    n = len(positions)
    unknown = LineAperture(np.full(n, np.nan), np.full(n, np.nan))
    if not n or not {"hi_size", "incl", "direction", "w20"} <= discs.keys():
        return unknown
    size, incl = np.maximum(discs["hi_size"], 0.0), np.clip(discs["incl"], 0.0, 0.5 * np.pi)
    across = size * np.hypot(np.cos(incl), THICKNESS * np.sin(incl))
    major, minor, theta = convolve(DISC * size, DISC * across, discs["direction"], beam.scaled(BEAM))
    length = np.hypot(LINE * discs["w20"], LEAST_CHANNELS)
    most = np.array(reach) - 1.0  # a window may end half a voxel before, and rims are one wide
    sky = np.minimum(1.0, 2.0 * most[1:].min() / major)  # a smaller one of the same form
    depth = np.minimum(length, 2.0 * most[0])
    shapes = np.stack([0.5 * depth, 0.5 * major * sky, 0.5 * minor * sky, theta], axis=1)
    first = np.floor(positions[:, 0] - 0.5 * depth).astype(np.int64)
    count = int(np.ceil(depth.max())) + 3
    where = np.floor(positions[:, 1:] + 0.5).astype(np.int64) + np.array(low[1:])
    level, rms = background.spectra(first + low[0], count, where)
    sums = np.empty((n, 4))
    _sum(pixels, np.ascontiguousarray(positions), shapes, first, level, rms, sums)
    flux, variance, seen, whole = sums.T
    covered = seen / np.maximum(whole, 1e-30)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(NOISE_AREAS * beam.area * variance) / beam.area / covered
        flux = flux / beam.area / covered
    enough = covered >= LEAST_COVERED
    return LineAperture(np.where(enough, flux, np.nan), np.where(enough, error, np.nan))


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

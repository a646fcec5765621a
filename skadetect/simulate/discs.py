"""One galaxy in HI as a cube sees it: gas spread over pixels by the beam, over channels by its dispersion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from skadetect._numba import JIT
from skadetect.beams import FWHM_PER_SIGMA, PixelBeam
from skadetect.simulate.gas import Cloud, Disc, draw_cloud

__all__ = ["Cubelet", "Disc", "line_width", "render"]

Floats = NDArray[np.float64]
Cube = NDArray[np.float32]

# Share of a cubelet's maximum below which it is cut; where the beam (FWHM) and the dispersion (sigma) end.
_CUT, _BEAM_END, _DISPERSION_END = 1e-3, 1.75, 4.0
# Places within a pixel, a side, that the beam is tabulated for; samples a side of a pixel's mean.
_PHASES, _SAMPLES = 8, 6
# Points of gas a resolution element, and their least and largest number.
_POINTS, _FEWEST, _MOST = 6.0, 2000, 200_000


@dataclass(frozen=True)
class Cubelet:
    """A drawn galaxy.

    Attributes
    ----------
    pixels : ndarray, shape (z, y, x), float32
        Seen through the beam; the sum is 1 but for what was cut off.
    centre : tuple of float
        Kinematic centre (z, y, x) in voxels of `pixels`.
    w20, w50 : float
        Widths of the noiseless line at 20 and 50 % of its peak, channels.
    """

    pixels: Cube
    centre: tuple[float, float, float]
    w20: float
    w50: float


def render(
    disc: Disc,
    beam: PixelBeam,
    *,
    rng: np.random.Generator,
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
    points: int = 0,
    averaged: bool = False,
) -> Cubelet:
    """Draw a galaxy.

    Parameters
    ----------
    disc : Disc
        What to draw.
    beam : PixelBeam
        What it is seen through.
    rng : numpy.random.Generator
        Source of what is irregular.
    centre : tuple of float
        Offset (z, y, x) of the galaxy from the centre of a voxel, -0.5 to 0.5.
    points : int
        How many stand for its gas; 0 for as many as it has resolution elements for.
    averaged : bool
        Pixels are means over their area, as in a block-averaged image; else samples at their centres.

    Returns
    -------
    Cubelet
        Cut to where it exceeds a thousandth of its maximum. Channels are means over their width.
    """
    gas = draw_cloud(disc, points or _enough(disc, beam), rng)
    kernel = _beam_table(beam, averaged)
    fine = max(1, math.ceil(2.5 / disc.dispersion))  # steps a channel: the dispersion spans a few
    rise = _DISPERSION_END * disc.dispersion
    half = [math.ceil(float(np.abs(axis).max())) + 1 for axis in (gas.z, gas.y, gas.x)]
    half[0] += math.ceil(rise)
    half[1], half[2] = (half[1] + kernel.shape[2] // 2, half[2] + kernel.shape[3] // 2)
    depth, height, width = (2 * n + 1 for n in half)
    steps = np.zeros((fine * depth, height, width), np.float32)
    place = _places(gas, (centre[0] + half[0], centre[1] + half[1], centre[2] + half[2]), fine, rng)
    _stamp(*place, gas.weight.astype(np.float32), kernel, steps)
    pixels = np.zeros((depth, height, width), np.float32)
    _disperse(steps, _dispersion_table(disc.dispersion, fine), pixels)
    spectrum = pixels.sum(axis=(1, 2), dtype=np.float64)
    pixels /= np.float32(spectrum.sum())
    kept = _extent(pixels > _CUT * pixels.max())
    middle = [at + n - part.start for at, n, part in zip(centre, half, kept)]
    return Cubelet(
        np.ascontiguousarray(pixels[kept]),
        (middle[0], middle[1], middle[2]),
        line_width(spectrum, 0.2),
        line_width(spectrum, 0.5),
    )


def line_width(spectrum: Floats, level: float) -> float:
    """Width of a line between the outermost crossings of a share of its peak, channels."""
    limit = level * spectrum.max()
    above = np.flatnonzero(spectrum >= limit)
    first, last = int(above[0]), int(above[-1])
    low, high = first - 0.5, last + 0.5
    if first > 0:
        low = first - (spectrum[first] - limit) / (spectrum[first] - spectrum[first - 1])
    if last < len(spectrum) - 1:
        high = last + (spectrum[last] - limit) / (spectrum[last] - spectrum[last + 1])
    return float(high - low)


def _enough(disc: Disc, beam: PixelBeam) -> int:
    """Points that fill the resolution elements of a galaxy."""
    elements = (1.0 + (disc.hi_size / beam.fwhm) ** 2) * (
        1.0 + disc.v_flat * math.sin(disc.incl) / disc.dispersion
    )
    return int(np.clip(_POINTS * elements, _FEWEST, _MOST))


def _places(
    gas: Cloud, origin: tuple[float, float, float], fine: int, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Steps of channels, phases of rows and columns: rounded up or down at random, so that means are kept."""
    places = []
    for axis, start, parts in zip((gas.z, gas.y, gas.x), origin, (fine, _PHASES, _PHASES)):
        # the middle of a step is where a whole number lies for an odd and for an even count of them
        at = (axis + (start + 0.5)) * parts - 0.5
        places.append(np.floor(at + rng.random(len(axis))).astype(np.int32))
    return places[0], places[1], places[2]


@numba.njit(**JIT)
def _stamp(
    step: NDArray[np.int32],
    row: NDArray[np.int32],
    column: NDArray[np.int32],
    weight: Cube,
    kernel: Cube,
    steps: Cube,
) -> None:
    """Add the beam, at each point's phase in its pixel, to the point's step."""
    phases, _, ky, kx = kernel.shape
    for k in range(step.size):
        y, x = row[k] // phases, column[k] // phases
        stamp = kernel[row[k] - phases * y, column[k] - phases * x]
        plane = steps[step[k]]
        for i in range(ky):
            for j in range(kx):
                plane[y + i - ky // 2, x + j - kx // 2] += weight[k] * stamp[i, j]


@numba.njit(**JIT)
def _disperse(steps: Cube, table: Cube, pixels: Cube) -> None:
    """Spread each step over the channels by a table (step within its channel, channel)."""
    fine, reach = table.shape[0], table.shape[1] // 2
    source, target = steps.reshape((steps.shape[0], -1)), pixels.reshape((pixels.shape[0], -1))
    for step in range(source.shape[0]):
        values = source[step]
        if not np.any(values):
            continue
        channel, phase = step // fine, step % fine
        for other in range(max(channel - reach, 0), min(channel + reach + 1, target.shape[0])):
            factor, sums = table[phase, other - channel + reach], target[other]
            for k in range(values.size):
                sums[k] += factor * values[k]


@lru_cache(maxsize=8)
def _beam_table(beam: PixelBeam, averaged: bool) -> Cube:
    """The beam on pixels, of sum 1, for a point in each part of the middle one: (phase y, phase x, y, x)."""
    reach = math.ceil(_BEAM_END * beam.bmaj + 0.5)
    pixel = np.arange(-reach, reach + 1)
    phase = (np.arange(_PHASES) + 0.5) / _PHASES - 0.5
    within = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5 if averaged else np.zeros(1)
    distance = pixel[None, :, None] - phase[:, None, None] + within
    y, x = distance[:, None, :, None, :, None], distance[None, :, None, :, None, :]
    cos, sin = math.cos(beam.theta), math.sin(beam.theta)
    along, across = (x * cos + y * sin) / beam.bmaj, (y * cos - x * sin) / beam.bmin
    kernel = np.exp(-0.5 * FWHM_PER_SIGMA**2 * (along**2 + across**2)).sum(axis=(-2, -1))
    table: Cube = (kernel / kernel.sum(axis=(2, 3), keepdims=True)).astype(np.float32)
    return table


def _dispersion_table(dispersion: float, fine: int) -> Cube:
    """Share of a channel in a Gaussian line from the middle of each of a channel's steps: (step, channel)."""
    reach = math.ceil(_DISPERSION_END * dispersion) + 1
    edge = np.arange(-reach, reach + 2) - 0.5
    phase = (np.arange(fine) + 0.5) / fine - 0.5
    below = 0.5 * erf((edge - phase[:, None]) / (math.sqrt(2.0) * dispersion))
    share: Cube = np.diff(below, axis=1).astype(np.float32)
    return share


def _extent(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box that holds every true voxel."""
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hit = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(box)

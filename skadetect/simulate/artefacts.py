"""Imperfections of real images: sidelobes, stripes, uneven noise, blank borders, diffuse clouds."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import JIT
from skadetect.simulate import bands
from skadetect.simulate.options import Instrument
from skadetect.simulate.shapes import FWHM_TO_SIGMA, Gaussians, covariance
from skadetect.simulate.sources import Sources

Image = NDArray[np.float32]

# Clouds: smallest and largest FWHM in beams, and faintest and brightest peak in units of the noise.
_CLOUD_SIZE = (4.0, 30.0)
_CLOUD_PEAK = (0.7, 8.0)
_CLUMPS = 12
# How far sidelobes reach, in beams.
_SIDELOBE_REACH = 40.0


def noise_profile(shape: tuple[int, int], gradient: float, rng: np.random.Generator) -> Image:
    """Noise relative to its mean: a ramp in a random direction.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    gradient : float
        The profile runs from 1 - gradient to 1 + gradient.
    rng : numpy.random.Generator
        Direction.

    Returns
    -------
    ndarray, shape (y, x)
        Dimensionless.
    """
    angle = rng.uniform(0, 2 * math.pi)
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    reach = abs(math.cos(angle)) + abs(math.sin(angle))
    ramp = (math.cos(angle) * x[None, :] + math.sin(angle) * y[:, None]) / reach
    return (1 + gradient * ramp).astype(np.float32)


def stripes(shape: tuple[int, int], beam_pixels: float, rng: np.random.Generator) -> Image:
    """Stripes of one direction and a few nearby periods, rms 1.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    beam_pixels : float
        FWHM of the beam; periods are 5 to 40 beams.
    rng : numpy.random.Generator
        Direction, periods and phases.

    Returns
    -------
    ndarray, shape (y, x)
        Dimensionless.
    """
    angle, period = rng.uniform(0, math.pi), beam_pixels * math.exp(rng.uniform(math.log(5), math.log(40)))
    y, x = (np.arange(n, dtype=np.float32) for n in shape)
    image = np.zeros(shape, np.float32)
    for _ in range(4):
        wave = 2 * math.pi / (period * rng.uniform(0.7, 1.4))
        tilt, phase = angle + rng.normal(0, 0.03), rng.uniform(0, 2 * math.pi)
        across = wave * math.cos(tilt) * x[None, :] + (wave * math.sin(tilt) * y[:, None] + phase)
        image += np.sin(across, dtype=np.float32)
    return image / max(float(np.std(image)), 1e-30)


def blank_mask(size: int, *, border: int, circle: bool) -> NDArray[np.bool_]:
    """Pixels without data.

    Parameters
    ----------
    size : int
        Side of the image.
    border : int
        Width of the blank frame, pixels.
    circle : bool
        Blank outside of the inscribed circle too.

    Returns
    -------
    ndarray of bool, shape (size, size)
        True where blank.
    """
    away = np.abs(np.arange(size) - (size - 1) / 2)
    outside = away > (size - 1) / 2 - border
    mask = outside[:, None] | outside[None, :]
    if circle:
        mask |= away[:, None] ** 2 + away[None, :] ** 2 > (size / 2 - border) ** 2
    return mask


def draw_clouds(
    shape: tuple[int, int], expected: float, instrument: Instrument, rng: np.random.Generator
) -> tuple[Sources, Gaussians]:
    """Draw extended diffuse clouds: clumps of Gaussians inside an ellipse.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the drawing grid.
    expected : float
        Expected number.
    instrument : Instrument
        Its beam sets the sizes, its noise (or a thousandth of its clip level) the brightness.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Sources
        One row a cloud: size 2, class 1.
    Gaussians
        Their clumps.
    """
    n = int(rng.poisson(expected))
    beam, noise = instrument.beam_major, max(instrument.noise_rms, 1e-3 * instrument.clip)
    major = beam * _log_uniform(rng, _CLOUD_SIZE, n)
    minor = major * rng.uniform(0.35, 1.0, n)
    flux = noise * _log_uniform(rng, _CLOUD_PEAK, n) * (1 + major * minor / beam**2)
    x, y, pa = rng.uniform(0, shape[1], n), rng.uniform(0, shape[0], n), rng.uniform(0, 360, n)
    whole, kind = np.full(n, bands.GAUSSIAN), np.full(n, bands.STEEP)
    sources = Sources(x, y, x, y, flux, np.zeros(n), major, minor, pa, whole, kind)
    return sources, _clumps(sources, instrument.pixel_scale, rng)


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float], n: int) -> NDArray[np.float64]:
    return np.exp(rng.uniform(math.log(limits[0]), math.log(limits[1]), n))


def _clumps(clouds: Sources, pixel_scale: float, rng: np.random.Generator) -> Gaussians:
    """Draw smaller clumps whose centres scatter so that the second moments add up to the cloud's."""
    n, scale, inner = len(clouds), FWHM_TO_SIGMA / pixel_scale, 0.6
    along, across = rng.normal(0, math.sqrt(1 - inner**2), (2, n, _CLUMPS))
    along = (along - along.mean(axis=1, keepdims=True)) * clouds.major[:, None] * scale
    across = (across - across.mean(axis=1, keepdims=True)) * clouds.minor[:, None] * scale
    theta = -np.radians(clouds.pa)
    cos, sin = np.cos(theta)[:, None], np.sin(theta)[:, None]
    x = clouds.x[:, None] + along * cos - across * sin
    y = clouds.y[:, None] + along * sin + across * cos
    shape = covariance(inner * clouds.major * scale, inner * clouds.minor * scale, theta)
    flux = np.repeat(clouds.flux / _CLUMPS, _CLUMPS)
    return Gaussians(x.ravel(), y.ravel(), flux, *(np.repeat(c, _CLUMPS) for c in shape))


def add_sidelobes(
    image: Image,
    peaks: NDArray[np.float64],
    *,
    beam_pixels: float,
    levels: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """Add rings and spokes around bright sources, in place.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        Jy/beam.
    peaks : ndarray, shape (n, 3)
        x, y (pixels) and peak (Jy/beam) of each bright source.
    beam_pixels : float
        FWHM of the beam, pixels.
    levels : tuple of float
        Amplitude of the rings and of the spokes, as fractions of the peak.
    rng : numpy.random.Generator
        The pattern, one for the whole image as all sources share the dirty beam.
    """
    period = beam_pixels * rng.uniform(2.0, 5.0)
    phase, arms, turn = rng.uniform(0, 2 * math.pi), rng.integers(2, 7), rng.uniform(0, math.pi)
    pattern = np.array([2 * math.pi / period, phase, arms, turn])
    reach = _SIDELOBE_REACH * beam_pixels
    _add_sidelobes(image, np.ascontiguousarray(peaks), beam_pixels, reach, np.array(levels), pattern)


@numba.njit(**JIT)
def _add_sidelobes(image, peaks, beam, reach, levels, pattern):  # type: ignore[no-untyped-def]
    rows, columns = image.shape
    wave, phase, arms, turn = pattern
    for i in range(len(peaks)):
        x, y, peak = peaks[i]
        for row in range(max(0, math.ceil(y - reach)), min(rows, math.floor(y + reach) + 1)):
            for column in range(max(0, math.ceil(x - reach)), min(columns, math.floor(x + reach) + 1)):
                dx, dy = column - x, row - y
                r = math.sqrt(dx * dx + dy * dy)
                if r > reach:
                    continue
                # Sidelobes start outside of the main lobe and fade outwards, to nothing at the reach.
                fade = math.sqrt(2 * beam / (r + 2 * beam)) * (1 - r / reach)
                fade *= 1 - math.exp(-((r / (1.2 * beam)) ** 4))
                ring = levels[0] * math.cos(wave * r + phase)
                angle = math.atan2(dy, dx)
                spoke = levels[1] * (2 * abs(math.cos(arms * (angle - turn))) ** 16 - 0.4)
                image[row, column] += peak * fade * (ring + spoke)

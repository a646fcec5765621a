"""What real cubes hold beside noise and galaxies: continuum residuals, absorption lines, RFI ripples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skadetect.beams import PixelBeam


@dataclass(frozen=True)
class ContaminantOptions:
    """How often and how strong; levels are in units of the noise.

    Attributes
    ----------
    residuals : float
        Mean number of continuum residuals in a patch; each runs along z under a slowly changing sign.
    residual_level : float
        Median of their peaks, which spread by a factor of 2.5 up and down.
    absorption : float
        Share of patches with an absorption line.
    ripples : float
        Share of patches with some channels full of ripples.
    """

    residuals: float = 0.6
    residual_level: float = 0.3
    absorption: float = 0.1
    ripples: float = 0.15


@dataclass(frozen=True)
class Patterns:
    """Sums of curves along z times planes (y, x), and what each channel is divided by afterwards."""

    curves: list[np.ndarray]
    planes: list[np.ndarray]
    divisor: np.ndarray

    def add_to(self, snr: np.ndarray) -> None:
        """Spoil a patch in place."""
        for curve, plane in zip(self.curves, self.planes, strict=True):
            snr += curve[:, None, None] * plane
        snr /= self.divisor[:, None, None]


def draw_contaminants(
    shape: tuple[int, int, int], beam: PixelBeam, rng: np.random.Generator, options: ContaminantOptions
) -> Patterns:
    """Draw what spoils a patch.

    Parameters
    ----------
    shape : tuple of int
        (z, y, x) of a patch, whose noise is of unit rms.
    beam : PixelBeam
        Of the patch.
    rng : numpy.random.Generator
        Source of randomness.
    options : ContaminantOptions
        What to add.
    """
    depth, plane = shape[0], shape[1:]
    found = Patterns([], [], np.ones(depth, np.float32))
    for _ in range(rng.poisson(options.residuals)):
        level = options.residual_level * np.exp(0.9 * rng.standard_normal()) * rng.choice([-1, 1])
        found.curves.append(level * _slow(depth, rng))
        found.planes.append(_point(plane, beam, rng))
    if rng.random() < options.absorption:
        deep, width, place = rng.uniform(2, 15), rng.uniform(1, 6), rng.uniform(0, depth)
        line = -deep * np.exp(-0.5 * ((np.arange(depth) - place) / width) ** 2)
        found.curves.append(line.astype(np.float32))
        found.planes.append(_point(plane, beam, rng))
    if rng.random() < options.ripples:
        first, count = rng.integers(0, depth), rng.integers(1, 5)
        channels = slice(first, min(first + count, depth))
        level = rng.uniform(0.3, 2.0)
        found.curves.append(np.zeros(depth, np.float32))
        found.curves[-1][channels] = level
        found.planes.append(_ripple(plane, beam, rng))
        found.divisor[channels] = np.hypot(1.0, level / np.sqrt(2.0))
    return found


def _point(shape: tuple[int, ...], beam: PixelBeam, rng: np.random.Generator) -> np.ndarray:
    """The beam, with peak 1, at a random place of a plane (y, x)."""
    y, x = (np.arange(extent) - rng.uniform(0, extent) for extent in shape)
    cos, sin = np.cos(beam.theta), np.sin(beam.theta)
    along, across = x * cos + y[:, None] * sin, y[:, None] * cos - x * sin
    radius2 = (along / beam.bmaj) ** 2 + (across / beam.bmin) ** 2
    return np.asarray(np.exp(-4.0 * np.log(2.0) * radius2), np.float32)


def _slow(length: int, rng: np.random.Generator) -> np.ndarray:
    """A curve about 1 that changes over hundreds of channels."""
    phase, period, depth = rng.uniform(0, 2 * np.pi), rng.uniform(100, 800), rng.uniform(0, 1)
    return np.asarray(1.0 + depth * np.sin(2 * np.pi * np.arange(length) / period + phase), np.float32)


def _ripple(shape: tuple[int, ...], beam: PixelBeam, rng: np.random.Generator) -> np.ndarray:
    """A plane wave of a length of 4 to 40 beams."""
    angle, length = rng.uniform(0, np.pi), beam.fwhm * np.exp(rng.uniform(np.log(4), np.log(40)))
    y, x = (np.arange(extent, dtype=np.float32) for extent in shape)
    phase = (x * np.cos(angle) + y[:, None] * np.sin(angle)) * (2 * np.pi / length)
    return np.asarray(np.sin(phase + rng.uniform(0, 2 * np.pi)), np.float32)

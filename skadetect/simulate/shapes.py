"""Turn sources into sums of elliptical Gaussians, which a beam convolves exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skadetect.simulate import bands
from skadetect.simulate.sources import Sources

Floats = NDArray[np.float64]

FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))
# Half-light radius of an exponential disc in units of its scale length.
HALF_LIGHT = 1.678347
# Exponential disc as six Gaussians: shares of the flux, variances in half-light radii^2. Fitted to the flux
# that an untruncated disc encloses within each radius, which they follow to 2e-4.
DISC_WEIGHTS = np.array([0.00778275, 0.05276153, 0.18784049, 0.37040547, 0.31734779, 0.06386197])
DISC_VARIANCES = np.array([0.01552567, 0.08175943, 0.26638723, 0.70204553, 1.63743279, 3.60861103])


@dataclass(frozen=True)
class Gaussians:
    """Elliptical Gaussians as columns.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Centres, pixels.
    flux : ndarray, shape (n,)
        Integrated flux, Jy.
    cxx, cxy, cyy : ndarray, shape (n,)
        Covariance, pixels^2.
    """

    x: Floats
    y: Floats
    flux: Floats
    cxx: Floats
    cxy: Floats
    cyy: Floats

    def columns(self) -> tuple[Floats, ...]:
        """Return the six columns in order."""
        return self.x, self.y, self.flux, self.cxx, self.cxy, self.cyy


def covariance(major: Floats, minor: Floats, theta: Floats) -> tuple[Floats, Floats, Floats]:
    """Covariance of Gaussians from their axes.

    Parameters
    ----------
    major, minor : ndarray, shape (n,)
        Standard deviations, pixels.
    theta : ndarray, shape (n,)
        Angle of the major axis from +x towards +y, radians.

    Returns
    -------
    cxx, cxy, cyy : ndarray, shape (n,)
        Pixels^2.
    """
    cos, sin = np.cos(theta), np.sin(theta)
    a, b = major**2, minor**2
    return a * cos**2 + b * sin**2, (a - b) * cos * sin, a * sin**2 + b * cos**2


def to_gaussians(sources: Sources, pixel_scale: float, *, rng: np.random.Generator) -> Gaussians:
    """Draw each source as the challenge drew its kind.

    Parameters
    ----------
    sources : Sources
        Any number of rows.
    pixel_scale : float
        Arcsec.
    rng : numpy.random.Generator
        Shapes of the radio galaxies.

    Returns
    -------
    Gaussians
        Fluxes of a source's Gaussians sum to its flux.
    """
    size, kind = sources.size_type, sources.kind
    parts = [
        _ellipses(sources.take((size == bands.GAUSSIAN) & (kind != bands.FLAT)), pixel_scale),
        _cored(sources.take((size == bands.GAUSSIAN) & (kind == bands.FLAT)), pixel_scale),
        _discs(sources.take(size == bands.EXPONENTIAL), pixel_scale),
        _radio_galaxies(sources.take(size == bands.LARGEST_SCALE), pixel_scale, rng),
    ]
    return _concatenate(parts)


def _concatenate(parts: list[Gaussians]) -> Gaussians:
    return Gaussians(*(np.concatenate(c) for c in zip(*(p.columns() for p in parts), strict=True)))


def _theta(sources: Sources) -> Floats:
    return -np.radians(sources.pa)


def _ellipses(sources: Sources, pixel_scale: float) -> Gaussians:
    scale = FWHM_TO_SIGMA / pixel_scale
    shape = covariance(sources.major * scale, sources.minor * scale, _theta(sources))
    return Gaussians(sources.x, sources.y, sources.flux, *shape)


def _cored(sources: Sources, pixel_scale: float) -> Gaussians:
    """Draw an unresolved core and a round lobe."""
    lobe = _ellipses(sources, pixel_scale)
    nothing = np.zeros(len(sources))
    core = Gaussians(
        sources.core_x, sources.core_y, sources.flux * sources.core_fraction, nothing, nothing, nothing
    )
    lobe = Gaussians(lobe.x, lobe.y, sources.flux * (1 - sources.core_fraction), lobe.cxx, lobe.cxy, lobe.cyy)
    return _concatenate([core, lobe])


def _discs(sources: Sources, pixel_scale: float) -> Gaussians:
    """Draw exponential discs as the real map shows them, smaller and rounder than catalogued."""
    half_light = np.sqrt(sources.major * sources.minor) / 2 / pixel_scale
    ellipticity = 1 - sources.minor / sources.major
    root = np.sqrt(np.sqrt((1 - ellipticity) / (1 + ellipticity)))
    unit = np.stack(covariance(half_light / root, half_light * root, _theta(sources)))
    n = len(DISC_WEIGHTS)
    shape = (unit[:, :, None] * DISC_VARIANCES).reshape(3, -1)
    flux = (sources.flux[:, None] * DISC_WEIGHTS).ravel()
    return Gaussians(np.repeat(sources.x, n), np.repeat(sources.y, n), flux, *shape)


# Places of the blobs of one jet, from core to tip, and their FWHM, in units of half the largest size.
_JET = np.array([0.18, 0.40, 0.60, 0.78])
_JET_WIDTH = np.array([0.22, 0.30, 0.36, 0.30])


def _radio_galaxies(sources: Sources, pixel_scale: float, rng: np.random.Generator) -> Gaussians:
    """Draw a core and two bent jets of four blobs each, brightening outwards (FR II) or fading (FR I)."""
    n, half = len(sources), sources.major / 2 / pixel_scale
    theta, bend = _theta(sources), rng.normal(0, 0.25, n)
    slope = np.where(rng.uniform(size=n) < 0.5, rng.uniform(0.5, 2.5, n), rng.uniform(-2.5, -0.5, n))
    balance = rng.uniform(0.3, 0.7, n)
    core_x, core_y, nothing = sources.core_x, sources.core_y, np.zeros(n)
    parts = [Gaussians(core_x, core_y, sources.flux * sources.core_fraction, nothing, nothing, nothing)]
    weights = np.exp(slope[:, None] * _JET) * rng.uniform(0.5, 1.5, (2, n, 4))
    weights *= np.stack([balance, 1 - balance])[:, :, None]
    weights *= ((1 - sources.core_fraction) * sources.flux / weights.sum(axis=(0, 2)))[:, None]
    ratio = sources.minor / sources.major
    for side in (0, 1):
        for i in range(4):
            direction = theta + np.pi * side + (1 - 2 * side) * bend * _JET[i]
            jitter = rng.normal(0, 0.05, (2, n)) * half * ratio
            width = _JET_WIDTH[i] * half * FWHM_TO_SIGMA
            shape = covariance(width, 1.6 * width * ratio, direction)
            x = sources.x + half * _JET[i] * np.cos(direction) + jitter[0]
            y = sources.y + half * _JET[i] * np.sin(direction) + jitter[1]
            parts.append(Gaussians(x, y, weights[side, :, i], *shape))
    return _concatenate(parts)

"""Draw the radio sky: fluxes, sizes and angles of star-forming and active galaxies."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from skadetect.simulate import bands
from skadetect.simulate.options import ContinuumOptions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sources:
    """Sources as columns, in the terms of the SDC1 catalogue.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Centroid, pixels of the drawing grid (0-based, integer = pixel centre).
    core_x, core_y : ndarray, shape (n,)
        Core, pixels.
    flux : ndarray, shape (n,)
        Integrated intrinsic flux, Jy.
    core_fraction : ndarray, shape (n,)
        Core flux over integrated flux.
    major, minor : ndarray, shape (n,)
        Catalogued axes, arcsec: largest size, FWHM or scale length as `size_type` says.
    pa : ndarray, shape (n,)
        Degrees clockwise from west, the direction of increasing x.
    size_type : ndarray of int, shape (n,)
        1 largest angular size, 2 Gaussian FWHM, 3 exponential scale length.
    kind : ndarray of int, shape (n,)
        1 steep-spectrum active, 2 flat-spectrum active, 3 star-forming galaxy.
    """

    x: Floats
    y: Floats
    core_x: Floats
    core_y: Floats
    flux: Floats
    core_fraction: Floats
    major: Floats
    minor: Floats
    pa: Floats
    size_type: NDArray[np.int64]
    kind: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return the rows that `index` selects (a mask or row numbers, shape (n,) or (m,))."""
        return type(self)(*(getattr(self, field.name)[index] for field in fields(self)))

    @classmethod
    def concatenate(cls, parts: list[Self]) -> Self:
        """Return the rows of all parts, in order."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


def draw_sources(
    shape: tuple[int, int], pixel_scale: float, *, options: ContinuumOptions, rng: np.random.Generator
) -> Sources:
    """Draw all sources of a field, uniformly scattered.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the drawing grid, pixels.
    pixel_scale : float
        Arcsec.
    options : ContinuumOptions
        Density, slope, scales, band.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Sources
        Ordered by class: steep, flat, star-forming.
    """
    area = shape[0] * shape[1] * (pixel_scale / 3600 / options.angular_scale) ** 2
    makers = {bands.STEEP: _draw_steep, bands.FLAT: _draw_flat, bands.STARFORMING: _draw_discs}
    parts = []
    for kind, draw in makers.items():
        log_flux = draw_log_flux(kind, area=area, options=options, rng=rng)
        n, scale = len(log_flux), options.angular_scale
        core_fraction, major, minor, pa, size_type = draw(log_flux, 3 * pixel_scale / scale, rng)
        flux = 10**log_flux * spectral_factor(kind, options.frequency, n, rng) * options.flux_scale
        x, y = rng.uniform(-0.5, shape[1] - 0.5, n), rng.uniform(-0.5, shape[0] - 0.5, n)
        # The core of a double source sits off its middle, somewhere along its axis.
        shift = np.where(size_type == bands.LARGEST_SCALE, rng.normal(0, 0.05, n), 0.0) * major
        shift *= scale / pixel_scale
        core_x, core_y = x + shift * np.cos(np.radians(pa)), y - shift * np.sin(np.radians(pa))
        sizes = major * scale, minor * scale, pa, size_type, np.full(n, kind)
        parts.append(Sources(x, y, core_x, core_y, flux, core_fraction, *sizes))
    return Sources.concatenate(parts)


def draw_log_flux(kind: int, *, area: float, options: ContinuumOptions, rng: np.random.Generator) -> Floats:
    """Draw log10 fluxes at 560 MHz from the differential counts of one class.

    Parameters
    ----------
    kind : int
        1, 2 or 3.
    area : float
        Square degrees.
    options : ContinuumOptions
        Density, slope and faintest flux.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (n,)
        log10(flux / Jy); n is Poisson distributed.
    """
    grid = np.arange(np.log10(options.flux_min), 0.0, 0.005)
    middle, step = 0.5 * (grid[1:] + grid[:-1]), np.diff(grid)
    density = options.density * step * counts(kind, middle, slope=options.counts_slope)
    cumulative = np.concatenate([[0.0], np.cumsum(density)])
    n = rng.poisson(cumulative[-1] * area)
    return np.interp(rng.uniform(0, cumulative[-1], n), cumulative, grid)


def counts(kind: int, log_flux: Floats, *, slope: float = 0.0) -> Floats:
    """Differential counts at 560 MHz, interpolated in the measured table.

    Parameters
    ----------
    kind : int
        1, 2 or 3.
    log_flux : ndarray, shape (n,)
        log10(flux / Jy).
    slope : float
        Added to d log counts / d log flux, pivoting on 10 uJy.

    Returns
    -------
    ndarray, shape (n,)
        Sources per square degree and dex.
    """
    known, table = bands.COUNTS_LOG_FLUX, np.log(bands.COUNTS[kind])
    faint = (table[1] - table[0]) / (known[1] - known[0])
    values = np.interp(log_flux, known, table) + np.minimum(log_flux - known[0], 0) * faint
    return np.exp(values + slope * (log_flux + 5) * np.log(10))


_Shape = tuple[Floats, Floats, Floats, Floats, NDArray[np.int64]]


def _draw_discs(log_flux: Floats, limit: float, rng: np.random.Generator) -> _Shape:
    n = len(log_flux)
    scale = np.exp(np.interp(log_flux, bands.DISC_LOG_FLUX, np.log(bands.DISC_SCALE)))
    scatter = np.interp(log_flux, bands.DISC_LOG_FLUX, bands.DISC_SCALE_SCATTER)
    scale *= np.exp(scatter * rng.standard_normal(n))
    ratio = _draw_ratio(log_flux, rng)
    size_type = np.where(scale > limit, bands.EXPONENTIAL, bands.GAUSSIAN)
    size = np.where(size_type == bands.EXPONENTIAL, scale, scale / 0.700)
    pa = rng.uniform(-90, 90, n)
    return np.zeros(n), size / np.sqrt(ratio), size * np.sqrt(ratio), pa, size_type


def _draw_ratio(log_flux: Floats, rng: np.random.Generator) -> Floats:
    quantiles = [np.interp(log_flux, bands.RATIO_LOG_FLUX, column) for column in bands.RATIO_QUANTILES.T]
    probability = rng.uniform(size=len(log_flux))
    ratio = np.empty(len(log_flux))
    edges = bands.RATIO_PROBABILITY
    for i in range(len(edges) - 1):
        inside = (probability >= edges[i]) & (probability <= edges[i + 1])
        fraction = (probability - edges[i]) / (edges[i + 1] - edges[i])
        ratio[inside] = (quantiles[i] + fraction * (quantiles[i + 1] - quantiles[i]))[inside]
    return ratio


def _draw_steep(log_flux: Floats, limit: float, rng: np.random.Generator) -> _Shape:
    n = len(log_flux)
    size = np.exp(np.interp(log_flux, bands.LOBE_LOG_FLUX, np.log(bands.LOBE_SIZE)))
    scatter = np.interp(log_flux, bands.LOBE_LOG_FLUX, bands.LOBE_SIZE_SCATTER)
    size *= np.exp(scatter * rng.standard_normal(n))
    size = np.minimum(size, bands.LOBE_SIZE_MAXIMUM)
    ratio = np.clip(rng.normal(0.58, 0.14, n), 0.25, 1.0)
    size_type = np.where(size > limit, bands.LARGEST_SCALE, bands.GAUSSIAN)
    major = np.where(size_type == bands.LARGEST_SCALE, size, size / 2)
    core_fraction = np.minimum(rng.exponential(0.010, n), 0.3)
    return core_fraction, major, major * ratio, rng.uniform(0, 360, n), size_type


def _draw_flat(log_flux: Floats, limit: float, rng: np.random.Generator) -> _Shape:
    n = len(log_flux)
    median, scatter = bands.CORE_SIZE
    fwhm = np.clip(median * np.exp(scatter * rng.standard_normal(n)) / 2, 0.001, limit)
    core_fraction = np.clip(rng.normal(*bands.CORE_FRACTION, n), 0.3, 1.0)
    return core_fraction, fwhm, fwhm.copy(), rng.uniform(0, 360, n), np.full(n, bands.GAUSSIAN)


def spectral_factor(kind: int, frequency: int, n: int, rng: np.random.Generator) -> Floats:
    """Draw the flux at a frequency (MHz) over that at 560 MHz of `n` sources of a class, shape (n,)."""
    (low, low_scatter), (high, high_scatter) = bands.SPECTRAL_INDEX[kind]
    log_factor = np.zeros(n)
    if frequency > 560:
        log_factor += rng.normal(low, low_scatter, n) * np.log(1400 / 560)
    if frequency > 1400:
        log_factor += rng.normal(high, high_scatter, n) * np.log(frequency / 1400)
    return np.exp(log_factor)

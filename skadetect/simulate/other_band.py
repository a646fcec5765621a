"""The same sky in another of SDC1's bands: fluxes by spectral indices, positions in its pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skadetect.simulate import bands
from skadetect.simulate.options import ContinuumOptions, Instrument
from skadetect.simulate.sources import Sources, spectral_factor

_DISC_FWHM = 0.700  # scale length over the FWHM that stands for a disc of less than three pixels


def in_other_band(
    sources: Sources, seen: ContinuumOptions, other: ContinuumOptions, rng: np.random.Generator
) -> Sources:
    """Sources of a field as another band has them, in pixels of a field about the same centre.

    Parameters
    ----------
    sources : Sources
        In pixels of the field that `seen` describes, at 560 MHz.
    seen, other : ContinuumOptions
        Both fields; their offsets are the same.
    rng : numpy.random.Generator
        Draws the spectral indices.
    """
    scales = [Instrument.from_options(options).pixel_scale for options in (seen, other)]

    def place(pixels: np.ndarray) -> np.ndarray:
        offset = pixels - (seen.size - 1) / 2
        return np.asarray(offset * (scales[0] / scales[1]) + (other.size - 1) / 2)

    flux = sources.flux.copy()
    for kind in bands.SPECTRAL_INDEX:
        members = np.flatnonzero(sources.kind == kind)
        flux[members] *= spectral_factor(kind, other.frequency, len(members), rng)
    moved = {name: place(getattr(sources, name)) for name in ("x", "y", "core_x", "core_y")}
    return _sized(replace(sources, flux=flux, **moved), 3.0 * scales[1])


def _sized(sources: Sources, limit: float) -> Sources:
    """Sizes as a map with such pixels lists them: what was too small to be drawn as it is may not be here."""
    factor, kinds = np.ones(len(sources)), sources.size_type.copy()
    mean = np.sqrt(sources.major * sources.minor)
    gaussian = sources.size_type == bands.GAUSSIAN
    disc = gaussian & (sources.kind == bands.STARFORMING) & (mean * _DISC_FWHM > limit)
    lobes = gaussian & (sources.kind == bands.STEEP) & (2.0 * sources.major > limit)
    for rows, scale, kind in ((disc, _DISC_FWHM, bands.EXPONENTIAL), (lobes, 2.0, bands.LARGEST_SCALE)):
        factor[rows], kinds[rows] = scale, kind
    return replace(sources, major=sources.major * factor, minor=sources.minor * factor, size_type=kinds)

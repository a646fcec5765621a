"""Draw telescopes, depths and skies unlike SDC1's, to train for images of any kind."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skadetect.errors import ConfigError
from skadetect.simulate.bands import BANDS, COUNTS
from skadetect.simulate.options import NOISE_SPECTRA, ContinuumOptions
from skadetect.simulate.sources import counts

_REFERENCE_BEAM = BANDS[560].beam  # arcsec, the beam that the measured counts and sizes belong to
# Sources above five times the noise a beam: from what a shallow survey shows to confusion.
CROWDING = (2e-4, 0.06)


def random_telescope(
    seed: int, *, size: int = 1024, crowding: tuple[float, float] = CROWDING
) -> ContinuumOptions:
    """Draw a telescope, a depth, a sky and its artefacts.

    Sizes, separations and fluxes scale with the beam and the noise, so that what varies is what one sees:
    sampling (2.3 to 6 pixels a beam), elongation (to 2:1), crowding (empty to confused), slope of the counts,
    resolved fraction, dynamic range, noise correlation, artefacts and blanks.

    Parameters
    ----------
    seed : int
        The same seed gives the same options; it is also the seed of the field.
    size : int
        Side of the image, pixels.
    crowding : tuple of float
        Least and most sources above five times the noise a beam; evenly drawn in the logarithm.

    Returns
    -------
    ContinuumOptions
        For `simulate_continuum`.

    Raises
    ------
    ConfigError
        The seed is negative, or the crowding is no range.
    """
    if seed < 0:
        raise ConfigError(f"seed = {seed}: expected 0 or more")
    if not 0 < crowding[0] <= crowding[1]:
        raise ConfigError(f"crowding = {crowding}: expected a lower and an upper limit above 0")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    beam, noise = _log_uniform(rng, 1.0, 60.0), _log_uniform(rng, 1e-7, 1e-3)
    telescope = _draw_beam(rng, beam)
    field = size * telescope["pixel_scale"] / 3600
    varied = (
        _draw_primary_beam(rng, field) | _draw_sky(rng, (beam, noise), crowding) | _draw_artefacts(rng, size)
    )
    return ContinuumOptions(size=size, seed=seed, **telescope, **varied)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _chance(rng: np.random.Generator, probability: float) -> bool:
    return bool(rng.uniform() < probability)


def _draw_beam(rng: np.random.Generator, beam: float) -> dict[str, Any]:
    """Draw sampling and elongation; `beam` is the geometric mean of the axes, arcsec."""
    sampling = _log_uniform(rng, 2.3, 6.0)
    elongation = 1.0 if _chance(rng, 0.25) else _log_uniform(rng, 1.0, 2.0)
    # The minor axis keeps two pixels.
    elongation = min(elongation, (sampling / 2.0) ** 2)
    return {
        "pixel_scale": beam / sampling,
        "beam_major": beam * math.sqrt(elongation),
        "beam_minor": beam / math.sqrt(elongation),
        "beam_pa": rng.uniform(-90, 90),
        "noise_spectrum": str(rng.choice(NOISE_SPECTRA)),
        "response_loss": 0.0 if _chance(rng, 0.6) else rng.uniform(0.0, 0.3),
        "zero_spacing": _chance(rng, 0.2),
    }


def _draw_primary_beam(rng: np.random.Generator, field: float) -> dict[str, Any]:
    """Draw a primary beam 0.7 to 3 times as wide as the field (degrees): attenuating, corrected or absent."""
    kind = rng.choice(["attenuated", "absent", "corrected"], p=[0.5, 0.25, 0.25])
    east, north = rng.uniform(-0.3, 0.3, 2) * field
    return {
        "primary_beam": bool(kind != "absent"),
        "primary_beam_corrected": bool(kind == "corrected"),
        "primary_beam_fwhm": field * _log_uniform(rng, 0.7, 3.0),
        "offset_east": float(east),
        "offset_north": float(north),
    }


def _draw_sky(
    rng: np.random.Generator, resolution: tuple[float, float], crowding: tuple[float, float]
) -> dict[str, Any]:
    """Draw which part of the counts meets the noise, and how many detectable sources a beam holds.

    The resolution is that of the beam, arcsec, and the noise, Jy/beam.
    """
    beam, noise = resolution
    # Flux at 560 MHz (Jy) that is as bright as the noise: SDC1's after 1000 h is 3.4e-7.
    noise_flux = _log_uniform(rng, 1e-7, 1e-3)
    slope = rng.uniform(-0.2, 0.35)
    scale = beam / _REFERENCE_BEAM * _log_uniform(rng, 0.4, 2.0)
    beam_area = math.pi / (4 * math.log(2)) * (beam / scale / 3600) ** 2
    density = _log_uniform(rng, *crowding)
    return {
        "noise_rms": noise,
        "clip": noise * _log_uniform(rng, 5.0, 100.0),
        "flux_scale": noise / noise_flux,
        "flux_min": 0.1 * noise_flux,
        "density": density / (beam_area * _detectable(noise_flux, slope)),
        "counts_slope": slope,
        "angular_scale": scale,
        "diffuse_count": 0.0 if _chance(rng, 0.7) else rng.uniform(0.5, 6.0),
        "diffuse_labelled": _chance(rng, 0.5),
    }


def _detectable(noise_flux: float, slope: float) -> float:
    """Sources above five times the noise per square degree."""
    step = 0.01
    log_flux = np.arange(math.log10(5 * noise_flux), 0.0, step)
    return float(step * sum(counts(kind, log_flux, slope=slope).sum() for kind in COUNTS))


def _draw_artefacts(rng: np.random.Generator, size: int) -> dict[str, Any]:
    level = 0.0 if _chance(rng, 0.4) else _log_uniform(rng, 1e-3, 1e-2)
    return {
        "sidelobe_level": level,
        "spoke_level": 0.0 if _chance(rng, 0.6) else _log_uniform(rng, 1e-3, 1e-2),
        "noise_gradient": 0.0 if _chance(rng, 0.4) else rng.uniform(0.0, 0.6),
        "stripe_level": 0.0 if _chance(rng, 0.6) else _log_uniform(rng, 0.05, 0.6),
        "nan_border": 0 if _chance(rng, 0.7) else int(rng.integers(1, max(2, size // 8))),
        "nan_circle": _chance(rng, 0.1),
    }

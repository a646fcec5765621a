"""The galaxies of a volume in HI: masses from a mass function, and what follows from the mass.

Mass function after Jones et al. 2018 (MNRAS 477, 2), which gives the counts of SDC2's truth; sizes by SDC2's
relation (Hartley et al. 2023, MNRAS 523, 1967, section 3); rotation by a Tully-Fisher relation whose
normalisation and scatter give the line widths of SDC2's truth once the discs are drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from astropy import units as u
from astropy.cosmology import FlatLambdaCDM
from numpy.typing import NDArray

from skadetect.simulate.gas import Disc

Floats = NDArray[np.float64]

REST_FREQUENCY = 1.420405752e9  # Hz, as SDC2 has it
LIGHT_KMS = 299792.458
COSMOLOGY = FlatLambdaCDM(H0=67.0, Om0=0.32)
_SHELLS = 400
_MASS_GRID = 2000


@dataclass(frozen=True)
class PopulationOptions:
    """Which galaxies there are.

    Attributes
    ----------
    log_mass, slope, density : float
        Knee (log10 solar masses), exponent and normalisation (Mpc^-3 dex^-1) of the Schechter mass function.
    least_log_mass : float
        Lighter galaxies are left out.
    size_slope, size_constant, size_scatter : float
        log10 of the HI diameter in kpc is slope * log10 mass + constant, with a Gaussian scatter.
    speed, speed_slope, speed_scatter : float
        Rotation at 10^9.5 solar masses (km/s), exponent of the mass, scatter in dex.
    dispersion : tuple of float
        Range of the velocity dispersion, km/s; it stands for all that widens lines of face-on galaxies.
    """

    log_mass: float = 9.94
    slope: float = -1.25
    density: float = 4.5e-3
    least_log_mass: float = 7.0
    size_slope: float = 0.481
    size_constant: float = -2.966
    size_scatter: float = 0.134
    speed: float = 180.0
    speed_slope: float = 0.22
    speed_scatter: float = 0.13
    dispersion: tuple[float, float] = (9.0, 18.0)


@dataclass(frozen=True)
class Galaxies:
    """Columns of n galaxies.

    Attributes
    ----------
    freq : array (n,)
        Observed frequency of the line's centre, Hz.
    flux : array (n,)
        Line flux integral, Jy Hz.
    log_mass : array (n,)
        log10 of the HI mass in solar masses.
    hi_size : array (n,)
        Diameter along the major axis where the surface density is 1 Msun/pc^2, arcsec.
    incl, pa : array (n,)
        Inclination (0 face-on) and position angle of the receding side (north through east), degrees.
    v_flat, dispersion : array (n,)
        Rotation and velocity dispersion in the rest frame, km/s.
    turnover, offset, spread, thickness : array (n,)
        Of the disc, see `skadetect.simulate.gas.Disc`.
    """

    freq: Floats
    flux: Floats
    log_mass: Floats
    hi_size: Floats
    incl: Floats
    pa: Floats
    v_flat: Floats
    dispersion: Floats
    turnover: Floats
    offset: Floats
    spread: Floats
    thickness: Floats

    def __len__(self) -> int:
        return len(self.freq)

    def take(self, index: Any) -> Galaxies:
        """The rows of an index array or a mask."""
        return Galaxies(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def draw_galaxies(
    frequencies: tuple[float, float],
    area: float,
    *,
    flux_limit: float,
    rng: np.random.Generator,
    density: float = 1.0,
    options: PopulationOptions | None = None,
) -> Galaxies:
    """Draw the galaxies of a volume.

    Parameters
    ----------
    frequencies : tuple of float
        Lowest and highest observed frequency, Hz.
    area : float
        Solid angle, square degrees.
    flux_limit : float
        Fainter galaxies are left out, Jy Hz.
    rng : numpy.random.Generator
        Source of randomness.
    density : float
        Factor on the number of galaxies; 1 is natural.
    options : PopulationOptions, optional
        Mass function and relations.

    Returns
    -------
    Galaxies
        In no particular order.
    """
    options = options or PopulationOptions()
    freq, distance, volume = _shells(frequencies, area)
    least = np.log10(49.8 * flux_limit * distance**2)
    counts = density * volume * _number_density(np.maximum(least, options.least_log_mass), options)
    shell = np.repeat(np.arange(_SHELLS), rng.poisson(counts))
    width = abs(frequencies[1] - frequencies[0]) / _SHELLS
    line = freq[shell] + width * rng.uniform(-0.5, 0.5, len(shell))
    limit = np.maximum(least[shell], options.least_log_mass)
    return _galaxies(line, _draw_masses(limit, options, rng), rng, options)


def to_disc(galaxies: Galaxies, row: int, *, pixel: float, channel: float, theta: float) -> Disc:
    """One galaxy as a disc on a grid.

    Parameters
    ----------
    galaxies : Galaxies
        Columns.
    row : int
        Which one.
    pixel : float
        Pixel, arcsec.
    channel : float
        Channel width, Hz.
    theta : float
        Direction of the receding side on the image, radians from +x towards +y.

    Returns
    -------
    Disc
        Symmetric; `Disc.irregular` makes it a real one.
    """
    per_channel = LIGHT_KMS * channel / float(galaxies.freq[row])  # rest-frame km/s, c dnu / nu
    return Disc(
        hi_size=float(galaxies.hi_size[row]) / pixel,
        incl=math.radians(float(galaxies.incl[row])),
        direction=theta,
        v_flat=float(galaxies.v_flat[row]) / per_channel,
        dispersion=float(galaxies.dispersion[row]) / per_channel,
        turnover=float(galaxies.turnover[row]),
        offset=float(galaxies.offset[row]),
        spread=float(galaxies.spread[row]),
        thickness=float(galaxies.thickness[row]),
    )


def line_flux(log_mass: Floats, freq: Floats) -> Floats:
    """Line flux integral in Jy Hz: M / (49.8 D_L^2), D_L in Mpc (Meyer et al. 2017, PASA 34, 52, eq. 48)."""
    distance = COSMOLOGY.luminosity_distance(REST_FREQUENCY / freq - 1.0).to_value(u.Mpc)
    flux: Floats = 10.0**log_mass / (49.8 * distance**2)
    return flux


def _shells(frequencies: tuple[float, float], area: float) -> tuple[Floats, Floats, Floats]:
    """Centre (Hz), luminosity distance (Mpc) and comoving volume (Mpc^3) of shells of equal frequency."""
    edges = np.linspace(min(frequencies), max(frequencies), _SHELLS + 1)
    # nearer than a redshift of 1e-4 peculiar motions rule, and the distance has no meaning
    redshift = np.maximum(REST_FREQUENCY / edges - 1.0, 1e-4)
    volume = np.abs(np.diff(COSMOLOGY.comoving_volume(redshift).to_value(u.Mpc**3)))
    centre = 0.5 * (edges[1:] + edges[:-1])
    middle = np.maximum(REST_FREQUENCY / centre - 1.0, 1e-4)
    distance = COSMOLOGY.luminosity_distance(middle).to_value(u.Mpc)
    whole_sky = 4.0 * math.pi * (180.0 / math.pi) ** 2
    return centre, distance, volume * area / whole_sky


def _mass_function(log_mass: Floats, options: PopulationOptions) -> Floats:
    """Galaxies a Mpc^3 and dex."""
    ratio = 10.0 ** (log_mass - options.log_mass)
    function: Floats = math.log(10.0) * options.density * ratio ** (options.slope + 1.0) * np.exp(-ratio)
    return function


def _cumulative(options: PopulationOptions) -> tuple[Floats, Floats]:
    """A grid of log10 masses, and the galaxies a Mpc^3 heavier than each."""
    grid = np.linspace(options.least_log_mass, options.log_mass + 1.5, _MASS_GRID)
    values = _mass_function(grid, options)
    steps = 0.5 * (values[1:] + values[:-1]) * np.diff(grid)
    return grid, np.append(np.cumsum(steps[::-1])[::-1], 0.0)


def _number_density(least: Floats, options: PopulationOptions) -> Floats:
    """Galaxies a Mpc^3 heavier than 10^least."""
    grid, heavier = _cumulative(options)
    return np.interp(least, grid, heavier, right=0.0)


def _draw_masses(least: Floats, options: PopulationOptions, rng: np.random.Generator) -> Floats:
    """log10 of masses above their own limits."""
    grid, heavier = _cumulative(options)
    rank = np.interp(least, grid, heavier, right=0.0) * rng.random(len(least))
    return np.interp(rank, heavier[::-1], grid[::-1])


def _galaxies(
    freq: Floats, log_mass: Floats, rng: np.random.Generator, options: PopulationOptions
) -> Galaxies:
    """What follows from the masses."""
    n = len(freq)
    redshift = np.maximum(REST_FREQUENCY / freq - 1.0, 1e-4)
    kpc = 10.0 ** (
        options.size_slope * log_mass + options.size_constant + options.size_scatter * rng.standard_normal(n)
    )
    scale = COSMOLOGY.kpc_proper_per_arcmin(redshift).to_value(u.kpc / u.arcsec) if n else np.ones(0)
    scatter = options.speed_scatter * rng.standard_normal(n)
    return Galaxies(
        freq=freq,
        flux=line_flux(log_mass, REST_FREQUENCY / (1.0 + redshift)),
        log_mass=log_mass,
        hi_size=kpc / scale,
        incl=np.degrees(np.arccos(rng.random(n))),
        pa=rng.uniform(0.0, 360.0, n),
        v_flat=options.speed * 10.0 ** (options.speed_slope * (log_mass - 9.5) + scatter),
        dispersion=rng.uniform(*options.dispersion, n),
        turnover=rng.uniform(0.12, 0.35, n),
        offset=rng.uniform(0.15, 0.5, n),
        spread=rng.uniform(0.3, 0.42, n),
        thickness=rng.uniform(0.05, 0.15, n),
    )

"""Geometry, distances and attribute scores of SDC2 sources: the formulas of the official scorer, on arrays.

Functions of pairs take two mappings from SDC2 column names to arrays of equal shape (n,), the submitted rows
and the true ones: ra, dec, pa, i in degrees, hi_size in arcsec, line_flux_integral in Jy Hz, central_freq in
Hz, w20 in km/s. Source: the scoring code of the SKA Science Data Challenges, ska-sdc 2.0.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from skadetect.evaluate.match import separation_arcsec

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Columns = Mapping[str, Floats]

#: The seven scored attributes, in the official order.
ATTRIBUTES = ("position", "central_freq", "flux", "hi_size", "pa", "w20", "i")

REST_FREQUENCY = 1.420405752e9  # Hz, as the challenge rounds it
ARCSEC_PER_RADIAN = 206265.0  # likewise
SPEED_OF_LIGHT = 299792.458  # km/s
_HUBBLE, _MATTER, _LAMBDA = 67.0, 0.32, 0.68  # flat
_FARTHEST = (-0.6, 4.0)  # range of ln(1 + z) that has a distance


def convolved_size(hi_size: Floats, beam: float) -> Floats:
    """Diameters in arcsec, shape (n,), added in quadrature to the beam's FWHM in arcsec."""
    return np.sqrt(hi_size**2 + beam**2)


def line_width(columns: Columns) -> Floats:
    """w20 as a width in observed frequency, Hz, shape (n,)."""
    return columns["w20"] * columns["central_freq"] ** 2 / (SPEED_OF_LIGHT * REST_FREQUENCY)


def angular_distance(frequency: Floats) -> Floats:
    """Angular diameter distance of the 21 cm line at observed frequencies.

    Parameters
    ----------
    frequency : array (n,)
        Hz.

    Returns
    -------
    array (n,)
        Mpc, in the cosmology of the challenge, by interpolation exact to 1e-12. Above the rest frequency
        (galaxies that approach us) the formula goes on steadily and is negative; NaN where the frequency is
        not positive or the redshift is below -0.45 or beyond 53.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        stretch = np.log(REST_FREQUENCY / frequency)
        return _comoving_distance()(stretch) * frequency / REST_FREQUENCY


def plane_points(columns: Columns, centre: tuple[float, float], distance: Floats) -> Floats:
    """Positions (n, 3) in Mpc as the challenge lays them out: distance times the offsets, and the distance.

    Parameters
    ----------
    columns : mapping
        ra and dec.
    centre : (float, float)
        RA and Dec in degrees of the field's centre, from where offsets count.
    distance : array (n,)
        Angular diameter distance in Mpc.
    """
    ra, dec = np.radians(columns["ra"] - centre[0]), np.radians(columns["dec"])
    cos_0, sin_0 = np.cos(np.radians(centre[1])), np.sin(np.radians(centre[1]))
    cos, sin = np.cos(dec), np.sin(dec)
    lon = np.arctan2(cos * np.sin(ra), sin * sin_0 + cos * cos_0 * np.cos(ra))
    lat = np.arcsin(np.clip(sin * cos_0 - cos * sin_0 * np.cos(ra), -1.0, 1.0))
    return np.stack([distance * lon, distance * lat, distance], axis=1)


def search_radius(columns: Columns, size: Floats, distance: Floats) -> Floats:
    """Distance (n,) in Mpc out to which a row looks for truths: the larger of its size and its line's depth.

    Parameters
    ----------
    columns : mapping
        central_freq and w20.
    size : array (n,)
        Convolved size in arcsec.
    distance : array (n,)
        Angular diameter distance in Mpc.
    """
    depth = distance - angular_distance(columns["central_freq"] + line_width(columns))
    return np.fmax(size / ARCSEC_PER_RADIAN * distance, depth)


def pair_distance(sub: Columns, truth: Columns, size: Floats, width: Floats) -> tuple[Floats, Bools]:
    """Distance of pairs in position, frequency, flux, size and width (accepted below 5).

    Parameters
    ----------
    sub, truth : mapping
        All SDC2 columns of the pairs.
    size, width : array (n,)
        Convolved size (arcsec) and line width (Hz) of the true source.

    Returns
    -------
    distance : array (n,)
        NaN where it is not defined, as for a true flux of 0.
    near : array (n,) bool
        Pairs closer on the sky than `size` and in frequency than `width`; others are no candidates.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        position = _separation(sub, truth) / size
        frequency = np.abs(sub["central_freq"] - truth["central_freq"]) / width
        squares = position**2 + frequency**2
        squares += _relative(sub, truth, "line_flux_integral") ** 2
        squares += (np.abs(sub["hi_size"] - truth["hi_size"]) / size) ** 2
        squares += _relative(sub, truth, "w20") ** 2
    return np.sqrt(squares), (position < 1.0) & (frequency < 1.0)


def attribute_scores(sub: Columns, truth: Columns, beam: float) -> Floats:
    """Scores of matched pairs in each attribute, 0 to 1.

    Parameters
    ----------
    sub, truth : mapping
        All SDC2 columns of the pairs, each of shape (n,).
    beam : float
        FWHM of the beam in arcsec.

    Returns
    -------
    array (n, 7)
        One column for each of `ATTRIBUTES`. An undefined score (0/0) is NaN, which counts as 0 in the sum.
    """
    turn = np.radians(sub["pa"]) - np.radians(truth["pa"])
    with np.errstate(divide="ignore", invalid="ignore"):
        position = _separation(sub, truth) / np.sqrt(4.0 * beam**2 + truth["hi_size"] ** 2)
        frequency = np.abs(sub["central_freq"] - truth["central_freq"]) / line_width(truth)
        errors = (
            position / 0.3,
            frequency / 0.3,
            _relative(sub, truth, "line_flux_integral") / 0.1,
            _relative(sub, truth, "hi_size") / 0.3,
            np.abs(np.degrees(np.arctan2(np.sin(turn), np.cos(turn)))) / 10.0,
            _relative(sub, truth, "w20") / 0.3,
            np.abs(sub["i"] - truth["i"]) / 10.0,
        )
        return np.minimum(1.0, 1.0 / np.stack(errors, axis=1))


def _separation(sub: Columns, truth: Columns) -> Floats:
    return separation_arcsec((sub["ra"], sub["dec"]), (truth["ra"], truth["dec"]))


def _relative(sub: Columns, truth: Columns, name: str) -> Floats:
    return np.abs(sub[name] - truth[name]) / truth[name]


@lru_cache(maxsize=1)
def _comoving_distance() -> CubicHermiteSpline:
    """Comoving distance in Mpc over ln(1 + z)."""
    knots = np.linspace(*_FARTHEST, 9201)

    def slope(stretch: Floats) -> Floats:
        growth = np.exp(stretch)
        return SPEED_OF_LIGHT / _HUBBLE * growth / np.sqrt(_MATTER * growth**3 + _LAMBDA)

    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = np.diff(knots)[:, None] / 2.0
    steps = (half * weights * slope(knots[:-1, None] + half * (1.0 + nodes))).sum(axis=1)
    distance = np.concatenate([[0.0], np.cumsum(steps)])
    distance -= np.interp(0.0, knots, distance)
    return CubicHermiteSpline(knots, distance, slope(knots), extrapolate=False)

"""Distances and attribute scores of pairs of SDC1 sources: the formulas of the official scorer, on arrays.

Every function takes two mappings from SDC1 column names to arrays of equal shape (n,), the submitted rows and
the true ones: positions in degrees, flux in Jy, axes in arcsec, pa in degrees. Source: the scoring code of
the SKA Science Data Challenges, ska-sdc 2.0.0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from skadetect.catalog.sdc1_angle import TOLERANCE, fold
from skadetect.evaluate import match

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]

#: The seven scored attributes, in the official order.
ATTRIBUTES = ("position", "flux", "b_maj", "b_min", "pa", "core_frac", "class")

_LAS_TO_GAUSS = 2.355 / 5.0  # the largest angular size counts as five sigma
_EXPO_TO_GAUSS = np.sqrt(2.0)
# Indexed by size type 0..4: a factor to a Gaussian FWHM, undefined outside 1..3.
_TO_GAUSS = np.array([np.nan, _LAS_TO_GAUSS, 1.0, _EXPO_TO_GAUSS, np.nan])
_MEAN_CORE_FRACTION = 0.75


def convolved_size(columns: Columns, beam: float) -> Floats:
    """Larger axis as a Gaussian FWHM, added in quadrature to the beam.

    Parameters
    ----------
    columns : mapping
        b_maj and b_min in arcsec, size (type), each of shape (n,).
    beam : float
        The scorer's beam in arcsec.

    Returns
    -------
    array (n,)
        Size in arcsec. An unknown size type counts as a Gaussian here, as it does officially.
    """
    factor = np.nan_to_num(_size_factor(columns["size"]), nan=1.0)
    return np.hypot(np.maximum(columns["b_maj"], columns["b_min"]) * factor, beam)


def pair_distance(sub: Columns, truth: Columns, truth_size: Floats, separation: Floats) -> Floats:
    """Distance of pairs in position, flux and size, in units of three typical errors (accepted below 5).

    Parameters
    ----------
    sub, truth : mapping
        flux, b_maj, b_min and size of the pairs, each of shape (n,).
    truth_size : array (n,)
        Convolved size of the true source in arcsec.
    separation : array (n,)
        Great-circle separation in arcsec.

    Returns
    -------
    array (n,)
        NaN where a size type is unknown.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        position = separation / truth_size
        flux = np.abs(sub["flux"] - truth["flux"]) / truth["flux"]
        size = np.abs(_mean_size(truth) - _mean_size(sub)) / truth_size
    return np.sqrt((position / 0.93) ** 2 + (flux / 0.36) ** 2 + (size / 4.38) ** 2)


def attribute_scores(sub: Columns, truth: Columns, beam: float) -> Floats:
    """Scores of matched pairs in each attribute, 0 to 1.

    Parameters
    ----------
    sub, truth : mapping
        All SDC1 columns of the pairs, each of shape (n,).
    beam : float
        The scorer's beam in arcsec.

    Returns
    -------
    array (n, 7)
        One column for each of `ATTRIBUTES`. An undefined score (0/0) is NaN, which counts as 0 in the sum.
    """
    stands_for_las = truth["size"] == 1  # the minor axis and the angle of such a source are not defined
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.stack(
            [
                _score(_position_error(sub, truth, beam), 0.3),
                _score(np.abs(sub["flux"] - truth["flux"]) / truth["flux"], 0.1),
                _score(_size_error(sub, truth, "b_maj"), 0.3),
                np.where(stands_for_las, 1.0, _score(_size_error(sub, truth, "b_min"), 0.3)),
                np.where(stands_for_las, 1.0, _score(np.abs(fold(sub["pa"]) - fold(truth["pa"])), TOLERANCE)),
                _score(np.abs(sub["core_frac"] - truth["core_frac"]) / _MEAN_CORE_FRACTION, 0.05),
                (sub["class"] == truth["class"]).astype(np.float64),
            ],
            axis=1,
        )
    return scores


def separation_arcsec(sub: Columns, truth: Columns, position: str) -> Floats:
    """Great-circle separation of pairs in arcsec, shape (n,), of "core" or "cent" positions."""
    ra, dec = f"ra_{position}", f"dec_{position}"
    return match.separation_arcsec((sub[ra], sub[dec]), (truth[ra], truth[dec]))


def _score(error: Floats, threshold: float) -> Floats:
    return np.minimum(1.0, threshold / error)


def _size_factor(size_type: Floats) -> Floats:
    return _TO_GAUSS[np.clip(size_type.astype(np.int64), 0, 4)]


def _mean_size(columns: Columns) -> Floats:
    return _size_factor(columns["size"]) * (columns["b_maj"] + columns["b_min"]) / 2.0


def _position_error(sub: Columns, truth: Columns, beam: float) -> Floats:
    """Smaller separation of core and centroid, over twice the beam and the source's size in quadrature."""
    separation = np.fmin(separation_arcsec(sub, truth, "core"), separation_arcsec(sub, truth, "cent"))
    return separation / np.hypot(2.0 * beam, (truth["b_maj"] + truth["b_min"]) / 2.0)


def _size_error(sub: Columns, truth: Columns, axis: str) -> Floats:
    """Relative error of a size converted to the truth's size type (unknown types stay as they are)."""
    factor = np.nan_to_num(_size_factor(sub["size"]) / _size_factor(truth["size"]), nan=1.0)
    return np.abs(sub[axis] * factor - truth[axis]) / truth[axis]

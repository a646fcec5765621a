"""The probability that a row of an image is real: false ones are pieces of sources, or noise.

Pieces of sources are as many as there are sources; peaks of noise are as many in an empty field as in a
crowded one. So the same faint row is a source in a crowded field, more likely than not, and noise in an empty
one. A piece has the rest of its source beside it, and its pixels do not sum up to the flux that the network
sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from scipy.special import logit

from skadetect.catalog.probability import Calibration, both_kinds

Floats = NDArray[np.float64]

#: What the logarithm of the odds that a row is a piece, or noise, is linear in.
PIECES = ("score", "snr", "peak", "area", "agree", "alone", "constant")
NOISE = ("score", "peak", "density", "constant")
#: The columns that the terms are made of.
COLUMNS = ("score", "snr", "area", "density", "sums", "distance")
# Signal to noise of a peak beyond which noise is no longer what it is mistaken for; solid angle over the
# beam's beyond which a source is extended, however much.
_NO_NOISE, _EXTENDED = 8.0, 10.0
# Signal to noise from which on sums of pixels tell something, and tell all they can; difference of logarithms
# at which half of that is left.
_SUMMED, _AGREED = (5.0, 15.0), 0.15
# Distances of neighbours, over the expected one, between which they matter.
_NEAREST, _FARTHEST = 0.1, 3.0
# Signal to noise and score of bright sources; beams that one more of them is taken to be in.
_BRIGHT, _SURE, _UNSEEN = 7.0, 0.3, 500.0
# A tree of distances between many rows, built in half the time: they come ordered by tiles.
_QUICK = {"balanced_tree": False, "compact_nodes": False}
# Strength of a normal prior on the slopes of terms scaled to unit spread.
_RIDGE = 1.0


@dataclass(frozen=True)
class ImageReliability(Calibration):
    """The probability of sources in an image.

    Attributes
    ----------
    pieces, noise : mapping of str to float
        Slopes of the logarithm of the odds, beside a real source, by the names of `PIECES` and `NOISE`.
    """

    pieces: Mapping[str, float]
    noise: Mapping[str, float]

    def probability(self, columns: Mapping[str, ArrayLike]) -> Floats:
        """Probability of each row, 1 / (1 + odds of a piece + odds of noise).

        Parameters
        ----------
        columns : mapping of str to array (n,)
            See `terms`.

        Returns
        -------
        array (n,)
            0 where a column is not known.
        """
        known = terms(columns)
        with np.errstate(over="ignore"):
            odds = np.exp(_sum(known, self.pieces)) + np.exp(_sum(known, self.noise))
        return np.nan_to_num(1.0 / (1.0 + odds), nan=0.0)


def terms(columns: Mapping[str, ArrayLike]) -> dict[str, Floats]:
    """What odds are linear in.

    The logit of the score; the logarithm of the peak's signal to noise from 1 to 8; half its square, by which
    the logarithm of the number of noise peaks falls (Rice 1944); the logarithm of the solid angle from 1 to
    10 beams; the logarithm of the field's density of bright sources; how well both fluxes of a source agree,
    from 0 to 1 if it is bright, and 0 of a faint one or one without a sum; the logarithm of its nearest
    neighbour's distance over the expected one from 0.1 to 3; and 1.

    Parameters
    ----------
    columns : mapping of str to array (n,)
        score; snr, of the peak; area, as seen through the beam, over the beam's; density, see
        `bright_density`; sums, of a source's pixels, over the network's flux; distance, see `isolation`.

    Returns
    -------
    dict of str to array (n,)
    """
    known = dict(
        zip(COLUMNS, np.broadcast_arrays(*(np.asarray(columns[n], np.float64) for n in COLUMNS)), strict=True)
    )
    peak = np.clip(known["snr"], 1.0, _NO_NOISE)
    return {
        "score": logit(np.clip(known["score"], 1e-6, 1.0 - 1e-6)),
        "snr": np.log(peak),
        "peak": 0.5 * peak**2,
        "area": np.log(np.clip(known["area"], 1.0, _EXTENDED)),
        "density": np.log(known["density"]),
        "agree": _agreement(known["sums"], known["snr"]),
        "alone": np.log(np.clip(known["distance"], _NEAREST, _FARTHEST)),
        "constant": np.ones(len(peak)),
    }


def bright_density(snr: ArrayLike, score: ArrayLike, beams: float) -> float:
    """Sources a beam that are bright enough to be real in any field.

    Parameters
    ----------
    snr, score : array (n,)
        Of the rows of a field: peak over noise, and the network's score.
    beams : float
        Solid angle of the field.

    Returns
    -------
    float
        At least one source is taken to be in 500 beams more: of a small field little is known.
    """
    bright = (np.asarray(snr) >= _BRIGHT) & (np.asarray(score) >= _SURE)
    return float((np.count_nonzero(bright) + 1.0) / (beams + _UNSEEN))


def isolation(position: ArrayLike, counted: ArrayLike, area: float) -> Floats:
    """Distance of each row's nearest neighbour over that of as many rows at random.

    Half the square root of the area of one is expected of those (Clark and Evans 1954, eq. 2).

    Parameters
    ----------
    position : array (n, 2)
        Pixels.
    counted : array (n,), bool
        Which rows are neighbours.
    area : float
        Of the field, in pixels.

    Returns
    -------
    array (n,)
        Infinite without any neighbour.
    """
    position, counted = np.asarray(position, np.float64), np.asarray(counted, bool)
    number = int(np.count_nonzero(counted))
    if not number:
        return np.full(len(position), np.inf)
    distance, _ = cKDTree(position[counted], **_QUICK).query(position, k=2, workers=numba.get_num_threads())
    nearest = np.where(counted, distance[:, 1], distance[:, 0])  # the first one of a row is the row itself
    return np.asarray(nearest / (0.5 * np.sqrt(area / number)), np.float64)


def fit_image_reliability(
    columns: Mapping[str, ArrayLike], real: ArrayLike, *, weight: ArrayLike, least_score: float
) -> ImageReliability:
    """The calibration of highest likelihood.

    Parameters
    ----------
    columns : mapping of str to array (n,)
        See `terms`; of rows found in simulated fields, from crowded to empty.
    real : array (n,), bool
        Whether each one is a source.
    weight : array (n,)
        How many rows each stands for.
    least_score : float
        Lowest score that was asked for.

    Raises
    ------
    ValueError
        If the rows are all real or all false.
    """
    real, weight = both_kinds(real, weight)
    known = terms(columns)
    names = (*PIECES, *NOISE)
    design = np.stack([known[name] for name in names], axis=1)
    scale = np.array([1.0 if name == "constant" else max(float(known[name].std()), 1e-9) for name in names])
    ridge = np.array([0.0 if name == "constant" else _RIDGE for name in names])
    start = np.array([-1.0 if name == "constant" else 0.0 for name in names])

    def loss(values: Floats) -> tuple[float, Floats]:
        cost, slope = _likelihood(design / scale, values, real, weight)
        return cost + 0.5 * float(ridge @ values**2), slope + ridge * values

    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000}).x / scale
    n = len(PIECES)
    slopes = (dict(zip(PIECES, best[:n].tolist())), dict(zip(NOISE, best[n:].tolist())))
    return ImageReliability(least_score, *slopes)


def _likelihood(
    design: Floats, values: Floats, real: NDArray[np.bool_], weight: Floats
) -> tuple[float, Floats]:
    """Minus the logarithm of the likelihood, and its slope."""
    n = len(PIECES)
    pieces, noise = design[:, :n] @ values[:n], design[:, n:] @ values[n:]
    false = np.logaddexp(pieces, noise)
    every = np.logaddexp(false, 0.0)
    cost = float(weight @ (every - np.where(real, 0.0, false)))
    slopes = []
    for odds, part in ((pieces, design[:, :n]), (noise, design[:, n:])):
        share = np.exp(odds - every) - np.where(real, 0.0, np.exp(odds - false))
        slopes.append(part.T @ (weight * share))
    return cost, np.concatenate(slopes)


def _agreement(sums: Floats, snr: Floats) -> Floats:
    """From 1 if pixels sum up to what the network sees to 0, as far as the signal to noise lets them tell."""
    summed = np.isfinite(sums) & (sums > 0)
    ratio = np.log(sums, out=np.zeros(len(sums)), where=summed) / _AGREED
    tells = np.interp(np.log(np.maximum(snr, 1.0)), np.log(_SUMMED), (0.0, 1.0))
    return np.where(summed, tells / (1.0 + ratio**2), 0.0)


def _sum(known: Mapping[str, Floats], slopes: Mapping[str, float]) -> Floats:
    return np.sum([slope * known[name] for name, slope in slopes.items()], axis=0)

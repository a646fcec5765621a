"""The probability that a galaxy is real: a logistic function of the network's score and of what it measured.

A score is learned on patches full of galaxies, one cell at a time. A cube of natural density has a hundred
thousand cells for each galaxy, and how loud a row is as a whole says more than its score does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

Floats = NDArray[np.float64]

#: What the logarithm of the odds is linear in, beside a constant: see `evidence`.
TERMS = ("score", "snr", "loud", "peak", "w20", "beyond", "averaged", "cut", "beside")
#: The columns that they are made of.
EVIDENCE = ("score", "snr", "f_max", "rms", "w20", "beyond", "averaged", "cut", "beside")
_FAINTEST, _LOUD, _WIDTH = 0.1, 12.0, 100.0
#: Strength of a normal prior on the slopes: enough to keep the fit of a few rows finite.
_RIDGE = 1e-2


@dataclass(frozen=True)
class Stored:
    """What a model file holds, in the entry `key` of its metadata."""

    key: ClassVar[str] = "reliability"

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Self | None:
        """The calibration in a model's metadata, or None if it has none."""
        found = metadata.get(cls.key)
        return None if found is None else cls(**found)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a model's metadata."""
        return asdict(self)


@dataclass(frozen=True)
class Calibration(Stored):
    """How probable rows are.

    Attributes
    ----------
    least_score : float
        Rows with a lower score were not there when it was fitted.
    """

    least_score: float


@dataclass(frozen=True)
class Reliability(Calibration):
    """The probability of galaxies in a cube.

    Attributes
    ----------
    constant : float
        Of the logarithm of the odds.
    slopes : mapping of str to float
        By the names of `TERMS`; 0 for those that are not there.
    """

    constant: float
    slopes: Mapping[str, float]

    def probability(self, columns: Mapping[str, ArrayLike]) -> Floats:
        """Probability of each row.

        Parameters
        ----------
        columns : mapping of str to array (n,)
            score; snr; f_max and rms, in one unit; w20, km/s; beyond, octaves (`skadetect.pyramid`);
            averaged, 1 for what was found on averaged pixels and else 0; cut, 0 to 1
            (`skadetect.detections.Detections`); beside, 1 where the box meets that of a brighter row, else 0.

        Returns
        -------
        array (n,)
            0 where a column is not known.
        """
        odds = self.constant + evidence(columns) @ np.array([self.slopes.get(name, 0.0) for name in TERMS])
        return np.nan_to_num(expit(odds), nan=0.0)


def evidence(columns: Mapping[str, ArrayLike]) -> Floats:
    """What a probability is a function of, shape (n, 9), in the order of `TERMS`.

    The logit of the score; the logarithm of the signal to noise of the whole line up to 12, and what it has
    beyond: above, no noise is mistaken for a galaxy, but pieces of large galaxies are; the logarithms of the
    signal to noise of the highest voxel, at least 1, and of w20 / (100 km/s); how far the box is from the
    sizes that its level measures well, and whether that is one of averaged pixels; how much of the box is
    blank: what is seen there is often a galaxy whose centre lies beyond the edge; and whether the box meets
    that of a brighter row: it is a companion then, or a piece of the brighter galaxy.

    Parameters
    ----------
    columns : mapping of str to array (n,)
        As for `Reliability.probability`.
    """
    known = {name: np.asarray(columns[name], np.float64) for name in EVIDENCE}
    peak = np.maximum(known["f_max"] / known["rms"], 1.0)
    snr = np.log(np.maximum(known["snr"], _FAINTEST) / _LOUD)
    return np.stack(
        [
            logit(np.clip(known["score"], 1e-6, 1.0 - 1e-6)),
            np.minimum(snr, 0.0),
            np.maximum(snr, 0.0),
            np.log(peak),
            np.log(np.maximum(known["w20"], 1.0) / _WIDTH),
            known["beyond"],
            known["averaged"],
            known["cut"],
            known["beside"],
        ],
        axis=1,
    )


def fit_reliability(
    columns: Mapping[str, ArrayLike],
    real: ArrayLike,
    *,
    weight: ArrayLike,
    least_score: float,
    given: Reliability | None = None,
    free: Collection[str] = TERMS,
) -> Reliability:
    """The calibration of highest likelihood.

    Parameters
    ----------
    columns : mapping of str to array (n,)
        As for `Reliability.probability`, of rows found on simulated cubes.
    real : array (n,), bool
        Whether each one is a galaxy.
    weight : array (n,)
        How many rows each stands for: below 1 for galaxies of a cube that has more than nature.
    least_score : float
        Lowest score that was asked for.
    given : Reliability, optional
        Its constant, and its slopes of the terms that are not free, are kept.
    free : collection of str
        Terms that are fitted; without `given` the others have no slope.

    Raises
    ------
    ValueError
        If the rows are all real or all false.
    """
    real, weight = both_kinds(real, weight)
    known, start = evidence(columns), given or Reliability(least_score, 0.0, {})
    slopes = np.array([start.slopes.get(name, 0.0) for name in TERMS])
    fitted = np.array([name in free for name in TERMS])
    kept, n = start.constant + known[:, ~fitted] @ slopes[~fitted], int(fitted.sum())
    constant = np.ones(len(real)) if given is None else np.zeros(len(real))  # one that is given stays
    design = np.column_stack([known[:, fitted], constant])

    best = logistic_slopes(design, real, weight, ridge=np.append(np.full(n, _RIDGE), 0.0), offset=kept)
    slopes[fitted] = best[:n]
    named = dict(zip(TERMS, slopes.tolist(), strict=True))
    return Reliability(least_score, start.constant + float(best[n]), named)


def both_kinds(real: ArrayLike, weight: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    """Which rows are real (n,), and how many each stands for (n,), as arrays.

    Raises
    ------
    ValueError
        If the rows are all real or all false: nothing can be fitted then.
    """
    marks = np.asarray(real, bool)
    if marks.all() or not marks.any():
        raise ValueError("a probability is fitted on rows of both kinds, real and false")
    return marks, np.asarray(weight, np.float64)


def logistic_slopes(
    design: Floats, real: NDArray[np.bool_], weight: Floats, *, ridge: Floats, offset: Floats | float = 0.0
) -> Floats:
    """Slopes of highest likelihood of a logistic function, under a normal prior.

    Parameters
    ----------
    design : array (n, k)
        What the logarithm of the odds is linear in.
    real : array (n,), bool
    weight : array (n,)
        How many rows each stands for.
    ridge : array (k,)
        Strength of the prior on each slope.
    offset : array (n,) or float
        What the logarithm of the odds has beside that.

    Returns
    -------
    array (k,)
    """

    def loss(values: Floats) -> tuple[float, Floats]:
        odds = offset + design @ values
        cost = weight @ (np.logaddexp(0.0, odds) - real * odds) + 0.5 * ridge @ values**2
        return float(cost), design.T @ (weight * (expit(odds) - real)) + ridge * values

    start = np.zeros(design.shape[1])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000}).x
    return np.asarray(best, np.float64)

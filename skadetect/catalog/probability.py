"""The probability that a row is real: a logistic function of the network's score and of what it measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from skadetect.catalog.evidence import KINDS, Evidence

Floats = NDArray[np.float64]

#: Name of what the odds have without any evidence.
CONSTANT = "constant"
#: Strength of a normal prior on the slopes: enough to keep the fit of a few rows finite.
_RIDGE = 1e-2


@dataclass(frozen=True)
class Reliability:
    """A calibration, as a model file holds it.

    Attributes
    ----------
    least_score : float
        Rows with a lower score were not there when it was fitted.
    constant : float
        Of the logarithm of the odds.
    slopes : mapping of str to float
        By the names of the evidence's terms; 0 for those that are not there.
    kind : {"cube", "image"}
        Which evidence it is, see `skadetect.catalog.evidence`.
    """

    least_score: float
    constant: float
    slopes: Mapping[str, float]
    kind: str = "cube"

    @property
    def evidence(self) -> Evidence:
        """What the odds are made of."""
        return KINDS[self.kind]

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Reliability | None:
        """The calibration in a model's metadata, or None if it has none."""
        found = metadata.get("reliability")
        return None if found is None else cls(**found)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a model's metadata."""
        return asdict(self)

    def probability(self, columns: Mapping[str, ArrayLike]) -> Floats:
        """Probability of each row.

        Parameters
        ----------
        columns : mapping of str to array (n,)
            Those of the evidence.

        Returns
        -------
        array (n,)
            0 where a column is not known.
        """
        slopes = np.array([self.slopes.get(name, 0.0) for name in self.evidence.terms])
        odds = self.constant + self.evidence.of(columns) @ slopes
        return np.nan_to_num(expit(odds), nan=0.0)


def fit_reliability(
    columns: Mapping[str, ArrayLike],
    real: ArrayLike,
    *,
    weight: ArrayLike,
    start: Reliability,
    free: Collection[str] | None = None,
) -> Reliability:
    """The calibration of highest likelihood.

    Parameters
    ----------
    columns : mapping of str to array (n,)
        Those of the evidence, of rows found in simulations.
    real : array (n,), bool
        Whether each one is a source.
    weight : array (n,)
        How many rows each stands for: below 1 for galaxies of a cube that has more than nature.
    start : Reliability
        Which evidence; the values of what is not fitted.
    free : collection of str, optional
        Terms that are fitted, and `CONSTANT`; without it everything is.

    Raises
    ------
    ValueError
        If the rows are all real or all false.
    """
    real, weight = np.asarray(real, bool), np.asarray(weight, np.float64)
    if real.all() or not real.any():
        raise ValueError("a probability is fitted on rows of both kinds, real and false")
    names = (*start.evidence.terms, CONSTANT)
    fitted = np.array([free is None or name in free for name in names])
    ridge = _RIDGE * np.array([name != CONSTANT for name in names])[fitted]
    values = np.array([*(start.slopes.get(name, 0.0) for name in start.evidence.terms), start.constant])
    design = np.column_stack([start.evidence.of(columns), np.ones(len(real))])
    kept, design = design[:, ~fitted] @ values[~fitted], design[:, fitted]

    def loss(tried: Floats) -> tuple[float, Floats]:
        odds = kept + design @ tried
        cost = weight @ (np.logaddexp(0.0, odds) - real * odds) + 0.5 * ridge @ tried**2
        return float(cost), design.T @ (weight * (expit(odds) - real)) + ridge * tried

    best = minimize(loss, np.zeros(int(fitted.sum())), jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    values[fitted] = best.x
    slopes = dict(zip(start.evidence.terms, values[:-1].tolist(), strict=True))
    return replace(start, constant=float(values[-1]), slopes=slopes)

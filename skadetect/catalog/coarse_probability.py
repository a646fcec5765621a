"""The probability that a row of a smoothed image is real, once smaller sources have been taken out of it.

What is left of a bright source that is not quite a Gaussian looks like a source there, and so does the
inner part of one that is larger still; both are told by what was found before in the same place, and by
their size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from skadetect.catalog.probability import Stored, both_kinds, logistic_slopes

Floats = NDArray[np.float64]

#: What the logarithm of the odds is linear in: see `terms`.
TERMS = (
    *("alone", "snr", "major", "minor", "large", "loud"),
    *("agree", "inside", "beside", "edge", "constant"),
)
#: The columns that they are made of.
COLUMNS = ("alone", "snr", "major", "minor", "sums", "inside", "beside", "edge")
# Ranges of probability, of signal to noise, and of axes in beams, within which they tell something.
_PROB, _SNR, _AXIS = (0.02, 0.98), (3.0, 30.0), (0.1, 3.0)
# Difference of logarithms at which half of the agreement of two fluxes is left; flux of others over the row's
# beyond which it is no matter how much more it is.
_AGREED, _MUCH = 0.3, 300.0
# Strength of a normal prior on the slopes of terms scaled to unit spread.
_RIDGE = 1.0


@dataclass(frozen=True)
class CoarseReliability(Stored):
    """The probability of sources in smoothed views of an image.

    Attributes
    ----------
    slopes : mapping of str to float
        Of the logarithm of the odds of being real, by the names of `TERMS`.
    """

    key: ClassVar[str] = "coarse_reliability"
    slopes: Mapping[str, float]

    def probability(self, columns: Mapping[str, ArrayLike]) -> Floats:
        """Probability of each row.

        Parameters
        ----------
        columns : mapping of str to array (n,)
            alone, the probability of such a row in an image of its own; snr, of the peak; major and minor,
            the intrinsic axes over the view's beam; sums, of a source's pixels over its flux; inside, the
            flux of what was found before within its ellipse, and beside, the highest one within eight beams,
            both over its own; edge, 1 at blank pixels and else 0.

        Returns
        -------
        array (n,)
            0 where a column is not known.
        """
        known = terms(columns)
        odds = np.sum([self.slopes[name] * known[name] for name in TERMS], axis=0)
        return np.nan_to_num(expit(odds), nan=0.0)


def terms(columns: Mapping[str, ArrayLike]) -> dict[str, Floats]:
    """What the logarithm of the odds is linear in.

    The logit of `alone` from 0.02 to 0.98; the logarithms of the signal to noise from 3 to 30, and of both
    axes from 0.1 to 3 beams; the first two times that of the major axis ("large", "loud"); how well both
    fluxes agree, from 0 to 1; the logarithms of 1 + `inside` and 1 + `beside` up to 300; `edge`; and 1.

    Parameters
    ----------
    columns : mapping of str to array (n,)
        As for `CoarseReliability.probability`.
    """
    known = {name: np.asarray(columns[name], np.float64) for name in COLUMNS}
    sums = np.where(known["sums"] > 0, known["sums"], np.inf)
    alone, snr = logit(np.clip(known["alone"], *_PROB)), np.log(np.clip(known["snr"], *_SNR))
    major = np.log(np.clip(known["major"], *_AXIS))
    return {
        "alone": alone,
        "snr": snr,
        "major": major,
        "minor": np.log(np.clip(known["minor"], *_AXIS)),
        "large": alone * major,
        "loud": snr * major,
        "agree": 1.0 / (1.0 + (np.log(sums) / _AGREED) ** 2),
        "inside": np.log1p(np.clip(known["inside"], 0.0, _MUCH)),
        "beside": np.log1p(np.clip(known["beside"], 0.0, _MUCH)),
        "edge": known["edge"],
        "constant": np.ones(len(sums)),
    }


def fit_coarse_reliability(
    columns: Mapping[str, ArrayLike], real: ArrayLike, *, weight: ArrayLike
) -> CoarseReliability:
    """The calibration of highest likelihood.

    Parameters
    ----------
    columns : mapping of str to array (n,)
        As for `CoarseReliability.probability`, of rows found in simulated fields.
    real : array (n,), bool
        Whether each one is a source.
    weight : array (n,)
        How many rows each stands for.

    Raises
    ------
    ValueError
        If the rows are all real or all false.
    """
    real, weight = both_kinds(real, weight)
    known = terms(columns)
    scale = np.array([max(float(known[name].std()), 1e-9) for name in TERMS[:-1]] + [1.0])
    design = np.stack([known[name] for name in TERMS], axis=1) / scale
    ridge = np.array([_RIDGE] * (len(TERMS) - 1) + [0.0])
    slopes = logistic_slopes(design, real, weight, ridge=ridge) / scale
    return CoarseReliability(dict(zip(TERMS, slopes.tolist(), strict=True)))

"""Where to cut a catalogue: SDC1 score and purity at every confidence threshold from one match."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from skadetect._numba import JIT
from skadetect.errors import InputError
from skadetect.evaluate.sdc1 import ACCEPTED_DISTANCE, Sdc1Match

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreCurve:
    """SDC1 results when only the rows of at least each threshold are submitted.

    Attributes
    ----------
    threshold : array (n,)
        The distinct confidences, falling.
    score, n_det, n_match, mean_attribute : arrays (n,)
        As in `Sdc1Score`.
    """

    threshold: Floats
    score: Floats
    n_det: Floats
    n_match: Floats
    mean_attribute: Floats

    @property
    def purity(self) -> Floats:
        """Share of matches among the detections, shape (n,)."""
        return self.n_match / self.n_det

    def best(self, *, purity: float = 0.0) -> int:
        """Index of the highest score among the thresholds that reach a purity.

        Raises
        ------
        InputError
            No threshold reaches it.
        """
        allowed = self.purity >= purity
        if not allowed.any():
            reached = self.purity.max(initial=0.0)
            raise InputError(f"no threshold reaches a purity of {purity:g}; the highest is {reached:.3f}")
        return int(np.flatnonzero(allowed)[np.argmax(self.score[allowed])])


def score_curve(match: Sdc1Match, confidence: Floats) -> ScoreCurve:
    """Score a submission at every threshold of a confidence.

    Parameters
    ----------
    match : Sdc1Match
        From `match_sdc1`.
    confidence : array (n_submitted,)
        One value for each row of the submission as it was given; higher is better.

    Returns
    -------
    ScoreCurve
        Exact: a row that loses its truth to a nearer one of lower confidence keeps it at a high threshold.
    """
    values = np.asarray(confidence, dtype=np.float64)[match.row]
    order = np.argsort(-values, kind="stable")
    worth = np.nansum(match.scores, axis=1) / match.scores.shape[1]
    gain, matched = _gains(match.truth[order], match.distance[order], worth[order], match.n_truth)
    last = np.flatnonzero(np.r_[np.diff(values[order]) != 0.0, True]) if len(order) else order
    n_det = (last + 1).astype(np.float64)
    n_match, total = np.cumsum(matched)[last].astype(np.float64), np.cumsum(gain)[last]
    score = np.where(n_match > 0, total - (n_det - n_match), 0.0)
    return ScoreCurve(values[order][last], score, n_det, n_match, total / np.maximum(n_match, 1.0))


def score_gain(match: Sdc1Match, confidence: Floats, edges: Floats) -> Floats:
    """What the rows of each confidence bin add to the score: their match scores minus their false detections.

    Parameters
    ----------
    match : Sdc1Match
        From `match_sdc1`.
    confidence : array (n_submitted,)
        As in `score_curve`.
    edges : array (b + 1,)
        Bin edges, rising; the last edge belongs to the last bin.

    Returns
    -------
    array (b,)
        Negative where a bin is better left out.
    """
    accepted = match.accepted
    worth = np.where(accepted, np.nansum(match.scores, axis=1) / match.scores.shape[1], -1.0)
    return np.histogram(np.asarray(confidence, dtype=np.float64)[match.row], edges, weights=worth)[0]


@njit(**JIT)  # type: ignore[untyped-decorator]
def _gains(
    truth: NDArray[np.int64], distance: Floats, worth: Floats, n_truth: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Change of the summed match score, and of the count of matches, as rows join one by one."""
    gain, matched = np.zeros(len(truth)), np.zeros(len(truth), np.int64)
    nearest, held = np.full(n_truth, np.inf), np.zeros(n_truth)
    counted = np.zeros(n_truth, np.int64)
    for row in range(len(truth)):
        target = truth[row]
        if target < 0 or not distance[row] < nearest[target]:
            continue
        accepted = 1 if distance[row] < ACCEPTED_DISTANCE else 0
        value = worth[row] if accepted else 0.0
        gain[row], matched[row] = value - held[target], accepted - counted[target]
        nearest[target], held[target], counted[target] = distance[row], value, accepted
    return gain, matched

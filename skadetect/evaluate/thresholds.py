"""Where to cut a catalogue: official score and purity at every confidence threshold from one match."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from skadetect._numba import JIT
from skadetect.errors import InputError
from skadetect.evaluate.sdc1 import ACCEPTED_DISTANCE, Sdc1Match
from skadetect.evaluate.sdc2 import Sdc2Match

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ScoreCurve:
    """Results when only the rows of at least each threshold are submitted.

    Attributes
    ----------
    threshold : array (n,)
        The distinct confidences, falling.
    score, n_det, n_match, mean_attribute : arrays (n,)
        As in `Sdc1Score` and `Sdc2Score`.
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


def score_curve(match: Sdc1Match | Sdc2Match, confidence: Floats) -> ScoreCurve:
    """Score a submission at every threshold of a confidence.

    Parameters
    ----------
    match : Sdc1Match or Sdc2Match
        From `match_sdc1` or `match_sdc2`.
    confidence : array (n_submitted,)
        One value for each row of the submission as it was given; higher is better.

    Returns
    -------
    ScoreCurve
        Exact: in SDC1 a row that loses its truth to a nearer one of lower confidence keeps it at a high
        threshold, in SDC2 a truth's worth is divided among the rows that pass the threshold.
    """
    values = np.asarray(confidence, dtype=np.float64)[match.row]
    order = np.argsort(-values, kind="stable")
    gains = _gains_sdc2(match, order) if isinstance(match, Sdc2Match) else _gains_sdc1(match, order)
    last = np.flatnonzero(np.r_[np.diff(values[order]) != 0.0, True]) if len(order) else order
    n_det = (last + 1).astype(np.float64)
    total, n_match, worth = (np.cumsum(part)[last].astype(np.float64) for part in gains)
    score = total - (n_det - n_match)
    if isinstance(match, Sdc1Match):
        score[n_match == 0] = 0.0
    return ScoreCurve(values[order][last], score, n_det, n_match, worth / np.maximum(n_match, 1.0))


def row_gains(match: Sdc1Match | Sdc2Match, confidence: Floats) -> tuple[Floats, Floats]:
    """What each row changes of the score, and of the count of matches, as rows join by falling confidence.

    Parameters
    ----------
    match : Sdc1Match or Sdc2Match
        From `match_sdc1` or `match_sdc2`.
    confidence : array (n_submitted,)
        As in `score_curve`.

    Returns
    -------
    gain, matched : arrays (n,)
        In the order of `match.row`; their sums are the score and the count of the whole submission.
    """
    order = np.argsort(-np.asarray(confidence, dtype=np.float64)[match.row], kind="stable")
    gains = _gains_sdc2(match, order) if isinstance(match, Sdc2Match) else _gains_sdc1(match, order)
    gain, matched = np.empty(len(order)), np.empty(len(order))
    matched[order] = gains[1]
    gain[order] = gains[0] - (1.0 - gains[1])
    return gain, matched


def score_gain(match: Sdc1Match | Sdc2Match, confidence: Floats, edges: Floats) -> Floats:
    """What the rows of each confidence bin add to the score: their match scores minus their false detections.

    Parameters
    ----------
    match : Sdc1Match or Sdc2Match
        From `match_sdc1` or `match_sdc2`.
    confidence : array (n_submitted,)
        As in `score_curve`.
    edges : array (b + 1,)
        Bin edges, rising; the last edge belongs to the last bin.

    Returns
    -------
    array (b,)
        Negative where a bin is better left out.
    """
    shares = np.maximum(match.shares, 1) if isinstance(match, Sdc2Match) else 1
    worth = np.where(match.accepted, match.worth / shares, -1.0)
    return np.histogram(np.asarray(confidence, dtype=np.float64)[match.row], edges, weights=worth)[0]


def _gains_sdc1(match: Sdc1Match, order: Ints) -> tuple[Floats, Ints, Floats]:
    gain, matched = _one_row_a_truth(
        match.truth[order], match.distance[order], match.worth[order], match.n_truth
    )
    return gain, matched, gain


def _gains_sdc2(match: Sdc2Match, order: Ints) -> tuple[Floats, Ints, Floats]:
    n_groups, n_ids = (int(codes.max(initial=-1)) + 1 for codes in (match.group, match.identity))
    accepted = match.distance[order] < ACCEPTED_DISTANCE
    return _rows_share_truths(
        (match.identity[order], match.group[order], order),
        (match.distance[order], accepted, np.where(accepted, match.worth[order], 0.0)),
        (n_ids, n_groups),
    )


@njit(**JIT)  # type: ignore[untyped-decorator]
def _one_row_a_truth(truth: Ints, distance: Floats, worth: Floats, n_truth: int) -> tuple[Floats, Ints]:
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


@njit(**JIT)  # type: ignore[untyped-decorator]
def _rows_share_truths(
    keys: tuple[Ints, Ints, Ints], values: tuple[Floats, NDArray[np.bool_], Floats], counts: tuple[int, int]
) -> tuple[Floats, Ints, Floats]:
    """Changes of the divided sum, of the count of matches and of the plain sum, as rows join one by one.

    `keys` are each row's id, its truth (-1 without) and its place in the submission; of rows of one id only
    the nearest so far counts, and the first of those that are equally near.
    """
    identity, group, place = keys
    distance, accepted, worth = values
    gain, matched, plain = np.zeros(len(group)), np.zeros(len(group), np.int64), np.zeros(len(group))
    current = np.full(counts[0], -1)
    rows, held = np.zeros(counts[1], np.int64), np.zeros(counts[1])
    for row in range(len(group)):
        if group[row] < 0:
            continue
        before = current[identity[row]]
        if before >= 0:
            worse = np.isnan(distance[row]) and not np.isnan(distance[before])
            tied = distance[row] == distance[before] or (np.isnan(distance[row]) and not worse)
            if worse or distance[row] > distance[before] or (tied and place[row] > place[before]):
                continue
            gain[row] += _join(group[before], -1, -worth[before], rows, held)
            matched[row] -= accepted[before]
            plain[row] -= worth[before]
        current[identity[row]] = row
        gain[row] += _join(group[row], 1, worth[row], rows, held)
        matched[row] += accepted[row]
        plain[row] += worth[row]
    return gain, matched, plain


@njit(**JIT)  # type: ignore[untyped-decorator]
def _join(group: int, count: int, worth: float, rows: Ints, held: Floats) -> float:
    """Let a row join a truth or leave it; returns what that changes of the truth's divided sum."""
    before = held[group] / max(rows[group], 1)
    rows[group] += count
    held[group] += worth
    return held[group] / max(rows[group], 1) - before

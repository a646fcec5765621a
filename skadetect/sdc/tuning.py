"""Thresholds and corrections together: each depends on the other, so thresholds are tuned twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skadetect.evaluate.corrections import Corrections, Rows, tune_corrections
from skadetect.evaluate.tuning import Candidates, Tuned, TuneOptions, tune_thresholds
from skadetect.sdc.tables import Confidence

logger = logging.getLogger(__name__)

#: Score below the threshold down to which rows are corrected: they may be worth keeping then.
BELOW = 0.12


@dataclass(frozen=True)
class TuningField:
    """A field with known truth.

    Attributes
    ----------
    submission : DataFrame (n rows)
        Rows down to a low score, in the challenge's columns.
    known : Confidence
        Their scores, priors, frequencies, signal to noise and sizes.
    part : array (n,) of int
        Part of the field, for the folds.
    match : callable
        Matches a submission to the field's truth.
    """

    submission: pd.DataFrame
    known: Confidence
    part: np.ndarray
    match: Callable[[pd.DataFrame], Any]


def tune_fields(
    fields: Sequence[TuningField], challenge: str | None, given: float, options: TuneOptions
) -> dict[str, Any]:
    """Tune on fields.

    Parameters
    ----------
    fields : sequence of TuningField
    challenge : str or None
        Whose columns are corrected; None corrects nothing.
    given : float
        The model's own threshold.
    options : TuneOptions

    Returns
    -------
    dict
        Plain values: thresholds, corrections, kind, the scores of each kind ("given" without corrections) on
        the rows tuned on (scores) and not tuned on (held_out), and what each correction adds (gains).
    """
    plain = _thresholds(fields, Corrections(), given, options)
    corrections, tuned = Corrections(tables={}), plain
    gains: dict[str, float] = {}
    if challenge is not None:
        rows = [_rows(field, plain.thresholds.lowest - BELOW) for field in fields]
        corrections, gains = tune_corrections(rows, challenge, strength=options.strength, folds=options.folds)
        if gains:
            tuned = _thresholds(fields, corrections, given, options)
            logger.info("corrections: %s", {name: round(gain, 1) for name, gain in gains.items()})
    return {
        "thresholds": tuned.thresholds.to_dict(),
        "corrections": corrections.to_dict(),
        "kind": tuned.kind,
        "scores": _named(tuned.scores, plain.scores),
        "held_out": _named(tuned.held_out, plain.held_out),
        "gains": gains,
    }


def _thresholds(
    fields: Sequence[TuningField], corrections: Corrections, given: float, options: TuneOptions
) -> Tuned:
    pairs = []
    for field in fields:
        known = field.known
        rows = corrections.apply(field.submission, known.snr, known.size)
        pairs.append((field.match(rows), Candidates(known.score, known.prior, field.part, known.frequency)))
    return tune_thresholds(pairs, given=given, options=options)


def _rows(field: TuningField, lowest: float) -> Rows:
    """The rows of a field from a score on."""
    kept = field.known.score >= lowest
    known = field.known.take(kept)
    submission = field.submission[kept].reset_index(drop=True)
    return Rows(submission, known.snr, known.size, field.part[kept], field.match)


def _named(tuned: dict[str, float], plain: dict[str, float]) -> dict[str, float]:
    """Scores with corrections, and without any at the model's own threshold."""
    return {"model": plain["given"], "plain": max(plain.values()), **tuned}

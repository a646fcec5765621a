"""Scores, matches and curves: how good a catalogue is against a truth list, whoever made it."""

from skadetect.evaluate.sdc1 import PreparedTruth, Sdc1Match, Sdc1Score, match_sdc1, score_match, score_sdc1
from skadetect.evaluate.sdc2 import (
    PreparedSdc2Truth,
    Sdc2Field,
    Sdc2Match,
    Sdc2Score,
    match_sdc2,
    score_sdc2,
    score_sdc2_match,
)
from skadetect.evaluate.submission import Validation, validate_submission

__all__ = [
    "PreparedTruth", "Sdc1Match", "Sdc1Score", "match_sdc1", "score_match", "score_sdc1",
    "PreparedSdc2Truth", "Sdc2Field", "Sdc2Match", "Sdc2Score", "match_sdc2", "score_sdc2",
    "score_sdc2_match", "Validation", "validate_submission",
]  # fmt: skip

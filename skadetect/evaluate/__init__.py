"""Scores, matches and curves: how good a catalogue is against a truth list, whoever made it."""

from skadetect.evaluate.sdc1 import PreparedTruth, Sdc1Match, Sdc1Score, match_sdc1, score_match, score_sdc1

__all__ = ["PreparedTruth", "Sdc1Match", "Sdc1Score", "match_sdc1", "score_match", "score_sdc1"]

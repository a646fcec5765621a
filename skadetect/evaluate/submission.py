"""Whether a file can be submitted: what the official readers shift, drop or refuse, found beforehand."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from skadetect.catalog.challenge_text import name_rows
from skadetect.catalog.sdc1 import SDC1_COLUMNS, check_sdc1, inspect_sdc1
from skadetect.catalog.sdc2 import check_sdc2, inspect_sdc2
from skadetect.errors import ConfigError, InputError
from skadetect.evaluate.sdc1 import TRAINING_BOX
from skadetect.evaluate.sdc2 import BAND

CHALLENGES = ("sdc1", "sdc2")


@dataclass(frozen=True)
class Validation:
    """What a check of a submission found.

    Attributes
    ----------
    path : Path
        The file.
    challenge : str
        "sdc1" or "sdc2".
    n_rows : int
        Sources in it.
    problems : tuple of str
        Each one a reason why it is not scored as it is meant; none of a valid submission.
    notes : tuple of str
        What is allowed and may surprise.
    """

    path: Path
    challenge: str
    n_rows: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


def validate_submission(
    path: str | os.PathLike[str], *, challenge: str = "auto", freq: int = 560
) -> Validation:
    """Check a submission against all that the official scorer takes for granted.

    Parameters
    ----------
    path : path
        Text file: 12 columns under one line of text (SDC1), or nine under their names (SDC2).
    challenge : str
        "sdc1", "sdc2", or "auto" to go by the first line.
    freq : int
        SDC1's band in MHz, for the notes.

    Returns
    -------
    Validation
        All problems at once.

    Raises
    ------
    ConfigError
        Unknown challenge or band.
    InputError
        The file is absent or not text.
    """
    path = Path(path)
    if challenge not in ("auto", *CHALLENGES):
        raise ConfigError(f"challenge is {challenge!r}, expected auto, {' or '.join(CHALLENGES)}")
    if freq not in TRAINING_BOX:
        raise ConfigError(f"freq is {freq}, expected one of {', '.join(map(str, TRAINING_BOX))} (MHz)")
    chosen = _guess(path) if challenge == "auto" else challenge
    try:
        table, problems, notes = _sdc1(path, freq) if chosen == "sdc1" else _sdc2(path)
    except InputError as error:
        if not path.is_file():
            raise
        return Validation(path, chosen, 0, (str(error).removeprefix(f"{path}: "),), ())
    return Validation(path, chosen, len(table), tuple(problems), tuple(notes))


def _guess(path: Path) -> str:
    """SDC2 if the first line has more of its own names than of SDC1's."""
    try:
        with path.open(encoding="utf-8", errors="replace") as handle:
            words = set(handle.readline()[:4096].split())
    except OSError as error:
        raise InputError(f"{path}: cannot read the catalogue ({error.strerror})") from error
    return "sdc2" if words & {"hi_size", "line_flux_integral", "central_freq", "w20"} else "sdc1"


def _sdc1(path: Path, freq: int) -> tuple[pd.DataFrame, list[str], list[str]]:
    text = inspect_sdc1(path)
    problems, notes = list(text.problems), []
    if text.preamble != 1:
        lost = "the first row is lost" if not text.preamble else f"{text.preamble - 1} lines are read as rows"
        problems.append(
            f"{text.preamble} lines before the first row; the official reader skips one, so {lost}"
        )
    if len(text.table.columns) - ("surplus" in text.table) > len(SDC1_COLUMNS):
        problems.append("15 columns, as in a training set; the official reader would shift all of them")
    if not text.problems:
        problems += check_sdc1(text.table)
        notes = _sdc1_notes(text.table, freq)
    return text.table, problems, notes


def _sdc1_notes(table: pd.DataFrame, freq: int) -> list[str]:
    """Rows that are not scored, or not as one may think."""
    columns = {name: table[name].to_numpy(np.float64) for name in ("ra_core", "dec_core", "b_maj", "b_min")}
    ra = np.where(columns["ra_core"] > 180.0, columns["ra_core"] - 360.0, columns["ra_core"])
    ra_min, ra_max, dec_min, dec_max = TRAINING_BOX[freq]
    dec = columns["dec_core"]
    checks = {
        f"lie in the training area of {freq} MHz and are not scored": (
            (ra >= ra_min) & (ra <= ra_max) & (dec >= dec_min) & (dec <= dec_max)
        ),
        "have a b_min above b_maj": columns["b_min"] > columns["b_maj"],
        "have a b_maj or b_min of 0, which scores as a wrong size": np.minimum(
            columns["b_maj"], columns["b_min"]
        )
        == 0.0,
        "have a flux of 0": table["flux"].to_numpy(np.float64) == 0.0,
    }
    return [f"{name_rows(mask)} {text}" for text, mask in checks.items() if mask.any()]


def _sdc2(path: Path) -> tuple[pd.DataFrame, list[str], list[str]]:
    text = inspect_sdc2(path)
    problems, notes = list(text.problems), []
    if not text.problems:
        problems += check_sdc2(text.table)
        frequency = text.table["central_freq"].to_numpy(np.float64)
        outside = ~((frequency > BAND[0]) & (frequency < BAND[1]))
        if outside.any():
            notes.append(f"{name_rows(outside)} lie outside 950 to 1150 MHz and count as false detections")
    return text.table, problems, notes

"""Read and write catalogues in the text format of the first SKA Science Data Challenge (SDC1).

A file holds whitespace-separated rows of 12 columns (a submission or a full truth list) or of 15 (the
published training sets, which append a selection flag and pixel coordinates), after any number of header or
preamble lines. The reader finds the first data row by itself, because the published files start with 0, 1 or
18 lines of text.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from skadetect.catalog.challenge_text import (
    format_problems,
    is_number,
    looks_like_row,
    parse_rows,
    require_columns,
    typed,
    value_problems,
    write_rows,
)
from skadetect.errors import InputError

#: The twelve columns in order. Positions in degrees, flux in Jy (integrated, corrected for the primary beam),
#: axes in arcsec, pa in degrees clockwise from due west, size 1 (largest angular size), 2 (Gaussian FWHM) or
#: 3 (exponential scale length), class 1 to 3.
SDC1_COLUMNS = (
    "id", "ra_core", "dec_core", "ra_cent", "dec_cent", "flux", "core_frac", "b_maj", "b_min", "pa", "size",
    "class",
)  # fmt: skip
TRAINING_COLUMNS = ("selection", "x", "y")

_INTEGERS = ("id", "size", "class")
_RANGES: dict[str, tuple[float, float]] = {
    "ra_core": (-180.0, 360.0), "ra_cent": (-180.0, 360.0), "dec_core": (-90.0, 90.0),
    "dec_cent": (-90.0, 90.0), "flux": (0.0, np.inf), "core_frac": (0.0, 2.0), "b_maj": (0.0, np.inf),
    "b_min": (0.0, np.inf), "pa": (-360.0, 360.0), "size": (1, 3), "class": (1, 3),
}  # fmt: skip
_FORMATS = {
    "id": "%d", "ra_core": "%.9f", "dec_core": "%.9f", "ra_cent": "%.9f", "dec_cent": "%.9f", "flux": "%.8e",
    "core_frac": "%.6f", "b_maj": "%.6f", "b_min": "%.6f", "pa": "%.4f", "size": "%d", "class": "%d",
}  # fmt: skip
_PREAMBLE_LIMIT = 1000
_LEAST_FIELDS = 10  # of a line that may be a broken row


def read_sdc1(path: str | os.PathLike[str], *, strict: bool = True) -> pd.DataFrame:
    """Read an SDC1 submission, truth list or training set.

    Parameters
    ----------
    path : path
        Text file with 12 or 15 whitespace-separated columns, with or without a header or preamble.
    strict : bool
        Also refuse duplicate ids and values out of range; without it only the format is checked, and what the
        official scorer drops by itself (negative fluxes, unknown size types) is let through.

    Returns
    -------
    DataFrame
        The columns of `SDC1_COLUMNS`, and `TRAINING_COLUMNS` after them where the file has 15.

    Raises
    ------
    InputError
        The file is absent, holds neither a row of numbers nor the header of an empty catalogue, or has any
        problem: all of them are named in the one message.
    """
    text = inspect_sdc1(path)
    problems = text.problems + (tuple(check_sdc1(text.table)) if strict and not text.problems else ())
    if problems:
        raise InputError(f"{path}: {'; '.join(problems)}")
    return text.table


class Sdc1Text(NamedTuple):
    """A file as it is: its rows, the lines before the first of them, and what is no number or too much."""

    table: pd.DataFrame
    preamble: int
    problems: tuple[str, ...]


def inspect_sdc1(path: str | os.PathLike[str]) -> Sdc1Text:
    """Read a file of 12 or 15 columns and list what is wrong with its format, dropping no row.

    Raises
    ------
    InputError
        The file is absent, or holds neither a row of numbers nor the header of an empty catalogue.
    """
    path = Path(path)
    skip, width = _find_data(path)
    names = [*SDC1_COLUMNS, *TRAINING_COLUMNS][:width]
    if skip is None:
        return Sdc1Text(typed(pd.DataFrame(columns=names), names, _INTEGERS), 1, ())
    table = parse_rows(path, skip, names)
    problems = tuple(format_problems(table, _INTEGERS))
    return Sdc1Text(table if problems else typed(table, names, _INTEGERS), skip, problems)


def write_sdc1(table: pd.DataFrame, path: str | os.PathLike[str], *, header: bool = True) -> None:
    """Write an SDC1 catalogue under a temporary name and rename it when it is complete.

    Parameters
    ----------
    table : DataFrame
        At least the columns of `SDC1_COLUMNS` (degrees, Jy, arcsec); others are left out.
    path : path
        File to write.
    header : bool
        First write a line of column names: the official reader skips one line of a submission and none of a
        truth list.

    Raises
    ------
    InputError
        A column is missing.
    OutputError
        The file cannot be written; a file of that name is replaced.
    """
    require_columns(table, SDC1_COLUMNS, "SDC1")
    write_rows(table, path, _FORMATS, header=header)


def check_sdc1(table: pd.DataFrame) -> list[str]:
    """List every problem of an SDC1 table's values: duplicate ids, values out of range."""
    return value_problems(table, _RANGES)


def _find_data(path: Path) -> tuple[int | None, int]:
    """Count the lines before the first row, sound or not (None: a header and no row), and the columns."""
    widths = (len(SDC1_COLUMNS), len(SDC1_COLUMNS) + len(TRAINING_COLUMNS))
    found, header, first = set(), False, None
    try:
        with path.open(encoding="utf-8", errors="replace") as handle:
            for number, line in zip(range(_PREAMBLE_LIMIT), handle, strict=False):
                fields = line.split()
                header = header or fields[: widths[0]] == list(SDC1_COLUMNS)
                if first is None and looks_like_row(fields, _LEAST_FIELDS):
                    first = number
                if _all_numbers(fields):
                    if len(fields) in widths:
                        return first, len(fields)
                    found.add(len(fields))
    except OSError as error:
        raise InputError(f"{path}: cannot read the catalogue ({error.strerror})") from error
    if header and not found and first is None:
        return None, widths[0]
    seen = f"rows of {', '.join(map(str, sorted(found)))} numbers" if found else "no row of numbers"
    raise InputError(f"{path}: {seen}, expected rows of 12 or 15 numbers ({' '.join(SDC1_COLUMNS)})")


def _all_numbers(fields: list[str]) -> bool:
    return bool(fields) and all(map(is_number, fields))

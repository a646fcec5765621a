"""Read and write catalogues in the text format of the second SKA Science Data Challenge (SDC2).

A file holds one line with the names of its nine columns and then whitespace-separated rows.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from skadetect.catalog.challenge_text import (
    format_problems,
    parse_rows,
    require_columns,
    typed,
    value_problems,
    write_rows,
)
from skadetect.errors import InputError

#: The nine columns in order. ra, dec in degrees; hi_size the diameter along the major axis at 1 Msun/pc^2 in
#: arcsec; line_flux_integral in Jy Hz; central_freq in Hz; pa of the receding side, anticlockwise from north,
#: and i, the inclination, in degrees; w20 in km/s.
SDC2_COLUMNS = ("id", "ra", "dec", "hi_size", "line_flux_integral", "central_freq", "pa", "i", "w20")

_INTEGERS = ("id",)
_TINY = float(np.finfo(np.float64).tiny)  # the low end of what has to be positive
_RANGES: dict[str, tuple[float, float]] = {
    "ra": (-180.0, 360.0), "dec": (-90.0, 90.0), "hi_size": (0.0, np.inf),
    "line_flux_integral": (_TINY, np.inf), "central_freq": (_TINY, np.inf), "pa": (0.0, 360.0),
    "i": (0.0, 90.0), "w20": (_TINY, np.inf),
}  # fmt: skip
_FORMATS = {
    "id": "%d", "ra": "%.9f", "dec": "%.9f", "hi_size": "%.6f", "line_flux_integral": "%.8e",
    "central_freq": "%.3f", "pa": "%.4f", "i": "%.4f", "w20": "%.5f",
}  # fmt: skip


def read_sdc2(path: str | os.PathLike[str], *, strict: bool = True) -> pd.DataFrame:
    """Read an SDC2 submission or truth list.

    Parameters
    ----------
    path : path
        Text file: the line `SDC2_COLUMNS`, then rows of nine numbers.
    strict : bool
        Also refuse duplicate ids and values out of range (pa in [0, 360], i in [0, 90], flux, frequency and
        w20 above 0); without it only the format is checked.

    Returns
    -------
    DataFrame
        The columns of `SDC2_COLUMNS`; no rows where the file holds its header alone.

    Raises
    ------
    InputError
        The file is absent, its first line is not the header, or its rows have any problem: all of them are
        named in the one message.
    """
    text = inspect_sdc2(path)
    problems = text.problems + (tuple(check_sdc2(text.table)) if strict and not text.problems else ())
    if problems:
        raise InputError(f"{path}: {'; '.join(problems)}")
    return text.table


class Sdc2Text(NamedTuple):
    """A file as it is: its rows, and what is no number or too much in them."""

    table: pd.DataFrame
    problems: tuple[str, ...]


def inspect_sdc2(path: str | os.PathLike[str]) -> Sdc2Text:
    """Read a file of nine columns and list what is wrong with its format, dropping no row.

    Raises
    ------
    InputError
        The file is absent, or its first line is not the header.
    """
    path = Path(path)
    header, skip = _first_line(path)
    if header != list(SDC2_COLUMNS):
        raise InputError(f"{path}: {_header_problem(header)}, expected {' '.join(SDC2_COLUMNS)}")
    table = parse_rows(path, skip, SDC2_COLUMNS)
    problems = tuple(format_problems(table, _INTEGERS))
    return Sdc2Text(table if problems else typed(table, SDC2_COLUMNS, _INTEGERS), problems)


def write_sdc2(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write an SDC2 catalogue under a temporary name and rename it when it is complete.

    Parameters
    ----------
    table : DataFrame
        At least the columns of `SDC2_COLUMNS`; others are left out.
    path : path
        File to write.

    Raises
    ------
    InputError
        A column is missing.
    OutputError
        The file cannot be written; a file of that name is replaced.
    """
    require_columns(table, SDC2_COLUMNS, "SDC2")
    write_rows(table, path, _FORMATS)


def check_sdc2(table: pd.DataFrame) -> list[str]:
    """List every problem of an SDC2 table's values: duplicate ids, values out of range."""
    return value_problems(table, _RANGES)


def _first_line(path: Path) -> tuple[list[str], int]:
    """Fields of the first line that is not blank, and how many lines end there."""
    try:
        with path.open(encoding="utf-8", errors="replace") as handle:
            for number, line in enumerate(handle, start=1):
                if fields := line[:4096].split():
                    return fields, number
    except OSError as error:
        raise InputError(f"{path}: cannot read the catalogue ({error.strerror})") from error
    return [], 0


def _header_problem(header: list[str]) -> str:
    """What is wrong with a header line."""
    known = [name for name in header if name in SDC2_COLUMNS]
    if not known:
        return f"the first line is {' '.join(header)[:60]!r}" if header else "the file is empty"
    missing = [name for name in SDC2_COLUMNS if name not in header]
    unknown = [name for name in header if name not in SDC2_COLUMNS]
    problems = [f"lacks the columns {', '.join(missing)}"] if missing else []
    problems += [f"has the unknown columns {', '.join(unknown[:9])}"] if unknown else []
    return "the header " + (" and ".join(problems) or "has the columns in another order or twice")

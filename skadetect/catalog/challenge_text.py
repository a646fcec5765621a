"""What the text catalogues of the SKA Science Data Challenges share: rows of numbers, checked as a whole."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skadetect.atomic import atomic_path
from skadetect.errors import InputError

_SURPLUS = "surplus"


def parse_rows(path: Path, skip: int, names: Sequence[str]) -> pd.DataFrame:
    """Read whitespace-separated rows after some lines, unchecked.

    Parameters
    ----------
    path : Path
        Text file.
    skip : int
        Lines before the first row.
    names : sequence of str
        Of the columns.

    Returns
    -------
    DataFrame
        The columns as pandas reads them, and one more that is empty unless a row is too long.
    """
    # One column too many in `names` catches long rows, which pandas would otherwise shift without a word.
    columns = [*names, _SURPLUS]
    options: dict[str, Any] = {"sep": r"\s+", "header": None, "index_col": False, "low_memory": False}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # said of rows that are cut
        try:
            return pd.read_csv(path, skiprows=skip, names=columns, **options)
        except pd.errors.EmptyDataError:
            return pd.DataFrame(columns=columns)
        except (pd.errors.ParserError, pd.errors.ParserWarning, UnicodeDecodeError):
            return pd.DataFrame(_split_rows(path, skip, len(names)), columns=columns)


def looks_like_row(fields: Sequence[str], least: int) -> bool:
    """Whether a line is a row, sound or broken, and no text: so many fields, most of them numbers."""
    return len(fields) >= least and sum(map(is_number, fields)) >= 0.75 * len(fields)


def _split_rows(path: Path, skip: int, width: int) -> list[list[str | None]]:
    """Fields of each row, None for those that are missing, and what is too much as one more."""
    rows: list[list[str | None]] = []
    with path.open(encoding="utf-8", errors="replace") as handle:
        for number, line in enumerate(handle):
            fields: list[str | None] = [*line.split()]
            if number >= skip and fields:
                known, surplus = fields[:width], " ".join(map(str, fields[width:])) or None
                rows.append([*known, *[None] * (width - len(known)), surplus])
    return rows


def is_number(text: str) -> bool:
    """Whether a text is a number as a float is written."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def format_problems(table: pd.DataFrame, integers: Collection[str]) -> list[str]:
    """List what is no number, no whole number or too much in rows of `parse_rows`."""
    names = [name for name in table.columns if name != _SURPLUS]
    problems = []
    long = table[_SURPLUS].notna().to_numpy()
    if long.any():
        problems.append(f"more than {len(names)} columns in {name_rows(long)}")
    for name in names:
        numbers = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
        bad = ~np.isfinite(numbers)
        if bad.any():
            problems.append(
                f"{name} {table[name].to_numpy()[bad][0]!s} is not a finite number in {name_rows(bad)}"
            )
        elif name in integers and (broken := numbers != np.rint(numbers)).any():
            problems.append(f"{name} {numbers[broken][0]:g} is not a whole number in {name_rows(broken)}")
    return problems


def value_problems(table: pd.DataFrame, ranges: Mapping[str, tuple[float, float]]) -> list[str]:
    """List ids that are not unique and values outside of their ranges (both ends belong to a range)."""
    problems = []
    duplicated = table["id"].duplicated(keep=False).to_numpy()
    if duplicated.any():
        problems.append(f"id is not unique in {name_rows(duplicated)}")
    for name, (low, high) in ranges.items():
        values = table[name].to_numpy(dtype=np.float64)
        outside = ~((values >= low) & (values <= high))
        if outside.any():
            problems.append(
                f"{name} {values[outside][0]:g} is not in [{low:g}, {high:g}] in {name_rows(outside)}"
            )
    return problems


def typed(table: pd.DataFrame, names: Sequence[str], integers: Collection[str]) -> pd.DataFrame:
    """The named columns as whole numbers and floats."""
    return table[list(names)].astype({name: np.int64 if name in integers else np.float64 for name in names})


def require_columns(table: pd.DataFrame, names: Sequence[str], challenge: str) -> None:
    """Raise InputError if a table of a challenge ("SDC1") lacks a column."""
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise InputError(
            f"{challenge} catalogue lacks the columns {', '.join(missing)}; expected {' '.join(names)}"
        )


def write_rows(
    table: pd.DataFrame, path: str | os.PathLike[str], formats: Mapping[str, str], *, header: bool = True
) -> None:
    """Write the columns that `formats` names, in its order, under a temporary name until complete.

    Raises
    ------
    OutputError
        The file cannot be written; a file of that name is replaced.
    """
    names = list(formats)
    values = table[names].to_numpy(dtype=np.float64)
    with atomic_path(path, overwrite=True) as temporary:
        head = " ".join(names) if header else ""
        np.savetxt(temporary, values, fmt=" ".join(formats.values()), header=head, comments="")


def name_rows(mask: NDArray[np.bool_]) -> str:
    """Name the rows of a mask: the count and the first few, counted from 1 at the first data row."""
    rows = np.flatnonzero(mask) + 1
    first = ", ".join(map(str, rows[:3]))
    return (
        f"row {first}" if len(rows) == 1 else f"{len(rows)} rows ({first}{', ...' if len(rows) > 3 else ''})"
    )

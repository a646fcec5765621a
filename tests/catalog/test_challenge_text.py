"""Rows of challenge catalogues are read as they are, and every problem is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from skadetect.catalog.challenge_text import (
    format_problems,
    looks_like_row,
    name_rows,
    parse_rows,
    require_columns,
    typed,
    value_problems,
    write_rows,
)
from skadetect.errors import InputError

NAMES = ("id", "ra", "flux")


def _parse(path: Path, text: str, skip: int = 1):
    path.write_text(text)
    return parse_rows(path, skip, NAMES)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    table = typed(_parse(tmp_path / "a", "id ra flux\n3 180.25 1e-6\n 1 0.5 2e-5\n"), NAMES, ("id",))
    assert table["id"].tolist() == [3, 1] and table["id"].dtype == np.int64
    write_rows(table, tmp_path / "b", {"id": "%d", "ra": "%.8f", "flux": "%.6e"})
    again = parse_rows(tmp_path / "b", 1, NAMES)
    assert not format_problems(again, ("id",))
    np.testing.assert_array_equal(typed(again, NAMES, ("id",)), table)


def test_rows_too_long_too_short_or_no_numbers_are_named_and_none_shifts(tmp_path: Path) -> None:
    table = _parse(tmp_path / "a", "head\n1 2.0 3.0\n2 2.0 3.0 4.0\n3 2.0\n4.5 x 3.0\n")
    assert format_problems(table, ("id",)) == [
        "more than 3 columns in row 2",
        "id 4.5 is not a whole number in row 4",
        "ra x is not a finite number in row 4",
        "flux nan is not a finite number in row 3",
    ]
    assert len(_parse(tmp_path / "a", "head\n")) == 0


def test_values_beyond_their_range_and_repeated_ids_are_named(tmp_path: Path) -> None:
    table = typed(_parse(tmp_path / "a", "h\n7 0 1\n8 360 1\n7 361 1\n"), NAMES, ("id",))
    assert value_problems(table, {"ra": (0.0, 360.0), "flux": (0.0, 1.0)}) == [
        "id is not unique in 2 rows (1, 3)",
        "ra 361 is not in [0, 360] in row 3",
    ]
    with pytest.raises(InputError, match="SDC1 catalogue lacks the columns pa"):
        require_columns(table, (*NAMES, "pa"), "SDC1")


def test_a_row_is_told_from_text_by_its_numbers() -> None:
    assert looks_like_row(["1", "2", "3", "x"], 3)
    assert not looks_like_row(["1", "2"], 3)
    assert not looks_like_row(["id", "ra", "dec", "flux"], 3)
    assert name_rows(np.ones(5, bool)) == "5 rows (1, 2, 3, ...)"

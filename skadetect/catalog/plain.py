"""A catalogue's table without Quantities: what writers of files want."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from astropy.table import Column, QTable, Table
from numpy.typing import NDArray


def plain_table(table: QTable) -> Table:
    """The same columns as plain `Column`s with unit, description and UCD, and the same meta."""
    columns = []
    for name in table.colnames:
        column, info = table[name], table[name].info
        values = getattr(column, "value", column)
        meta = {"unit": info.unit, "description": info.description, "meta": dict(info.meta or {})}
        columns.append(Column(values, name, **meta))
    return Table(columns, meta=dict(table.meta), copy=False)


def plain_columns(table: QTable, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Some columns as arrays of this machine's byte order (files have the other), in the table's units."""
    found = {name: np.asarray(getattr(table[name], "value", table[name])) for name in names}
    return {name: array.astype(array.dtype.newbyteorder("="), copy=False) for name, array in found.items()}


def unit_text(column: Column, style: str) -> str:
    """Unit of a column in the spelling of a standard ("fits", "vounit"); empty where there is none."""
    return "" if column.unit is None else column.unit.to_string(style)

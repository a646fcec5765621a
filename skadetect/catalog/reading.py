"""Read a catalogue back from the file it was written to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Column, QTable
from astropy.units import Quantity

from skadetect.catalog.cube_schema import CUBE_COLUMNS
from skadetect.catalog.schema import COLUMNS, ColumnSpec
from skadetect.errors import InputError

_SUFFIXES = {".fits": "fits", ".fits.gz": "fits", ".ecsv": "ascii.ecsv", ".vot": "votable", ".xml": "votable"}


def read_table(path: str | os.PathLike[str]) -> QTable:
    """The table of a catalogue as it was before it was written.

    Parameters
    ----------
    path : path
        FITS, ECSV or VOTable.

    Returns
    -------
    QTable
        Numbers in this machine's byte order and of the schema's types, names as text, columns with
        description and UCD, keywords in lower case.

    Raises
    ------
    InputError
        The file cannot be read, or is in another format.
    """
    path = Path(path)
    kind = next((kind for end, kind in _SUFFIXES.items() if path.name.lower().endswith(end)), None)
    if kind is None:
        raise InputError(f"{path}: expected a catalogue in FITS, ECSV or VOTable")
    try:
        stored = QTable.read(path, format=kind)
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(f"{path}: cannot read the catalogue ({' '.join(str(error).split())})") from error
    specs = {spec.name: spec for spec in (CUBE_COLUMNS if "f_sum" in stored.colnames else COLUMNS)}
    table = QTable([_restored(stored, name, specs.get(name)) for name in stored.colnames], copy=False)
    table.meta.update({str(name).lower(): value for name, value in stored.meta.items()})
    return table


def _restored(table: QTable, name: str, spec: ColumnSpec | None) -> Column | Quantity:
    column = table[name]
    values: Any = np.asarray(getattr(column, "value", column))
    if values.dtype.kind in "SO":
        values = values.astype(str)
    elif spec is not None and spec.dtype != "U":
        values = values.astype(spec.dtype)
    else:
        values = values.astype(values.dtype.newbyteorder("="))
    unit = getattr(column, "unit", None)
    made = Column(values) if unit is None else Quantity(values, unit, dtype=values.dtype, copy=False)
    made.info.name = name
    if spec is not None:
        made.info.description, made.info.meta = spec.description, {"ucd": spec.ucd}
    return made

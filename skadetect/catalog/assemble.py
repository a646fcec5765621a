"""From columns of arrays to a catalogue's table: what the catalogues of images and of cubes share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Column, QTable
from numpy.typing import NDArray

from skadetect.catalog.schema import ColumnSpec, column_unit
from skadetect.detections import Detections

Floats = NDArray[np.float64]
Columns = dict[str, NDArray[Any]]

#: Rows that are worked out at a time: a million sources need no more memory on the way than their catalogue.
CHUNK = 65536


def chunks(rows: Detections, order: NDArray[np.int64] | None = None) -> Iterator[Detections]:
    """The rows, some at a time, as they come or in another order."""
    for start in range(0, len(rows), CHUNK):
        some = slice(start, start + CHUNK)
        yield rows.take(some if order is None else order[some])


def gather(
    specs: Sequence[ColumnSpec],
    parts: Iterable[Columns],
    n: int,
    *,
    prefix: str,
    places: NDArray[np.int64] | None = None,
) -> Columns:
    """Columns of some rows at a time, one after another.

    Parameters
    ----------
    specs : sequence of ColumnSpec
        The columns and their types; others of the parts are left out.
    parts : iterable of mapping of str to array (m,)
        Columns of m rows each, in the schema's units.
    n : int
        Rows of all parts together.
    prefix : str
        Acronym of the IAU names, which says how long they are.
    places : array (n,), optional
        Where each row goes, if not one after another.

    Returns
    -------
    dict of str to array (n,)
    """
    arrays = {spec.name: np.empty(n, _dtype(spec, prefix)) for spec in specs}
    start = 0
    for part in parts:
        stop = start + len(part[specs[0].name])
        where = slice(start, stop) if places is None else places[start:stop]
        for name, values in arrays.items():
            values[where] = part[name]
        start = stop
    return arrays


def to_table(
    arrays: Columns, specs: Sequence[ColumnSpec], image_unit: u.UnitBase, *, meta: Mapping[str, Any]
) -> QTable:
    """A table with units, descriptions and UCDs; the arrays are taken out of `arrays` to save memory."""
    table = QTable([_typed(arrays.pop(spec.name), spec, image_unit) for spec in specs], copy=False)
    table.meta.update(meta)
    return table


def calibrate(
    columns: Columns, calibration: Mapping[str, Sequence[float]], floor_of: Callable[[str], Any]
) -> None:
    """Widen errors in place as the model's validation asks for; see `ModelInfo`.

    Parameters
    ----------
    columns : dict of str to array (n,)
        Errors among them.
    calibration : mapping of str to (factor, floor)
        By the name of an error's column.
    floor_of : function of a name
        What the floor of that error is a fraction of, in its unit.
    """
    for name, (factor, floor) in calibration.items():
        columns[name] = np.hypot(factor * columns[name], floor * floor_of(name))


def projected(major: Floats, minor: Floats, angle: Floats) -> tuple[Floats, Floats]:
    """Errors along two axes from those along an ellipse whose major axis is `angle` rad from the first."""
    sin, cos = np.sin(angle), np.cos(angle)
    return np.hypot(major * cos, minor * sin), np.hypot(major * sin, minor * cos)


def _dtype(spec: ColumnSpec, prefix: str) -> str:
    """NumPy type of a column; a name is as long as its prefix and JHHMMSS.s+DDMMSS."""
    return f"<U{len(prefix) + 17}" if spec.name == "name" else spec.dtype


def _typed(values: NDArray[Any], spec: ColumnSpec, image_unit: u.UnitBase) -> Column | u.Quantity:
    """A column of the schema's type, with its unit, description and UCD."""
    unit = column_unit(spec, image_unit)
    column = Column(values) if unit is None else u.Quantity(values, unit, dtype=values.dtype, copy=False)
    column.info.name = spec.name
    column.info.description = spec.description
    column.info.meta = {"ucd": spec.ucd}
    return column

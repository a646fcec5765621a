"""Catalogues as Parquet: unit, UCD and description in each field's metadata, provenance in the schema's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skadetect.catalog.plain import plain_table, unit_text

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog


def write(catalog: Catalog, path: Path) -> None:
    """Write a catalogue to a path that may be overwritten."""
    table = plain_table(catalog.table)
    arrays = [pa.array(_native(table[name])) for name in table.colnames]
    fields = [_field(table[name], array) for name, array in zip(table.colnames, arrays)]
    meta = {"skadetect": json.dumps(dict(table.meta), default=str)}
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=meta)), path)


def _native(column: Any) -> Any:
    return np.asarray(column).tolist() if column.dtype.kind == "U" else np.asarray(column)


def _field(column: Any, array: pa.Array) -> pa.Field:
    kind = pa.string() if column.dtype.kind == "U" else array.type
    meta = {"unit": unit_text(column, "vounit"), "ucd": column.meta["ucd"], "description": column.description}
    return pa.field(column.name, kind, metadata=meta)

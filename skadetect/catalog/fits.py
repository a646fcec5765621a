"""Catalogues as FITS binary tables, with descriptions (TCOMM) and UCDs (TUCD) where TOPCAT looks."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from skadetect.catalog.plain import plain_table, unit_text
from skadetect.catalog.schema import KEYWORDS

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog

_LETTERS = {"i8": "K", "i4": "J", "f8": "D", "f4": "E"}
_LONGEST = 50
_ROOM = 62  # characters of a value and its comment in one card
BLOCK = 2880  # bytes a FITS file is made of
CHUNK = 65536


def write(catalog: Catalog, path: Path) -> None:
    """Write a catalogue to a path that may be overwritten, some rows at a time to save memory."""
    table = plain_table(catalog.table)
    hdu = fits.BinTableHDU.from_columns(
        [_fits_column(table[name]) for name in table.colnames], name="SOURCES"
    )
    for number, name in enumerate(table.colnames, start=1):
        hdu.header[f"TCOMM{number}"] = table[name].description
        hdu.header[f"TUCD{number}"] = table[name].meta["ucd"]
    _write_keywords(hdu.header, table.meta)
    hdu.header["NAXIS2"] = len(table)
    fits.PrimaryHDU().writeto(path, overwrite=True)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "ab") as file:
        file.write(hdu.header.tostring().encode("ascii"))
        for start in range(0, len(table), CHUNK):
            file.write(_records(table, slice(start, start + CHUNK)))
        file.write(b"\0" * (-hdu.header["NAXIS1"] * len(table) % BLOCK))


def _fits_column(column: Any) -> fits.Column:
    """A column without rows."""
    return fits.Column(column.name, _letter(column.dtype), unit=unit_text(column, "fits") or None, array=[])


def _letter(dtype: np.dtype[Any]) -> str:
    return f"{max(dtype.itemsize // 4, 1)}A" if dtype.kind == "U" else _LETTERS[dtype.str[1:]]


def _records(table: Table, rows: slice) -> bytes:
    """Some rows as FITS stores them: fields side by side, numbers big-endian."""
    types = [(name, _stored(table[name].dtype)) for name in table.colnames]
    records = np.empty(len(table[table.colnames[0]][rows]), types)
    for name in table.colnames:
        values = np.asarray(table[name][rows])
        records[name] = np.char.encode(values, "ascii", "replace") if values.dtype.kind == "U" else values
    return records.tobytes()


def _stored(dtype: np.dtype[Any]) -> str:
    return f"S{max(dtype.itemsize // 4, 1)}" if dtype.kind == "U" else f">{dtype.str[1:]}"


def _write_keywords(header: fits.Header, meta: dict[str, Any]) -> None:
    comments = {keyword.name: keyword.description for keyword in KEYWORDS}
    for name, value in meta.items():
        card = value if isinstance(value, (bool, int, float)) else _ascii(value)
        if len(name) <= 8:
            comment = comments.get(name, "")
            header[name] = (card, comment) if len(str(card)) + len(comment) <= _ROOM else card
        else:  # long strings have no place in long keywords
            header[f"HIERARCH {name}"] = card[:_LONGEST] if isinstance(card, str) else card


def _ascii(value: object) -> str:
    text = str(value).encode("ascii", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in text)

"""Catalogues as FITS binary tables, with descriptions (TCOMM) and UCDs (TUCD) where TOPCAT looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from skadetect.catalog.plain import plain_table, unit_text
from skadetect.catalog.schema import KEYWORDS

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog

_LETTERS = {"i8": "K", "i4": "J", "f8": "D", "f4": "E"}
_LONGEST = 50


def write(catalog: Catalog, path: Path) -> None:
    """Write a catalogue to a path that may be overwritten."""
    table = plain_table(catalog.table)
    columns = [_fits_column(table[name]) for name in table.colnames]
    hdu = fits.BinTableHDU.from_columns(columns, name="SOURCES")
    for number, name in enumerate(table.colnames, start=1):
        hdu.header[f"TCOMM{number}"] = table[name].description
        hdu.header[f"TUCD{number}"] = table[name].meta["ucd"]
    _write_keywords(hdu.header, table.meta)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)


def _fits_column(column: Any) -> fits.Column:
    if column.dtype.kind == "U":
        values = np.char.encode(np.asarray(column), "ascii", "replace")
        letter = f"{max(values.dtype.itemsize, 1)}A"
    else:
        values, letter = np.asarray(column), _LETTERS[column.dtype.str[1:]]
    return fits.Column(column.name, letter, unit=unit_text(column, "fits") or None, array=values)


def _write_keywords(header: fits.Header, meta: dict[str, Any]) -> None:
    comments = {keyword.name: keyword.description for keyword in KEYWORDS}
    for name, value in meta.items():
        card = value if isinstance(value, (bool, int, float)) else _ascii(value)
        if len(name) <= 8:
            header[name] = card if len(str(card)) > _LONGEST else (card, comments.get(name, ""))
        else:  # long strings have no place in long keywords
            header[f"HIERARCH {name}"] = card[:_LONGEST] if isinstance(card, str) else card


def _ascii(value: object) -> str:
    text = str(value).encode("ascii", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in text)

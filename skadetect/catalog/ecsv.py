"""Catalogues as ECSV: text that keeps units, descriptions, UCDs and provenance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skadetect.catalog.plain import plain_table

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog


def write(catalog: Catalog, path: Path) -> None:
    """Write a catalogue to a path that may be overwritten."""
    plain_table(catalog.table).write(path, format="ascii.ecsv", delimiter=",", overwrite=True)

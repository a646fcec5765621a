"""Catalogues as plain CSV: one line of names, no units; for spreadsheets and scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog


def write(catalog: Catalog, path: Path) -> None:
    """Write a catalogue to a path that may be overwritten."""
    catalog.to_pandas().to_csv(path, index=False)

"""Any catalogue of a cube in the columns of SDC2: the challenge's text, a table that has them, or ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skadetect.catalog.challenge_text import require_columns, typed
from skadetect.catalog.sdc2 import SDC2_COLUMNS, read_sdc2
from skadetect.errors import InputError

if TYPE_CHECKING:
    from astropy.table import QTable

_TABLES = {
    ".fits": "fits", ".fit": "fits", ".fits.gz": "fits", ".vot": "votable", ".votable": "votable",
    ".xml": "votable", ".ecsv": "ascii.ecsv",
}  # fmt: skip


def load_sdc2(catalogue: Any) -> pd.DataFrame:
    """Bring a catalogue of a cube into the columns of SDC2.

    Parameters
    ----------
    catalogue : DataFrame, astropy Table, Catalog or path
        A table or file (the challenge's text, FITS, VOTable, ECSV, CSV or Parquet) with the columns of
        `skadetect.catalog.sdc2.SDC2_COLUMNS`, or a catalogue that skadetect made of a cube.

    Returns
    -------
    DataFrame
        `SDC2_COLUMNS`, and the others of a table that has them (`snr`, `score`).

    Raises
    ------
    InputError
        The catalogue cannot be read, or it holds neither set of columns.
    """
    if not isinstance(catalogue, (str, os.PathLike)):
        return _from_table(catalogue, "catalogue")
    path = Path(catalogue)
    if path.suffix.lower() in (".csv", ".parquet", ".pq"):
        return _from_table(_read_plain(path), str(path))
    return read_sdc2(path, strict=False) if _kind(path) is None else _from_table(read_table(path), str(path))


def read_table(path: str | os.PathLike[str]) -> QTable:
    """Read a table with units: FITS, VOTable or ECSV, by its suffix; raises InputError if it cannot be."""
    from astropy.table import QTable

    path = Path(path)
    try:
        return QTable.read(path, format=_kind(path))
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(f"{path}: cannot read the catalogue ({' '.join(str(error).split())})") from error


def _kind(path: Path) -> str | None:
    return next((kind for suffix, kind in _TABLES.items() if path.name.lower().endswith(suffix)), None)


def _read_plain(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot read the catalogue ({' '.join(str(error).split())})") from error


def _from_table(table: Any, name: str) -> pd.DataFrame:
    columns = list(getattr(table, "colnames", None) or getattr(table, "columns", []))
    if set(SDC2_COLUMNS) <= set(columns):
        return table if isinstance(table, pd.DataFrame) else table.to_pandas()
    if "f_sum" not in columns:
        require_columns(pd.DataFrame(columns=columns), SDC2_COLUMNS, "SDC2")
    if isinstance(table, pd.DataFrame):
        raise InputError(f"{name} holds no units; expected FITS, VOTable, ECSV, or the columns of SDC2")
    from skadetect.catalog.catalog import Catalog
    from skadetect.catalog.sdc2_export import to_sdc2

    catalog = table if isinstance(table, Catalog) else Catalog(table)
    frame = typed(to_sdc2(catalog), SDC2_COLUMNS, ("id",))
    for extra in ("snr", "score"):  # what curves are drawn over
        values = pd.Series(np.asarray(catalog[extra], np.float64), index=np.asarray(catalog["id"], np.int64))
        frame[extra] = values.reindex(frame["id"]).to_numpy()
    return frame

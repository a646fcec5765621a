"""The formats of a catalogue by name and suffix, and the one way in to write them."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from skadetect.atomic import atomic_path
from skadetect.errors import OutputError

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog


class Format(NamedTuple):
    """A format: the suffixes it is known by, and the module whose `write(catalog, path)` makes it.

    `cube` says whether it holds catalogues of cubes alone (True), of images alone (False) or both (None).
    """

    suffixes: tuple[str, ...]
    module: str
    cube: bool | None = None


FORMATS: dict[str, Format] = {
    "fits": Format((".fits", ".fit", ".fits.gz"), "fits"),
    "votable": Format((".vot", ".votable", ".xml"), "votable"),
    "ecsv": Format((".ecsv",), "ecsv"),
    "csv": Format((".csv",), "csv"),
    "parquet": Format((".parquet", ".pq"), "parquet"),
    "ds9": Format((".reg",), "ds9"),
    "sdc1": Format((".txt", ".sdc1", ".dat"), "sdc1_export", cube=False),
    "sofia": Format(("_cat.txt", ".sofia"), "sofia", cube=True),
    "sdc2": Format((".txt", ".sdc2", ".dat"), "sdc2_export", cube=True),
}


def choose_format(path: str | os.PathLike[str], format: str = "auto", *, cube: bool = False) -> str:
    """Name of the format that a file is to have.

    Parameters
    ----------
    path : path
        File to write; its suffix decides where `format` is "auto".
    format : str
        "auto" or a name of `FORMATS`.
    cube : bool
        Whether the catalogue is of a cube; some suffixes mean another format then.

    Raises
    ------
    OutputError
        The name or the suffix is unknown.
    """
    if format in FORMATS:
        return format
    if format != "auto":
        raise OutputError(f"format {format!r} is unknown; expected auto, {', '.join(FORMATS)}")
    name = Path(path).name.lower()
    fitting = {known: row for known, row in FORMATS.items() if row.cube in (None, cube)}
    for known, row in fitting.items():
        if name.endswith(row.suffixes):
            return known
    suffixes = ", ".join(suffix for row in fitting.values() for suffix in row.suffixes)
    raise OutputError(f"{path}: no format goes by this suffix; expected one of {suffixes}, or a format")


def write_catalog(
    catalog: Catalog,
    path: str | os.PathLike[str],
    *,
    format: str = "auto",
    overwrite: bool = False,
    primary_beam: str | os.PathLike[str] | None = None,
) -> None:
    """Write a catalogue; see `Catalog.write`."""
    chosen = choose_format(path, format, cube=catalog.is_cube)
    # a format's library is imported when it is asked for: pyarrow alone takes as long as NumPy
    writer = import_module(f"skadetect.catalog.{FORMATS[chosen].module}")
    extra = {"primary_beam": primary_beam} if chosen == "sdc1" else {}
    with atomic_path(path, overwrite=overwrite) as temporary:
        writer.write(catalog, temporary, **extra)

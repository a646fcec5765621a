"""The result of a detection: a table that knows its units, its meaning and its formats."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from astropy.table import QTable

from skadetect.catalog.formats import write_catalog
from skadetect.catalog.reading import read_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Catalog:
    """Sources of one image or cube, brightest first.

    Attributes
    ----------
    table : astropy.table.QTable
        Columns of `skadetect.catalog.schema.COLUMNS`, or of `skadetect.catalog.cube_schema.CUBE_COLUMNS` for
        a cube, with unit, description and UCD (``info.meta["ucd"]``); ``table.meta`` holds the provenance by
        the keywords of `skadetect.catalog.schema.KEYWORDS`.
    """

    table: QTable

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Catalog:
        """Read a catalogue that was written as FITS, ECSV or VOTable; raises InputError if it cannot be."""
        return cls(read_table(path))

    @property
    def is_cube(self) -> bool:
        """Whether the sources are galaxies in a cube: lines with a frequency, not fluxes alone."""
        return "f_sum" in self.table.colnames

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, name: str) -> Any:
        """One column; a Quantity where it has a unit."""
        return self.table[name]

    def __iter__(self) -> Iterator[Any]:
        """Rows of the table."""
        return iter(self.table)

    @property
    def meta(self) -> dict[str, Any]:
        """Provenance, by keyword."""
        return self.table.meta

    @property
    def colnames(self) -> list[str]:
        """Names of the columns, in order."""
        return list(self.table.colnames)

    def to_pandas(self) -> pd.DataFrame:
        """The columns as a DataFrame; units are those of the schema and are not kept."""
        return self.table.to_pandas()

    def write(
        self,
        path: str | os.PathLike[str],
        *,
        format: str = "auto",
        overwrite: bool = False,
        primary_beam: str | os.PathLike[str] | None = None,
    ) -> None:
        """Write the catalogue; the file appears under its name only when it is complete.

        Parameters
        ----------
        path : path
            File to write.
        format : str
            A name of `skadetect.catalog.formats.FORMATS`, or "auto" to go by the suffix (and, for a text
            file, by whether this is a catalogue of an image or of a cube).
        overwrite : bool
            Replace a file that exists.
        primary_beam : path, optional
            FITS image of the primary beam; the sdc1 format divides fluxes by it, others hold apparent fluxes.

        Raises
        ------
        OutputError
            The format is unknown, the file exists, or it cannot be written.
        InputError
            The primary beam cannot be used, or the format is not for catalogues of this kind.
        """
        write_catalog(self, path, format=format, overwrite=overwrite, primary_beam=primary_beam)

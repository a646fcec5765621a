"""A cube's catalogue in the nine columns of the second SKA Science Data Challenge."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from astropy import units as u

from skadetect.catalog.plain import plain_columns
from skadetect.catalog.sdc2 import SDC2_COLUMNS, write_sdc2
from skadetect.errors import InputError

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog

logger = logging.getLogger(__name__)

#: The challenge's names of our columns.
_NAMES = {
    "id": "id", "ra": "ra", "dec": "dec", "hi_size": "hi_size", "f_sum": "line_flux_integral",
    "freq": "central_freq", "kin_pa": "pa", "incl": "i", "w20": "w20",
}  # fmt: skip


def write(catalog: Catalog, path: Path) -> None:
    """Write a catalogue to a path that may be overwritten."""
    write_sdc2(to_sdc2(catalog), path)


def to_sdc2(catalog: Catalog) -> pd.DataFrame:
    """The nine columns of the challenge.

    Parameters
    ----------
    catalog : Catalog
        Of a cube, with fluxes in Jy Hz.

    Returns
    -------
    DataFrame
        `SDC2_COLUMNS`: degrees, arcsec, Jy Hz, Hz, km/s. Rows with a number that is not known, or a flux that
        is not positive, are left out: the challenge has no place for them.

    Raises
    ------
    InputError
        The catalogue is of an image, or its fluxes are not in Jy Hz.
    """
    if not catalog.is_cube:
        raise InputError("the sdc2 format holds galaxies of cubes; this catalogue is of an image")
    if catalog["f_sum"].unit != u.Jy * u.Hz:
        raise InputError(f"line fluxes are in {catalog['f_sum'].unit}; the sdc2 format expects Jy Hz")
    columns = plain_columns(catalog.table, _NAMES)
    table = pd.DataFrame({_NAMES[name]: values for name, values in columns.items()})[list(SDC2_COLUMNS)]
    usable = np.isfinite(table.to_numpy(np.float64)).all(axis=1) & (table["line_flux_integral"] > 0)
    if not usable.all():
        logger.warning("%d sources without a flux or a shape are not exported", int((~usable).sum()))
    return table[usable].reset_index(drop=True)

"""A catalogue in the twelve columns of the first SKA Science Data Challenge, fluxes without the primary beam.

The challenge counts position angles clockwise from due west, and takes intrinsic sizes. Sizes are exported as
Gaussian FWHM (size 2), uncertain angles as they are expected to score best; class and core fraction, not
measured, are those of nearly every source.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from astropy.wcs import WCS
from numpy.typing import NDArray

from skadetect.astrometry import sky_to_pixel
from skadetect.catalog.plain import plain_columns
from skadetect.catalog.sdc1 import SDC1_COLUMNS, write_sdc1
from skadetect.catalog.sdc1_angle import best_angle
from skadetect.errors import InputError
from skadetect.fits_source import open_fits
from skadetect.header_repair import repair_header
from skadetect.image_axes import celestial_wcs, find_axes

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog

logger = logging.getLogger(__name__)

SIZE_GAUSSIAN, CLASS_STAR_FORMING, CORE_FRACTION = 2, 3, 0.0375


def write(catalog: Catalog, path: Path, *, primary_beam: str | os.PathLike[str] | None = None) -> None:
    """Write a catalogue to a path that may be overwritten."""
    write_sdc1(to_sdc1(catalog, primary_beam=primary_beam), path)


def to_sdc1(catalog: Catalog, *, primary_beam: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """The twelve columns of the challenge.

    Parameters
    ----------
    catalog : Catalog
        With fluxes in Jy.
    primary_beam : path, optional
        FITS image of the primary beam, 1 at its centre; fluxes are divided by it. Without it they stay
        apparent.

    Returns
    -------
    DataFrame
        `SDC1_COLUMNS`, degrees, Jy and arcsec. Rows whose flux is not positive, or where the primary beam is
        blank or 0, are left out: the challenge has no place for them.

    Raises
    ------
    InputError
        The catalogue is of a cube, fluxes are not in Jy, or the primary beam cannot be read.
    """
    if catalog.is_cube:
        raise InputError("the sdc1 format holds sources of continuum images; for a cube take sdc2 or sofia")
    columns = plain_columns(catalog.table, catalog.colnames)
    if str(catalog["int_flux"].unit) != "Jy":
        raise InputError(f"integrated fluxes are in {catalog['int_flux'].unit}; the sdc1 format expects Jy")
    flux = columns["int_flux"].astype(np.float64)
    if primary_beam is not None:
        gain = primary_beam_at(primary_beam, columns["ra"], columns["dec"])
        flux = np.divide(flux, gain, out=np.full(len(flux), np.nan), where=gain > 0)
    table = pd.DataFrame(
        {
            "id": columns["source_id"], "ra_core": columns["ra"], "dec_core": columns["dec"],
            "ra_cent": columns["ra"], "dec_cent": columns["dec"], "flux": flux, "core_frac": CORE_FRACTION,
            "b_maj": columns["bmaj_deconv"], "b_min": columns["bmin_deconv"],
            "pa": best_angle(sdc1_angle(columns["pa_deconv"]), columns["e_pa_deconv"]),
            "size": SIZE_GAUSSIAN, "class": CLASS_STAR_FORMING,
        },
        columns=list(SDC1_COLUMNS),
    )  # fmt: skip
    usable = np.isfinite(flux) & (flux > 0)
    if not usable.all():
        logger.warning("%d sources without a positive corrected flux are not exported", int((~usable).sum()))
    return table[usable].reset_index(drop=True)


def sdc1_angle(pa: NDArray[np.floating]) -> NDArray[np.float64]:
    """Position angles (n,), degrees north through east, as degrees clockwise from west, in (-90, 90]."""
    clockwise = -np.asarray(pa, np.float64) - 90.0
    return 90.0 - np.mod(90.0 - clockwise, 180.0)


def primary_beam_at(
    primary_beam: str | os.PathLike[str], ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Gain of the primary beam at positions, between its pixels by bilinear interpolation.

    Parameters
    ----------
    primary_beam : path
        FITS image.
    ra, dec : array (n,)
        Degrees.

    Returns
    -------
    array (n,)
        NaN where a pixel is blank, or the position lies outside of the image by more than half a pixel.

    Raises
    ------
    InputError
        The file is not a FITS image with celestial axes.
    """
    gain, wcs = _read_gain(Path(primary_beam))
    x, y = sky_to_pixel(wcs, ra, dec)
    return bilinear(gain, x, y)


def bilinear(
    gain: NDArray[np.float32], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values (n,) between the pixels of a (y, x) array; NaN beside blank pixels and outside."""
    height, width = gain.shape
    outside = ~((x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5))
    x, y = np.clip(np.nan_to_num(x), 0, width - 1), np.clip(np.nan_to_num(y), 0, height - 1)
    x0, y0 = np.minimum(x.astype(int), max(width - 2, 0)), np.minimum(y.astype(int), max(height - 2, 0))
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    fx, fy = x - x0, y - y0
    low = gain[y0, x0] * (1 - fx) + gain[y0, x1] * fx
    high = gain[y1, x0] * (1 - fx) + gain[y1, x1] * fx
    values = low * (1 - fy) + high * fy
    values[outside] = np.nan
    return values


def _read_gain(path: Path) -> tuple[NDArray[np.float32], WCS]:
    """Pixels and coordinates of a primary beam, whose header needs neither a unit nor a restoring beam."""
    header, pixels = open_fits(path)
    header, _ = repair_header(header)
    axes, _ = find_axes(header, pixels.array_shape, name=path.name)
    pixels = replace(pixels, order=axes.order)
    wcs = celestial_wcs(header, axes, shape=pixels.shape[1:], name=path.name)
    return pixels.read((0, 0, 0), (1, *pixels.shape[1:]))[0], wcs

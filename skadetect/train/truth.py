"""True catalogues, read from SDC1 text or any table with our columns, and put on an image's pixels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates

from skadetect.beams import PixelBeam
from skadetect.catalog.sdc1 import read_sdc1
from skadetect.errors import InputError
from skadetect.train.sources import Sources, expected_peak

# Gaussian-equivalent FWHM of SDC1's sizes: largest angular size, FWHM, exponential scale length.
FWHM_OF_SIZE = {1: 2.355 / 5.0, 2: 1.0, 3: np.sqrt(2.0)}
# SDC1 draws discs with its scale length as half-light diameter: peaks follow that, not the catalogue size.
DRAWN_FWHM_OF_SIZE = {1: 2.355 / 5.0, 2: 1.0, 3: 1.0}
TABLE_UNITS = {"ra": u.deg, "dec": u.deg, "int_flux": u.Jy, "bmaj": u.arcsec, "bmin": u.arcsec, "pa": u.deg}
SDC1_SUFFIXES = (".txt", ".dat", "")


@dataclass(frozen=True)
class Truth:
    """Columns of n sources on the sky.

    Attributes
    ----------
    ra, dec : numpy.ndarray, (n,)
        Degrees.
    flux : numpy.ndarray, (n,)
        Integrated flux before any primary beam, Jy.
    bmaj, bmin : numpy.ndarray, (n,)
        Intrinsic Gaussian-equivalent FWHM, arcsec.
    pa : numpy.ndarray, (n,)
        Degrees from north through east.
    spread : numpy.ndarray, (n,)
        Ratio of the FWHM that the peak follows to the catalogued one; 1 for a Gaussian.
    """

    ra: np.ndarray
    dec: np.ndarray
    flux: np.ndarray
    bmaj: np.ndarray
    bmin: np.ndarray
    pa: np.ndarray
    spread: np.ndarray


def read_truth(path: str | os.PathLike[str]) -> Truth:
    """Read a truth catalogue.

    Parameters
    ----------
    path : path
        SDC1 text (.txt, .dat) of 12 or 15 columns, or any table that astropy reads with columns ra, dec,
        int_flux and, intrinsic, bmaj_deconv, bmin_deconv and pa_deconv (or else bmaj, bmin, pa). Columns
        without a unit are in degrees, Jy and arcsec.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column.
    """
    path = Path(path)
    return _from_sdc1(path) if path.suffix.lower() in SDC1_SUFFIXES else _from_table(path)


def place(truth: Truth, wcs: WCS, *, pixel_scale: float) -> Sources:
    """Sources in an image's pixels; fluxes stay in Jy and `peak_snr` is left at zero.

    Parameters
    ----------
    truth : Truth
        On the sky.
    wcs : astropy.wcs.WCS
        Celestial, of the image.
    pixel_scale : float
        Arcsec a pixel.
    """
    x, y = wcs.all_world2pix(truth.ra, truth.dec, 0)
    # the angle of a short arc along the position angle, wherever north is on this image
    step = pixel_scale / 3600.0
    pa = np.radians(truth.pa)
    east = np.sin(pa) / np.cos(np.radians(truth.dec))
    x_far, y_far = wcs.all_world2pix(truth.ra + step * east, truth.dec + step * np.cos(pa), 0)
    theta = np.arctan2(y_far - y, x_far - x)
    sizes = truth.bmaj / pixel_scale, truth.bmin / pixel_scale
    return Sources(np.stack([y, x], axis=1), truth.flux, *sizes, theta, np.zeros(len(x)))


def attenuate(
    sources: Sources, truth: Truth, *, gain: np.ndarray, rms: np.ndarray, beam: PixelBeam
) -> Sources:
    """Fluxes as seen: times the primary beam, over the local rms; and the peaks to expect.

    Parameters
    ----------
    sources : Sources
        From `place`, of the same rows as `truth`.
    gain, rms : numpy.ndarray, (n,)
        Primary beam and local rms (Jy/beam) at the sources.
    beam : PixelBeam
        Restoring beam.
    """
    flux = truth.flux * gain / rms
    drawn = sources.bmaj * truth.spread, sources.bmin * truth.spread
    return sources.with_(flux=flux, peak_snr=expected_peak(flux, *drawn, sources.theta, beam))


def primary_beam_at(path: str | os.PathLike[str], ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """The primary beam's response at sky positions, linear between pixels, constant beyond the edge.

    Parameters
    ----------
    path : path
        FITS image of the response, 1 at the pointing centre.
    ra, dec : numpy.ndarray, (n,)
        Degrees.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    try:
        with fits.open(path) as hdus:
            response = np.nan_to_num(np.squeeze(np.asarray(hdus[0].data, np.float64)))
            wcs = WCS(hdus[0].header).celestial
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"primary beam '{path}' cannot be read: {error}") from error
    if response.ndim != 2:
        raise InputError(f"primary beam '{path}' has {response.ndim} axes, expected 2 beside degenerate ones")
    x, y = wcs.all_world2pix(ra, dec, 0)
    return np.asarray(map_coordinates(response, [y, x], order=1, mode="nearest"))


def _from_sdc1(path: Path) -> Truth:
    """SDC1 columns in our conventions: angles from north, sizes as Gaussian FWHM."""
    table = read_sdc1(path, strict=False)
    kind = table["size"].to_numpy(int)
    factor = np.array([FWHM_OF_SIZE.get(k, np.nan) for k in range(4)])[np.clip(kind, 0, 3)]
    drawn = np.array([DRAWN_FWHM_OF_SIZE.get(k, np.nan) for k in range(4)])[np.clip(kind, 0, 3)]
    column = {name: table[name].to_numpy(np.float64) for name in ("ra_core", "dec_core", "flux", "pa")}
    wide, narrow = table["b_maj"].to_numpy(np.float64) * factor, table["b_min"].to_numpy(np.float64) * factor
    return Truth(
        column["ra_core"],
        column["dec_core"],
        column["flux"],
        wide,
        narrow,
        -90.0 - column["pa"],
        drawn / factor,
    )


def _from_table(path: Path) -> Truth:
    """Columns of any table by name, in our units."""
    try:
        table = Table.read(path)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"truth catalogue '{path}' cannot be read: {str(error).splitlines()[0]}") from error
    columns = []
    for name, unit in TABLE_UNITS.items():
        found = f"{name}_deconv" if f"{name}_deconv" in table.colnames else name
        if found not in table.colnames:
            raise InputError(
                f"truth catalogue '{path}' has no column '{name}', expected {', '.join(TABLE_UNITS)}"
            )
        column = table[found]
        scale = 1.0 if column.unit is None else u.Unit(column.unit).to(unit)
        columns.append(np.asarray(column, np.float64) * scale)
    ra, dec, flux, bmaj, bmin, pa = columns
    return Truth(ra, dec, flux, bmaj, bmin, pa, np.ones(len(table)))

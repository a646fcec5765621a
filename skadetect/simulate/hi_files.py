"""Write a simulated cube channel by channel, its continuum and its truth."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS, FITSFixedWarning
from numpy.typing import NDArray

from skadetect.atomic import atomic_path
from skadetect.errors import OutputError
from skadetect.simulate.hi_options import LIGHT_SPEED, REST_FREQUENCY, HiTelescope

Floats = NDArray[np.float64]

# SDC2's columns and how they are written.
TRUTH_COLUMNS = {
    "id": "%d",
    "ra": "%.8f",
    "dec": "%.8f",
    "hi_size": "%.5f",
    "line_flux_integral": "%.6g",
    "central_freq": "%.1f",
    "pa": "%.4f",
    "i": "%.4f",
    "w20": "%.4f",
}
_BLOCK = 2880  # FITS files come in blocks of bytes


def cube_header(telescope: HiTelescope, position: tuple[float, float]) -> fits.Header:
    """Header of the cube: right ascension, declination (SIN) and frequency or radio velocity.

    Parameters
    ----------
    telescope : HiTelescope
        Grid, frequencies and beam.
    position : tuple of float
        Right ascension and declination of the cube's middle, degrees.

    Returns
    -------
    astropy.io.fits.Header
        Complete, SIMPLE to the beam.
    """
    header = _basic_header(telescope.shape)
    _celestial_axes(header, telescope, position)
    frequency, velocity = telescope.frequencies[0], 1e3 * LIGHT_SPEED / REST_FREQUENCY
    if telescope.ascending:
        axis = "FREQ", frequency, telescope.step, "Hz"
    else:
        axis = "VRAD", velocity * (REST_FREQUENCY - frequency), -velocity * telescope.step, "m/s"
    _axis(header, 3, axis, 1.0)
    header["RESTFRQ"] = (REST_FREQUENCY, "Hz")
    header["SPECSYS"] = "BARYCENT"
    _finish(header, telescope)
    return header


def continuum_header(telescope: HiTelescope, position: tuple[float, float]) -> fits.Header:
    """Header of the continuum image on the cube's grid.

    Parameters
    ----------
    telescope : HiTelescope
        Grid and beam.
    position : tuple of float
        Right ascension and declination of the image's middle, degrees.

    Returns
    -------
    astropy.io.fits.Header
        Two axes.
    """
    header = _basic_header(telescope.shape[1:])
    _celestial_axes(header, telescope, position)
    _finish(header, telescope)
    return header


def write_planes(path: Path, header: fits.Header, slabs: Iterable[NDArray[np.float32]]) -> None:
    """Write a FITS file piece by piece, atomically.

    Parameters
    ----------
    path : Path
        Where; its folder is created.
    header : astropy.io.fits.Header
        Complete.
    slabs : iterable of ndarray
        The pixels in file order.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    make_folder(path.parent)
    with atomic_path(path, overwrite=True) as temporary, temporary.open("wb") as file:
        file.write(header.tostring().encode("ascii"))
        for slab in slabs:
            file.write(slab.astype(">f4").tobytes())
        file.write(b"\0" * (-file.tell() % _BLOCK))


def write_truth(folder: Path, table: Table) -> None:
    """Write truth.txt, SDC2's columns under a row of their names, and truth.ecsv, all columns.

    Parameters
    ----------
    folder : Path
        Where; it is created.
    table : astropy.table.Table
        With at least SDC2's columns.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    make_folder(folder)
    columns = [table[name].tolist() for name in TRUTH_COLUMNS]
    form = " ".join(TRUTH_COLUMNS.values())
    lines = [" ".join(TRUTH_COLUMNS), *(form % row for row in zip(*columns, strict=True))]
    with atomic_path(folder / "truth.txt", overwrite=True) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    with atomic_path(folder / "truth.ecsv", overwrite=True) as temporary:
        table.write(temporary, format="ascii.ecsv", overwrite=True)


def make_folder(folder: Path) -> None:
    """Create a folder and those above it.

    Parameters
    ----------
    folder : Path
        It may exist.

    Raises
    ------
    OutputError
        It cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error}); expected a writable folder") from error


def sky_positions(header: fits.Header, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Right ascension and declination of pixels.

    Parameters
    ----------
    header : astropy.io.fits.Header
        The cube's.
    x, y : ndarray, shape (n,)
        0-based pixels.

    Returns
    -------
    ra, dec : ndarray, shape (n,)
        Degrees.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        ra, dec = WCS(header).celestial.all_pix2world(x, y, 0)
    return np.asarray(ra), np.asarray(dec)


def _basic_header(shape: tuple[int, ...]) -> fits.Header:
    header = fits.Header()
    header["SIMPLE"] = True
    header["BITPIX"] = -32
    header["NAXIS"] = len(shape)
    for i, n in enumerate(reversed(shape), start=1):
        header[f"NAXIS{i}"] = n
    return header


def _celestial_axes(header: fits.Header, telescope: HiTelescope, position: tuple[float, float]) -> None:
    step = telescope.pixel_scale / 3600
    _, rows, columns = telescope.shape
    _axis(header, 1, ("RA---SIN", position[0], -step, "deg"), (columns + 1) / 2)
    _axis(header, 2, ("DEC--SIN", position[1], step, "deg"), (rows + 1) / 2)


def _axis(header: fits.Header, i: int, axis: tuple[str, float, float, str], pixel: float) -> None:
    kind, value, step, unit = axis
    header[f"CTYPE{i}"], header[f"CUNIT{i}"] = kind, unit
    header[f"CRPIX{i}"], header[f"CDELT{i}"], header[f"CRVAL{i}"] = pixel, float(step), float(value)


def _finish(header: fits.Header, telescope: HiTelescope) -> None:
    header["RADESYS"] = "FK5"
    header["EQUINOX"] = 2000.0
    header["BMAJ"] = (telescope.beam_major / 3600, "deg")
    header["BMIN"] = (telescope.beam_minor / 3600, "deg")
    header["BPA"] = (telescope.beam_pa, "deg, north through east")
    header["BUNIT"] = "JY/BEAM"
    header["ORIGIN"] = "skadetect simulation"

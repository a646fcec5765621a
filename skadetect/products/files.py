"""Products as FITS files, each written whole."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from numpy.typing import NDArray

from skadetect.atomic import atomic_path
from skadetect.errors import OutputError
from skadetect.image import Image
from skadetect.products.headers import COMMENTS, KEY, cube_header, map_header, spectral_frame
from skadetect.products.maps import Moments, Spectrum
from skadetect.products.mask import Mask
from skadetect.products.sources import Source, spectral_axis

CUBE_UNIT, TOTAL_UNIT, VELOCITY_UNIT = "Jy/beam", "Jy.Hz/beam", "km/s"


def is_done(paths: dict[str, Path], key: str, *, overwrite: bool) -> bool:
    """Whether all products of a galaxy are there, made of the same source, image and options.

    Parameters
    ----------
    paths : dict of str to Path
        Where its products are, by kind.
    key : str
        What they should be made of.
    overwrite : bool
        Files made of something else are no error: they will be replaced.

    Raises
    ------
    OutputError
        If a file of that name is something else, and may not be replaced.
    """
    present = {kind: path for kind, path in paths.items() if os.path.lexists(path)}
    fits_files = [path for kind, path in present.items() if kind != "png"]
    other = [path for path in fits_files if _key_of(path) != key]
    if other and not overwrite:
        raise OutputError(
            f"{other[0]} exists and is not of this source of this catalogue: "
            "expected an empty folder, or overwrite"
        )
    return not other and len(present) == len(paths)


def write_fits(path: Path, hdu: Any) -> None:
    """Write one HDU as a file that is whole or not there.

    Raises
    ------
    OutputError
        If the disk does not take it.
    """
    with atomic_path(path, overwrite=True) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", VerifyWarning)  # of comments that a long value leaves no room for
        hdu.writeto(temporary, overwrite=True)


def cube_hdu(pixels: NDArray[np.float32], image: Image, source: Source, key: str) -> fits.PrimaryHDU:
    """The pixels of the window."""
    return fits.PrimaryHDU(pixels, cube_header(image, source, key, unit=CUBE_UNIT))


def mask_hdu(mask: Mask, image: Image, source: Source, key: str) -> fits.PrimaryHDU:
    """1 for the galaxy's voxels, 0 elsewhere."""
    header = cube_header(image, source, key, unit="")
    header["NOISE"] = (mask.noise, "[Jy/beam] noise of a voxel")
    header["MASKED"] = (mask.found, "F: nothing stood out, the ellipse instead")
    return fits.PrimaryHDU(mask.voxels.astype(np.uint8), header)


def moment_hdus(moments: Moments, image: Image, source: Source, key: str) -> dict[str, fits.PrimaryHDU]:
    """The maps, by kind."""
    maps = {
        "mom0": (moments.total, TOTAL_UNIT, "HI"),
        "mom1": (moments.velocity, VELOCITY_UNIT, "velocity"),
        "mom2": (moments.dispersion, VELOCITY_UNIT, "dispersion"),
    }
    hdus = {}
    for kind, (values, unit, what) in maps.items():
        header = map_header(image, source, key, unit=unit)
        for name, card in spectral_frame(spectral_axis(image)).items():
            header[name] = card
        header["BTYPE"] = what
        if kind != "mom0":
            header["VELDEF"] = (moments.convention, COMMENTS[moments.convention])
            header["FREQ"] = (source.row["freq"], "[Hz] of the galaxy")
        hdus[kind] = fits.PrimaryHDU(values.astype(np.float32), header)
    return hdus


def spectrum_hdus(
    spectrum: Spectrum, convention: str, image: Image, source: Source, key: str
) -> fits.HDUList:
    """The spectrum as a table; the first HDU tells what it is of."""
    columns = [
        fits.Column("channel", "J", array=spectrum.channel),
        fits.Column("freq", "D", "Hz", array=spectrum.freq),
        fits.Column("velocity", "D", "km/s", array=spectrum.velocity),
        fits.Column("flux_density", "D", "Jy", array=spectrum.flux),
        fits.Column("error", "D", "Jy", array=spectrum.error),
        fits.Column("n_pix", "J", array=spectrum.n_pix),
        fits.Column("aperture_flux_density", "D", "Jy", array=spectrum.aperture_flux),
        fits.Column("aperture_error", "D", "Jy", array=spectrum.aperture_error),
        fits.Column("aperture_n_pix", "J", array=spectrum.aperture_n_pix),
    ]
    whole = map_header(image, source, key, unit="Jy")
    about = {name: whole[name] for name in ("OBJECT", "SOURCEID", "PARENT", "ORIGIN", KEY)}
    about |= spectral_frame(spectral_axis(image))
    about["VELDEF"] = (convention, COMMENTS[convention])
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    first = fits.PrimaryHDU()
    for header in (first.header, table.header):
        header.update(about)
    return fits.HDUList([first, table])


def _key_of(path: Path) -> str:
    """What a file was made of; empty if it does not say."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that are not ours
            return str(fits.getheader(path).get(KEY, ""))
    except (OSError, ValueError, fits.VerifyError):
        return ""

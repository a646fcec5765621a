"""Maps of a whole image: background, noise, the catalogue's sources, what they leave, and where they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from skadetect import __version__
from skadetect.astrometry import pa_to_theta
from skadetect.atomic import atomic_path
from skadetect.background import estimate_background
from skadetect.background_mesh import Background
from skadetect.beams import convolve
from skadetect.catalog.catalog import Catalog
from skadetect.errors import OutputError
from skadetect.image import Image
from skadetect.pixels import Corner
from skadetect.products.files import is_done
from skadetect.products.headers import KEY, image_header
from skadetect.products.options import image_stem, made_folder
from skadetect.sky_model import SkyModel
from skadetect.views import pieces

#: What each map shows; all but the mask are in the unit of the image.
KINDS = {
    "background": "background",
    "rms": "noise",
    "model": "sources of the catalogue, through the beam",
    "residual": "image without the model",
    "mask": "1 where the model exceeds the noise",
}


def write_maps(
    catalog: Catalog,
    image: Image,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Path]:
    """Write the maps of `KINDS`, each as large as the image, a few rows of pixels at a time.

    Maps that are all there, made of the same catalogue and image, are kept.

    Parameters
    ----------
    catalog : Catalog
        Of the image.
    image : Image
        As it is in the file.
    folder : path
        Made if absent.
    overwrite : bool
        Replace files of the same names that are of something else.
    progress : callable, optional
        Called with (pieces done, pieces in all).

    Returns
    -------
    dict of str to Path
        The files, by kind: ``NAME_rms.fits`` and so on.

    Raises
    ------
    OutputError
        If files of the same names are of something else (and overwrite is off), or cannot be written.
    """
    if image.ndim != 2 or image.factor != 1.0:
        raise ValueError(f"{image.name} is no image as it is in a file; maps are made of its pixels")
    made = made_folder(folder)
    paths = {kind: made / f"{image_stem(image.name)}_{kind}.fits" for kind in KINDS}
    model = catalog_model(catalog, image)
    key = hashlib.sha256(f"{__version__} {image.name} {image.shape} {model.digest}".encode()).hexdigest()[:16]
    if is_done(paths, key, overwrite=overwrite):
        return paths
    background = estimate_background(image)
    windows = list(pieces(image))
    with ExitStack() as stack:
        files = {kind: _opened(stack, path, kind, image, key) for kind, path in paths.items()}
        for done, (low, high) in enumerate(windows):
            for kind, values in _maps(image, background, model, low, high).items():
                _append(files[kind], values, paths[kind])
            if progress is not None:
                progress(done + 1, len(windows))
    return paths


def catalog_model(catalog: Catalog, image: Image) -> SkyModel:
    """The sources of a catalogue as the beam of an image shows them.

    Parameters
    ----------
    catalog : Catalog
        Of an image: `x`, `y`, `int_flux` and the axes without the beam are used.
    image : Image
        As it is in the file.
    """
    table = catalog.table
    x, y = (np.asarray(table[name].value, np.float64) for name in ("x", "y"))
    axes = (np.asarray(table[f"{name}_deconv"].value, np.float64) for name in ("bmaj", "bmin"))
    bmaj, bmin = (axis / image.pixel_scale for axis in axes)
    theta = pa_to_theta(image.wcs, x, y, np.asarray(table["pa_deconv"].value, np.float64))
    return SkyModel.of(
        np.stack([y, x], axis=1),
        np.asarray(table["int_flux"].value, np.float64),
        convolve(bmaj, bmin, theta, image.pixel_beam),
        beam=image.pixel_beam,
        noise=np.asarray(table["local_rms"].value, np.float64),
    )


def _maps(
    image: Image, background: Background, model: SkyModel, low: Corner, high: Corner
) -> dict[str, NDArray[np.float32] | NDArray[np.uint8]]:
    """All maps of some rows; blank pixels are blank in each but the mask, where they are 0."""
    pixels = image.read(low, high)[0]
    level, rms = (each[0] for each in background.at(low, high))
    drawn = np.zeros(pixels.shape, np.float32)
    model.add_to(drawn, low[1:])
    mask = (drawn > rms) & np.isfinite(pixels)
    for values in (level, rms, drawn):
        values[np.isnan(pixels)] = np.nan
    return {
        "background": level,
        "rms": rms,
        "model": drawn,
        "residual": pixels - drawn,
        "mask": mask.astype(np.uint8),
    }


def _opened(stack: ExitStack, path: Path, kind: str, image: Image, key: str) -> fits.StreamingHDU:
    """A file that takes pixels in order, and has its name once it is whole."""
    temporary = stack.enter_context(atomic_path(path, overwrite=True))
    temporary.unlink()  # a stream goes on from what is there
    header = image_header(image, unit="" if kind == "mask" else image.unit.to_string("fits"))
    header["BTYPE"] = KINDS[kind]
    header[KEY] = (key, "of catalogue and image")
    shape = {"NAXIS": 2, "NAXIS1": image.shape[2], "NAXIS2": image.shape[1]}
    whole = fits.Header([("SIMPLE", True), ("BITPIX", 8 if kind == "mask" else -32), *shape.items()])
    whole.extend(header.cards)
    return stack.enter_context(fits.StreamingHDU(temporary, whole))


def _append(file: fits.StreamingHDU, values: NDArray[np.float32] | NDArray[np.uint8], path: Path) -> None:
    try:
        file.write(values if values.dtype == np.uint8 else values.astype(">f4"))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error

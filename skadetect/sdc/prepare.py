"""Before anything is trained or found: maps of background and noise, and the training area in parts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from skadetect.atomic import atomic_path
from skadetect.background import estimate_background
from skadetect.image import Image, open_image
from skadetect.ledger import file_identity
from skadetect.sdc.cutout import Window, write_cutout
from skadetect.sdc.steps import Steps, make_folder
from skadetect.search import background_options

logger = logging.getLogger(__name__)

#: Of a training area: to train on, to choose the best weights by, to tune thresholds on.
PARTS = ("train", "validate", "tune")


@dataclass(frozen=True)
class Area:
    """A training area.

    Attributes
    ----------
    image, catalogue : Path
        The image that it lies in, and its sources.
    window : Window
        Where.
    """

    image: Path
    catalogue: Path
    window: Window


def map_noise(source: Path, folder: Path, *, beam: Any = None) -> None:
    """Write background.fits and rms.fits: the mesh of an image, channel by channel, Jy/beam.

    Parameters
    ----------
    source : Path
        The image.
    folder : Path
        Of the run; nothing is done if they are there already.
    beam : optional
        Instead of the header's.
    """
    targets = folder / "background.fits", folder / "rms.fits"
    steps, key = Steps(folder), file_identity(source)
    if steps.done("noise", key, needs=targets) is not None:
        return
    image = open_image(source, beam=beam)
    found = estimate_background(image, background_options(image))
    make_folder(folder)
    for path, mesh in zip(targets, (found.level, found.rms), strict=True):
        header = fits.Header({"BUNIT": "Jy/beam", "IMAGE": source.name})
        with atomic_path(path, overwrite=True) as temporary:
            fits.PrimaryHDU(mesh.astype(np.float32), header).writeto(temporary, overwrite=True)
    steps.record("noise", key, {"median_rms": float(np.median(found.rms))})


def cut_parts(
    area: Area,
    folder: Path,
    shares: tuple[float, float, float],
    write_truth: Callable[[Image, Window, Path], int],
    *,
    beam: Any = None,
) -> dict[str, Path]:
    """Cut a training area into its parts.

    Parameters
    ----------
    area : Area
    folder : Path
        Of the run; parts that are there already stay.
    shares : (float, float, float)
        Of the area, for each of `PARTS`, side by side along its longer axis.
    write_truth : callable
        Writes truth.txt and the like of a window into a folder, and says how many sources it has.
    beam : optional
        Instead of the header's.

    Returns
    -------
    dict of str to Path
        Folder of each part, with image.fits and truth.txt.
    """
    folders = {name: folder / "area" / name for name in PARTS}
    steps, key = Steps(folder), parts_key(area, shares)
    if steps.done("area", key, needs=tuple(one / "image.fits" for one in folders.values())) is None:
        image, counts = open_image(area.image, beam=beam), {}
        for (name, one), part in zip(folders.items(), area.window.split(shares), strict=True):
            write_cutout(image, part, make_folder(one) / "image.fits")
            counts[name] = write_truth(image, part, one)
        logger.info("training area: %s", counts)
        steps.record("area", key, counts)
    return folders


def parts_key(area: Area, shares: tuple[float, float, float]) -> list[Any]:
    """What decides the parts."""
    files = [file_identity(area.image), file_identity(area.catalogue)]
    return [*files, asdict(area.window), list(shares)]

"""Sources that were found in smoothed views of an image, as sources of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skadetect.astrometry import theta_to_pa
from skadetect.beams import convolve
from skadetect.catalog.assemble import Columns
from skadetect.catalog.columns import is_resolved, source_columns
from skadetect.catalog.flags import Flag
from skadetect.catalog.provenance import CatalogOptions, ModelInfo
from skadetect.detections import Detections
from skadetect.image import Image

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Coarser:
    """What was found in a smoothed view of an image.

    Attributes
    ----------
    rows : Detections
        In pixels of the view, measured there.
    view : Image
        From `skadetect.residual`: its beam is wider.
    rms, background : array (n,)
        Of the image itself where the rows are, in its unit.
    """

    rows: Detections
    view: Image
    rms: Floats
    background: Floats

    def __len__(self) -> int:
        return len(self.rows)


def columns_in_image(part: Coarser, image: Image, model: ModelInfo, options: CatalogOptions) -> Columns:
    """All columns of the catalogue for what was found in a smoothed view, not numbered yet.

    Places, intrinsic shapes and fluxes are those of the view. Axes through the beam and the peak are worked
    out for the beam of the image; signal to noise is that of the view, where the source was found.

    Parameters
    ----------
    part : Coarser
    image : Image
        Of the catalogue; pixels and beam are its own.
    model : ModelInfo
        What made the detections.
    options : CatalogOptions
        How rows are named and flagged.
    """
    columns, shapes = source_columns(part.rows, part.view, model, options, cleaned=True)
    ratio = part.view.pixel_scale / image.pixel_scale
    major, minor, theta = shapes.intrinsic
    bmaj, bmin, theta = convolve(ratio * major, ratio * minor, theta, image.pixel_beam)
    peak = shapes.int_flux * image.pixel_beam.bmaj * image.pixel_beam.bmin / (bmaj * bmin)
    relative = columns["e_peak_flux"] / np.where(columns["peak_flux"] > 0, columns["peak_flux"], np.inf)
    places = part.view.to_original(np.stack([columns["y"], columns["x"]], axis=1))
    boxes = part.view.to_original(part.rows.boxes)
    before = {name: columns[name] for name in ("bmaj", "bmin")}
    columns |= {
        "y": places[:, 0],
        "x": places[:, 1],
        "bmaj": bmaj * image.pixel_scale,
        "bmin": bmin * image.pixel_scale,
        "pa": theta_to_pa(image.wcs, places[:, 1], places[:, 0], theta),
        "peak_flux": peak,
        "e_peak_flux": relative * peak,
        "local_rms": part.rms,
        "local_background": part.background,
        "scale": np.full(
            len(part), round(ratio * part.view.pixel_beam.fwhm / image.pixel_beam.fwhm), np.int32
        ),
        "y_min": boxes[:, 0, 0],
        "x_min": boxes[:, 0, 1],
        "y_max": boxes[:, 1, 0],
        "x_max": boxes[:, 1, 1],
    }
    # the intrinsic axis has one error, whatever beam it is seen through
    for name, through in before.items():
        columns[f"e_{name}"] = columns[f"e_{name}"] * through / columns[name]
    columns["flags"] = _flags(columns, image, options)
    return columns


def _flags(columns: Columns, image: Image, options: CatalogOptions) -> NDArray[np.int32]:
    """The flags of the view, but resolved by the beam of the image."""
    axes, errors = ((columns[f"{kind}bmaj"], columns[f"{kind}bmin"]) for kind in ("", "e_"))
    beam = image.pixel_beam.scaled(image.pixel_scale)
    resolved = is_resolved(axes, errors, beam=beam, sigma=options.resolved_sigma)
    return np.where(
        resolved, columns["flags"] | Flag.RESOLVED.value, columns["flags"] & ~Flag.RESOLVED.value
    ).astype(np.int32)

"""Columns of sources in an image: on the sky, in pixels, with errors and flags."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skadetect.astrometry import iau_name, pixel_to_sky, theta_to_pa
from skadetect.beams import PixelBeam
from skadetect.catalog.assemble import Columns, calibrate, projected
from skadetect.catalog.flags import Flag
from skadetect.catalog.provenance import CatalogOptions, ModelInfo
from skadetect.catalog.shapes import Shapes, measured, signal_to_noise
from skadetect.catalog.uncertainty import GaussianErrors, floor_scale, gaussian_errors
from skadetect.detections import Detections
from skadetect.image import Image

Floats = NDArray[np.float64]

#: Ratio to the floor of an intrinsic axis below which it is only an upper limit.
_AT_FLOOR = 1.02
#: Relative error of a solid angle beside the noise, by pixels, neighbours and background.
_SYSTEMATIC = 0.01


def source_columns(
    rows: Detections, image: Image, model: ModelInfo, options: CatalogOptions, *, cleaned: bool = False
) -> tuple[Columns, Shapes]:
    """All columns of the catalogue for some rows, not numbered yet, and what shapes they are made of.

    Parameters
    ----------
    rows : Detections
        Measured, in pixels of the image, with the flags that they have because of others.
    image : Image
        Its beam is the one that the network saw.
    model : ModelInfo
        What made the detections.
    options : CatalogOptions
        How rows are named and flagged.
    cleaned : bool
        Whether other sources have been taken out of the pixels.
    """
    shapes, rows, sums = measured(rows, image, model, cleaned=cleaned)
    snr = signal_to_noise(rows)
    bmaj, bmin, _ = shapes.convolved
    errors = gaussian_errors(
        snr, bmaj, bmin, beam=image.pixel_beam, int_flux=shapes.int_flux, peak=np.nan_to_num(rows.peak)
    )
    columns = _sky_columns(rows, shapes, image, options.prefix) | _pixel_columns(rows, shapes, snr)
    columns |= sums
    columns |= _error_columns(errors, columns, image)
    beam = image.pixel_beam.scaled(image.pixel_scale)  # in arcsec
    calibration = model.metadata.get("error_calibration", {})
    calibrate(columns, calibration, lambda name: floor_scale(name, columns, beam=beam))
    columns["flags"] = _flags(rows, shapes, errors, beam=image.pixel_beam, options=options)
    return columns, shapes


def _sky_columns(rows: Detections, shapes: Shapes, image: Image, prefix: str) -> Columns:
    y, x = rows.position[:, -2], rows.position[:, -1]
    ra, dec = pixel_to_sky(image.wcs, x, y)
    columns: Columns = {"ra": ra, "dec": dec, "name": iau_name(prefix, ra, dec)}
    ellipses = {"": shapes.convolved, "_deconv": shapes.intrinsic}
    angles = theta_to_pa(image.wcs, x, y, np.stack([theta for _, _, theta in ellipses.values()]))
    for (suffix, (bmaj, bmin, _)), pa in zip(ellipses.items(), angles, strict=True):
        columns[f"bmaj{suffix}"] = bmaj * image.pixel_scale
        columns[f"bmin{suffix}"] = bmin * image.pixel_scale
        columns[f"pa{suffix}"] = pa
    columns["e_pa_deconv"] = np.degrees(shapes.spread)
    return columns


def _pixel_columns(rows: Detections, shapes: Shapes, snr: NDArray[np.float64]) -> Columns:
    (y_min, x_min), (y_max, x_max) = rows.boxes[:, 0, -2:].T, rows.boxes[:, 1, -2:].T
    return {
        "source_id": np.zeros(len(rows), np.int64),  # known when all rows are there, as is the next
        "island_id": np.zeros(len(rows), np.int64),
        "x": rows.position[:, -1],
        "y": rows.position[:, -2],
        "peak_flux": rows.peak,
        "int_flux": shapes.int_flux,
        "local_rms": rows.local_rms,
        "local_background": rows.background,
        "snr": snr,
        "scale": np.ones(len(rows), np.int32),
        "score": rows.score,
        "prob": rows.prob,
        "prior": rows.prior,
        "x_min": x_min,
        "x_max": x_max,
        "y_min": y_min,
        "y_max": y_max,
    }


def _error_columns(errors: GaussianErrors, columns: Columns, image: Image) -> Columns:
    scale = image.pixel_scale
    north, east = projected(errors.major, errors.minor, np.radians(columns["pa"]))
    return {
        "e_ra": scale * east,
        "e_dec": scale * north,
        "e_peak_flux": errors.peak,
        "e_int_flux": errors.int_flux,
        "e_bmaj": scale * errors.bmaj,
        "e_bmin": scale * errors.bmin,
        "e_pa": np.degrees(errors.theta),
    }


def is_resolved(
    axes: tuple[Floats, Floats], errors: tuple[Floats, Floats], *, beam: PixelBeam, sigma: float
) -> NDArray[np.bool_]:
    """Whether solid angles exceed the beam's by some standard deviations.

    Parameters
    ----------
    axes, errors : (bmaj, bmin), each (n,)
        FWHM as seen through the beam, and their errors, in the unit of the beam.
    beam : PixelBeam
    sigma : float
        Standard deviations, to which a hundredth of the solid angle is added.
    """
    areas = axes[0] * axes[1] / (beam.bmaj * beam.bmin)
    relative = np.hypot(errors[0] / axes[0], errors[1] / axes[1])
    return np.asarray(areas - 1.0 > sigma * areas * np.hypot(relative, _SYSTEMATIC))


def _flags(
    rows: Detections, shapes: Shapes, errors: GaussianErrors, *, beam: PixelBeam, options: CatalogOptions
) -> NDArray[np.int32]:
    bmaj, bmin, _ = shapes.convolved
    sides = (errors.bmaj, errors.bmin)
    marks = {
        Flag.RESOLVED: is_resolved((bmaj, bmin), sides, beam=beam, sigma=options.resolved_sigma),
        Flag.SIZE_LIMIT: shapes.intrinsic[1] <= _AT_FLOOR * shapes.least,
        Flag.NO_PEAK: ~(rows.peak > 0),
    }
    flags = rows.flags.copy()
    for bit, mark in marks.items():
        flags[mark] |= bit.value
    return flags

"""From detections in pixels to a catalogue on the sky: decode, convolve, locate, attach errors and flags."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.astrometry import iau_name, pixel_to_sky, theta_to_pa
from skadetect.beams import PixelBeam, convolve, second_moments
from skadetect.boxes import falling_order
from skadetect.catalog.assemble import Columns, calibrate, chunks, gather, projected, to_table
from skadetect.catalog.catalog import Catalog
from skadetect.catalog.flags import Flag, beside_bright, blended
from skadetect.catalog.flux_mean import FluxMean
from skadetect.catalog.image_probability import ImageReliability, bright_density, isolation
from skadetect.catalog.moment_mean import MomentMean, Seen, trusted, weight
from skadetect.catalog.provenance import CatalogOptions, ModelInfo, provenance
from skadetect.catalog.schema import COLUMNS
from skadetect.catalog.uncertainty import GaussianErrors, floor_scale, gaussian_errors
from skadetect.detections import Detections
from skadetect.image import Image
from skadetect.parameters import ParameterSpec, angle_spread, decode

Floats = NDArray[np.float64]

#: Ratio to the floor of an intrinsic axis below which it is only an upper limit.
_AT_FLOOR = 1.02
#: Relative error of a solid angle beside the noise, by pixels, neighbours and background.
_SYSTEMATIC = 0.01


@dataclass(frozen=True)
class _Shapes:
    """Decoded sources: fluxes in image unit times beam, FWHM axes in pixels, angles in radians.

    `least` is the smallest axis that the model can say.
    """

    int_flux: NDArray[np.float64]
    intrinsic: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    convolved: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    spread: NDArray[np.float64]
    least: float


def build_catalog(
    detections: Detections,
    image: Image,
    model: ModelInfo,
    options: CatalogOptions | None = None,
    *,
    meta: Mapping[str, Any] | None = None,
) -> Catalog:
    """Catalogue of the detections in an image.

    Parameters
    ----------
    detections : Detections
        Positions and boxes in pixels of `image`, measured: peak, local_rms and background in its unit.
    image : Image
        As it was opened, not resampled.
    model : ModelInfo
        What made the detections; its parameters decode theirs.
    options : CatalogOptions, optional
        How rows are named and flagged.
    meta : mapping of str to value, optional
        More provenance; overrides the entries of the same name.

    Returns
    -------
    Catalog
        Brightest peak first, equal peaks by position.
    """
    options = options or CatalogOptions()
    rows = _brightest_first(detections)
    rows = rows.with_(flags=rows.flags | _neighbour_flags(rows, image, options))
    parts = (_columns(part, image, model, options) for part in chunks(rows))
    arrays = gather(COLUMNS, parts, len(rows), prefix=options.prefix)
    arrays["source_id"][:] = np.arange(1, len(rows) + 1)
    about = provenance(image, model, options) | dict(meta or {})
    return Catalog(to_table(arrays, COLUMNS, image.unit, meta=about))


def _columns(rows: Detections, image: Image, model: ModelInfo, options: CatalogOptions) -> Columns:
    """All columns of some rows, not numbered yet."""
    shapes = _decoded(rows, image, model.parameters)
    shapes, apertures = _with_apertures(shapes, rows, image, FluxMean.of(model.metadata))
    shapes, rows = _with_moments(shapes, rows, image, MomentMean.of(model.metadata))
    snr = _signal_to_noise(rows)
    bmaj, bmin, _ = shapes.convolved
    errors = gaussian_errors(
        snr, bmaj, bmin, beam=image.pixel_beam, int_flux=shapes.int_flux, peak=np.nan_to_num(rows.peak)
    )
    columns = _sky_columns(rows, shapes, image, options.prefix) | _pixel_columns(rows, shapes, snr)
    columns |= apertures
    columns |= _error_columns(errors, columns, image)
    beam = image.pixel_beam.scaled(image.pixel_scale)  # in arcsec
    calibration = model.metadata.get("error_calibration", {})
    calibrate(columns, calibration, lambda name: floor_scale(name, columns, beam=beam))
    columns["flags"] = _flags(rows, shapes, errors, beam=image.pixel_beam, options=options)
    return columns


def _brightest_first(rows: Detections) -> Detections:
    return rows.take(falling_order(np.nan_to_num(rows.peak, nan=-np.inf), rows.position[:, ::-1]))


def _decoded(rows: Detections, image: Image, specs: Sequence[ParameterSpec]) -> _Shapes:
    fwhm = image.pixel_beam.fwhm
    values = decode(specs, rows.parameters, anchor=rows.anchor, beam_fwhm=fwhm)
    zeros = np.zeros(len(rows))
    first, second = values.get("bmaj", zeros), values.get("bmin", zeros)
    major, minor = np.maximum(first, second), np.minimum(first, second)
    theta = values.get("theta", zeros)
    floors = [spec.floor for spec in specs if spec.column in ("bmaj", "bmin")]
    return _Shapes(
        # a model without fluxes still has peaks, and a point's flux is its peak
        int_flux=values["int_flux"] * rows.local_rms if "int_flux" in values else rows.peak,
        intrinsic=(major, minor, theta),
        convolved=convolve(major, minor, theta, image.pixel_beam),
        spread=angle_spread(specs, rows.parameters),
        least=max(floors, default=0.0) * fwhm,
    )


def _with_apertures(
    shapes: _Shapes, rows: Detections, image: Image, mean: FluxMean
) -> tuple[_Shapes, Columns]:
    """Fluxes by network and pixels together, and the columns of those by the pixels alone."""
    scale = mean.factor(shapes.intrinsic[0] / image.pixel_beam.fwhm, _signal_to_noise(rows))
    flux, error = rows.aperture * scale, rows.aperture_error * scale
    both = mean.flux(shapes.int_flux, flux, error)
    return replace(shapes, int_flux=both), {"aper_flux": flux, "e_aper_flux": error}


def _with_moments(
    shapes: _Shapes, rows: Detections, image: Image, mean: MomentMean
) -> tuple[_Shapes, Detections]:
    """Places and shapes by network and pixels together."""
    seen, centre = _seen(shapes, rows, image)
    share = np.where(seen.known, weight(seen.snr, mean.place), 0.0)
    position = rows.position.copy()
    position[:, -2:] += share[:, None] * np.where(seen.known[:, None], centre, 0.0)
    (major, minor, theta), spread = mean.ellipse(seen)
    if np.isfinite(mean.axes):
        major, minor = (np.maximum(axis, shapes.least) for axis in (major, minor))
    convolved = convolve(major, minor, theta, image.pixel_beam)
    changed = replace(shapes, intrinsic=(major, minor, theta), convolved=convolved, spread=spread)
    return changed, rows.with_(position=position)


def _seen(shapes: _Shapes, rows: Detections, image: Image) -> tuple[Seen, Floats]:
    """What network and pixels say of shapes, and the pixels' centroids beyond the positions; in pixels."""
    beam = image.pixel_beam
    centre, spread = rows.centre * beam.fwhm, (rows.spread * beam.fwhm**2).astype(np.float64)
    area = shapes.convolved[0] * shapes.convolved[1]
    known = trusted(centre, spread, area)
    own = np.array(second_moments(beam.bmaj, beam.bmin, beam.theta))
    xx, yy, xy = np.where(known[:, None], spread - own, 0.0).T
    return (
        Seen(
            snr=_signal_to_noise(rows),
            own=shapes.intrinsic,
            angle_error=shapes.spread,
            moments=(xx, yy, xy),
            area=area,
            beam=beam.fwhm**2,
            known=known,
        ),
        centre,
    )


def image_probabilities(rows: Detections, image: Image, model: ModelInfo, *, covered: float) -> Floats | None:
    """Probability that each detection in an image is real.

    Parameters
    ----------
    rows : Detections
        Of all of the image, measured.
    image : Image
        Its pixels are those of the positions.
    model : ModelInfo
        What made the detections.
    covered : float
        Share of the image that holds data.

    Returns
    -------
    array (n,) or None
        None if the model is not calibrated.
    """
    reliability = ImageReliability.of(model.metadata)
    if reliability is None:
        return None
    snr, area = _signal_to_noise(rows), covered * math.prod(image.shape)
    shapes = _decoded(rows, image, model.parameters)
    flux, (bmaj, bmin, _) = shapes.int_flux, shapes.convolved
    columns = {
        "score": rows.score,
        "snr": snr,
        "area": bmaj * bmin / (image.pixel_beam.bmaj * image.pixel_beam.bmin),
        "density": bright_density(snr, rows.score, area / max(image.pixel_beam.area, 1.0)),
        "sums": np.divide(rows.aperture, flux, out=np.full(len(rows), np.nan), where=flux > 0),
        "distance": isolation(rows.position[:, -2:], rows.score >= reliability.least_score, area),
    }
    return reliability.probability(columns)


def _signal_to_noise(rows: Detections) -> NDArray[np.float64]:
    noisy = rows.local_rms > 0
    return np.divide(rows.peak, rows.local_rms, out=np.zeros(len(rows)), where=noisy)


def _sky_columns(rows: Detections, shapes: _Shapes, image: Image, prefix: str) -> Columns:
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


def _pixel_columns(rows: Detections, shapes: _Shapes, snr: NDArray[np.float64]) -> Columns:
    (y_min, x_min), (y_max, x_max) = rows.boxes[:, 0, -2:].T, rows.boxes[:, 1, -2:].T
    return {
        "source_id": np.zeros(len(rows), np.int64),
        "x": rows.position[:, -1],
        "y": rows.position[:, -2],
        "peak_flux": rows.peak,
        "int_flux": shapes.int_flux,
        "local_rms": rows.local_rms,
        "local_background": rows.background,
        "snr": snr,
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


def _neighbour_flags(rows: Detections, image: Image, options: CatalogOptions) -> NDArray[np.int32]:
    """The flags that a source has because of others."""
    bright = _signal_to_noise(rows) >= options.artefact_snr
    radius, ratio = options.artefact_radius * image.pixel_beam.fwhm, options.artefact_ratio
    artefact = beside_bright(rows.position, rows.peak, bright=bright, radius=radius, ratio=ratio)
    flags = np.where(artefact, Flag.ARTEFACT.value, 0) | np.where(blended(rows.boxes), Flag.BLENDED.value, 0)
    return flags.astype(np.int32)


def _flags(
    rows: Detections, shapes: _Shapes, errors: GaussianErrors, *, beam: PixelBeam, options: CatalogOptions
) -> NDArray[np.int32]:
    bmaj, bmin, _ = shapes.convolved
    areas = bmaj * bmin / (beam.bmaj * beam.bmin)
    area_errors = areas * np.hypot(np.hypot(errors.bmaj / bmaj, errors.bmin / bmin), _SYSTEMATIC)
    marks = {
        Flag.RESOLVED: areas - 1.0 > options.resolved_sigma * area_errors,
        Flag.SIZE_LIMIT: shapes.intrinsic[1] <= _AT_FLOOR * shapes.least,
        Flag.NO_PEAK: ~(rows.peak > 0),
    }
    flags = rows.flags.copy()
    for bit, mark in marks.items():
        flags[mark] |= bit.value
    return flags

"""What is known of rows of an image by which they are real or not, and the probability that it gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from skadetect._numba import JIT
from skadetect.catalog.coarse_probability import CoarseReliability
from skadetect.catalog.flags import Flag
from skadetect.catalog.image_probability import ImageReliability, bright_density, isolation
from skadetect.catalog.provenance import ModelInfo
from skadetect.catalog.shapes import decoded, measured, signal_to_noise
from skadetect.detections import Detections
from skadetect.image import Image
from skadetect.sky_model import SkyModel

Floats = NDArray[np.float64]

#: Beams of a smoothed view within which a bright source may leave traces.
_FAR = 8.0


class Taken(NamedTuple):
    """Sources that were taken out of an image, in pixels of the view that they were found in."""

    sources: SkyModel
    view: Image


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
    snr, area = signal_to_noise(rows), covered * math.prod(image.shape)
    shapes = decoded(rows, image, model.parameters)
    flux, (bmaj, bmin, _) = shapes.int_flux, shapes.convolved
    columns: dict[str, ArrayLike] = {
        "score": rows.score,
        "snr": snr,
        "area": bmaj * bmin / (image.pixel_beam.bmaj * image.pixel_beam.bmin),
        "density": bright_density(snr, rows.score, area / max(image.pixel_beam.area, 1.0)),
        "sums": _ratio(rows.aperture, flux),
        "distance": isolation(rows.position[:, -2:], rows.score >= reliability.least_score, area),
    }
    return reliability.probability(columns)


def coarse_probabilities(
    rows: Detections, view: Image, model: ModelInfo, taken: Sequence[Taken], *, covered: float
) -> Floats | None:
    """Probability that each detection in a smoothed view of an image is real.

    Parameters
    ----------
    rows : Detections
        Of all of the view, measured.
    view : Image
        From `skadetect.residual`.
    model : ModelInfo
        What made the detections.
    taken : sequence of Taken
        The sources that are not in the view any more.
    covered : float
        Share of the view that holds data.

    Returns
    -------
    array (n,) or None
        None if the model is not calibrated for such views.
    """
    reliability = CoarseReliability.of(model.metadata)
    if reliability is None:
        return None
    return reliability.probability(coarse_columns(rows, view, model, taken, covered=covered))


def coarse_columns(
    rows: Detections, view: Image, model: ModelInfo, taken: Sequence[Taken], *, covered: float
) -> dict[str, Floats]:
    """What `CoarseReliability.probability` is made of.

    Parameters are those of `coarse_probabilities`.
    """
    alone = image_probabilities(rows, view, model, covered=covered)
    shapes, rows, sums = measured(rows, view, model)
    bmaj, bmin, _ = shapes.convolved
    fwhm = view.pixel_beam.fwhm
    inside, beside = np.zeros(len(rows)), np.zeros(len(rows))
    for before in taken:
        scale = view.factor / before.view.factor
        centre = (rows.position + 0.5) * scale - 0.5
        radius, far = 0.5 * scale * np.sqrt(bmaj * bmin), np.full(len(rows), _FAR * scale * fwhm)
        _add_near(before.sources.centre, before.sources.int_flux, centre, (radius, far), inside, beside)
    return {
        "alone": np.full(len(rows), np.nan) if alone is None else alone,
        "snr": signal_to_noise(rows),
        "major": shapes.intrinsic[0] / fwhm,
        "minor": shapes.intrinsic[1] / fwhm,
        "sums": _ratio(sums["aper_flux"], shapes.int_flux),
        "inside": _ratio(inside, shapes.int_flux),
        "beside": _ratio(beside, shapes.int_flux),
        "edge": (rows.flags & Flag.EDGE.value > 0).astype(np.float64),
    }


def _ratio(value: NDArray[np.floating], flux: Floats) -> Floats:
    """Over the flux of each row; NaN where that is none."""
    return np.divide(value, flux, out=np.full(len(flux), np.nan), where=flux > 0)


@numba.njit(**JIT)
def _add_near(sources, flux, centre, radii, inside, beside):  # type: ignore[no-untyped-def]
    """Sum up the flux of sources, sorted by y, within one radius, and note the highest one within another."""
    for i in range(len(centre)):
        near, far = radii[0][i], max(radii[0][i], radii[1][i])
        first = np.searchsorted(sources[:, 0], centre[i, 0] - far)
        for j in range(first, len(sources)):
            dy = sources[j, 0] - centre[i, 0]
            if dy > far:
                break
            square = dy * dy + (sources[j, 1] - centre[i, 1]) ** 2
            if square <= near * near:
                inside[i] += flux[j]
            if square <= far * far:
                beside[i] = max(beside[i], flux[j])

"""Fluxes, places and shapes of detections: what the network says, and what it and the pixels say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skadetect.beams import Ellipses, convolve, second_moments
from skadetect.catalog.assemble import Columns
from skadetect.catalog.flux_mean import FluxMean
from skadetect.catalog.moment_mean import MomentMean, Seen, trusted, weight
from skadetect.catalog.provenance import ModelInfo
from skadetect.detections import Detections
from skadetect.image import Image
from skadetect.parameters import ParameterSpec, angle_spread, decode

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shapes:
    """Fluxes and ellipses of n sources in an image.

    Attributes
    ----------
    int_flux : array (n,)
        Image unit times beam.
    intrinsic, convolved : (bmaj, bmin, theta), each (n,)
        FWHM axes in pixels and angles in radians, beam removed and as seen through it.
    spread : array (n,)
        How sure the intrinsic angle is, radians.
    least : float
        The smallest axis that the model can say, pixels.
    """

    int_flux: Floats
    intrinsic: Ellipses
    convolved: Ellipses
    spread: Floats
    least: float


def decoded(rows: Detections, image: Image, specs: Sequence[ParameterSpec]) -> Shapes:
    """What the network says of detections in pixels of an image.

    Parameters
    ----------
    rows : Detections
        Measured.
    image : Image
        Its beam is the one that the network saw.
    specs : sequence of ParameterSpec
        What the parameters of the rows mean.
    """
    fwhm = image.pixel_beam.fwhm
    values = decode(specs, rows.parameters, anchor=rows.anchor, beam_fwhm=fwhm)
    zeros = np.zeros(len(rows))
    first, second = values.get("bmaj", zeros), values.get("bmin", zeros)
    major, minor = np.maximum(first, second), np.minimum(first, second)
    theta = values.get("theta", zeros)
    floors = [spec.floor for spec in specs if spec.column in ("bmaj", "bmin")]
    return Shapes(
        # a model without fluxes still has peaks, and a point's flux is its peak
        int_flux=values["int_flux"] * rows.local_rms if "int_flux" in values else rows.peak,
        intrinsic=(major, minor, theta),
        convolved=convolve(major, minor, theta, image.pixel_beam),
        spread=angle_spread(specs, rows.parameters),
        least=max(floors, default=0.0) * fwhm,
    )


def measured(
    rows: Detections, image: Image, model: ModelInfo, *, cleaned: bool = False
) -> tuple[Shapes, Detections, Columns]:
    """What network and pixels say together.

    Parameters
    ----------
    rows, image
        As for `decoded`.
    model : ModelInfo
        What made the detections; its metadata say how either is weighed.
    cleaned : bool
        Whether other sources have been taken out of the pixels (`skadetect.residual`).

    Returns
    -------
    shapes : Shapes
    rows : Detections
        The same at their settled positions.
    sums : dict of str to array (n,)
        The catalogue's columns of fluxes by the pixels alone.
    """
    shapes = decoded(rows, image, model.parameters)
    shapes, sums = _with_apertures(shapes, rows, image, FluxMean.of(model.metadata), cleaned=cleaned)
    shapes, rows = _with_moments(shapes, rows, image, MomentMean.of(model.metadata))
    return shapes, rows, sums


def signal_to_noise(rows: Detections) -> Floats:
    """Peak over noise of detections, 0 where the noise is not known."""
    noisy = rows.local_rms > 0
    return np.divide(rows.peak, rows.local_rms, out=np.zeros(len(rows)), where=noisy)


def _with_apertures(
    shapes: Shapes, rows: Detections, image: Image, mean: FluxMean, *, cleaned: bool
) -> tuple[Shapes, Columns]:
    """Fluxes by network and pixels together, and the columns of those by the pixels alone."""
    scale = mean.factor(shapes.intrinsic[0] / image.pixel_beam.fwhm, signal_to_noise(rows))
    flux, error = rows.aperture * scale, rows.aperture_error * scale
    both = mean.flux(shapes.int_flux, flux, error, cleaned=cleaned)
    return replace(shapes, int_flux=both), {"aper_flux": flux, "e_aper_flux": error}


def _with_moments(
    shapes: Shapes, rows: Detections, image: Image, mean: MomentMean
) -> tuple[Shapes, Detections]:
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


def _seen(shapes: Shapes, rows: Detections, image: Image) -> tuple[Seen, Floats]:
    """What network and pixels say of shapes, and the pixels' centroids beyond the positions; in pixels."""
    beam = image.pixel_beam
    centre, spread = rows.centre * beam.fwhm, (rows.spread * beam.fwhm**2).astype(np.float64)
    area = shapes.convolved[0] * shapes.convolved[1]
    known = trusted(centre, spread, area)
    own = np.array(second_moments(beam.bmaj, beam.bmin, beam.theta))
    xx, yy, xy = np.where(known[:, None], spread - own, 0.0).T
    return (
        Seen(
            snr=signal_to_noise(rows),
            own=shapes.intrinsic,
            angle_error=shapes.spread,
            moments=(xx, yy, xy),
            area=area,
            beam=beam.fwhm**2,
            known=known,
        ),
        centre,
    )

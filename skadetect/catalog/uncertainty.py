"""Errors of Gaussian sources in noise that is as correlated as the beam."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skadetect.beams import FWHM_PER_SIGMA, PixelBeam
from skadetect.catalog.moment_mean import ALIKE, UNSEEN, axis_power, weight


@dataclass(frozen=True)
class GaussianErrors:
    """One standard deviation of each quantity of n Gaussian sources: see `gaussian_errors`."""

    peak: NDArray[np.float64]
    int_flux: NDArray[np.float64]
    bmaj: NDArray[np.float64]
    bmin: NDArray[np.float64]
    theta: NDArray[np.float64]
    major: NDArray[np.float64]
    minor: NDArray[np.float64]


def gaussian_errors(
    snr: ArrayLike, bmaj: ArrayLike, bmin: ArrayLike, *, beam: PixelBeam, int_flux: ArrayLike, peak: ArrayLike
) -> GaussianErrors:
    """Errors of elliptical Gaussian sources in noise as correlated as the beam (Condon 1997, PASP 109, 166).

    With theta_N^2 = beam.bmaj beam.bmin, equation 41 gives, for exponents (a, b),
    rho^2 = bmaj bmin / (4 theta_N^2) [1 + (theta_N/bmaj)^2]^a [1 + (theta_N/bmin)^2]^b snr^2,
    where (3/2, 3/2) holds for the peak, (5/2, 1/2) along the major and (1/2, 5/2) along the minor axis;
    equation 21 then gives the relative errors sqrt(2)/rho, and equation 42 the integrated flux.

    Parameters
    ----------
    snr : array (n,)
        Peak over local noise; taken as at least 1.
    bmaj, bmin : array (n,)
        FWHM as seen through the beam, in pixels (or the unit of the beam).
    beam : PixelBeam
        Beam that the noise is correlated by.
    int_flux, peak : array (n,)
        Integrated and peak flux, any unit.

    Returns
    -------
    GaussianErrors
        peak and int_flux in the units given; bmaj, bmin and the position along the major and minor axes in
        pixels; theta in radians, at most pi/sqrt(12), that of an angle nobody knows.
    """
    snr = np.maximum(np.asarray(snr, np.float64), 1.0)
    bmaj, bmin = np.asarray(bmaj, np.float64), np.asarray(bmin, np.float64)
    area = beam.bmaj * beam.bmin
    relative_peak = _relative_error(snr, bmaj, bmin, area=area, powers=(1.5, 1.5))
    along = _relative_error(snr, bmaj, bmin, area=area, powers=(2.5, 0.5))
    across = _relative_error(snr, bmaj, bmin, area=area, powers=(0.5, 2.5))
    relative_flux = np.sqrt(relative_peak**2 + area / (bmaj * bmin) * (along**2 + across**2))
    difference = np.maximum(bmaj**2 - bmin**2, 1e-12 * bmaj**2)
    theta = np.sqrt(2.0) * across * bmaj * bmin / difference
    return GaussianErrors(
        peak=relative_peak * np.abs(peak),
        int_flux=relative_flux * np.abs(int_flux),
        bmaj=along * bmaj,
        bmin=across * bmin,
        theta=np.minimum(theta, math.pi / math.sqrt(12.0)),
        major=along * bmaj / FWHM_PER_SIGMA,
        minor=across * bmin / FWHM_PER_SIGMA,
    )


def floor_scale(error: str, columns: Mapping[str, Any], *, beam: PixelBeam) -> Any:
    """What the floor of a calibrated error is a fraction of.

    Parameters
    ----------
    error : str
        Name of an error column, such as "e_int_flux".
    columns : mapping of str to array (n,)
        The catalogue, in the schema's units.
    beam : PixelBeam
        Its axes in the unit of the sizes.

    Returns
    -------
    array (n,) or float
        In the unit of the error: bmaj for positions; for sizes what a relative error of the squared intrinsic
        axis makes of the one through the beam, as far as the network tells it and not the pixels
        (`skadetect.catalog.moment_mean`); one radian in degrees for angles; else the value itself.
    """
    name = error.removeprefix("e_")
    if name in ("pa", "pa_deconv"):
        return np.degrees(1.0)
    values = np.asarray(columns["bmaj" if name in ("ra", "dec") else name], np.float64)
    if name in ("bmaj", "bmin"):
        through = beam.bmaj if name == "bmaj" else beam.bmin
        square, area = np.maximum(values**2 - through**2, 0.0), np.multiply(columns["bmaj"], columns["bmin"])
        power = axis_power(square, columns["snr"], area=area, beam=beam.fwhm**2)
        network = np.sqrt(1.0 - weight(power, ALIKE))
        return network * (square + UNSEEN * beam.fwhm**2) / (2.0 * values)
    return values


def _relative_error(
    snr: NDArray[np.float64],
    bmaj: NDArray[np.float64],
    bmin: NDArray[np.float64],
    *,
    area: float,
    powers: tuple[float, float],
) -> NDArray[np.float64]:
    """sqrt(2)/rho of Condon's equation 41."""
    smoothing = (1.0 + area / bmaj**2) ** powers[0] * (1.0 + area / bmin**2) ** powers[1]
    return np.sqrt(8.0 * area / (bmaj * bmin * smoothing)) / snr

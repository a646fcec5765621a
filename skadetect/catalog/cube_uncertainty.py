"""Errors of galaxies in a cube whose noise is as correlated as the beam and white from channel to channel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.beams import FWHM_PER_SIGMA, Ellipses, PixelBeam
from skadetect.spectral import LIGHT_KMS

Floats = NDArray[np.float64]

#: Full width of a Gaussian at 20 % of its peak, in standard deviations.
W20_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(5.0))
#: Standard deviation of the inclination of discs that lie at random (cos i uniform): sqrt(pi - 3), radians.
WIDEST_INCLINATION = math.sqrt(math.pi - 3.0)


@dataclass(frozen=True)
class CubeErrors:
    """One standard deviation of each quantity of n galaxies: see `cube_errors`."""

    snr: Floats
    line_flux: Floats
    major: Floats
    minor: Floats
    z: Floats
    w20: Floats
    w50: Floats
    hi_size: Floats
    incl: Floats


def cube_errors(values: Mapping[str, Floats], ellipse: Ellipses, *, beam: PixelBeam) -> CubeErrors:
    """Errors by how they scale with signal to noise; a model's validation calibrates them.

    The flux is a sum over the disc, seen through the beam, and over the line: its noise is that of so many
    independent beams and channels (as SoFiA-2 has it; Westmeier et al. 2021, MNRAS 506, 3962), which gives
    the signal to noise ratio s. Position: Condon (1997, PASP 109, 166) for a Gaussian with those axes,
    axis / sqrt(8 ln 2) / s, and each axis itself to axis / s. Channel and widths: the Cramer-Rao bound of a
    Gaussian line in white noise, sqrt(2) / s of its standard deviation for its centre as for that standard
    deviation (Lenz & Ayres 1992, PASP 104, 1104). The size without the beam and the inclination follow from
    the axes by propagation, and are never less known than before looking: the size itself, and the
    inclination of discs at random.

    Parameters
    ----------
    values : mapping of str to array (n,)
        line_flux in units of noise, beam and channel; w20 and w50 in channels, hi_size in pixels, incl in
        radians.
    ellipse : (bmaj, bmin, theta), each (n,)
        The discs as seen through the beam, pixels.
    beam : PixelBeam
        Beam that the noise is correlated by.

    Returns
    -------
    CubeErrors
        In the units of `values`; major and minor are the position along the axes of the ellipse, pixels, z in
        channels. NaN where the value is.
    """
    major, minor, _ = ellipse
    beams = np.maximum(major * minor / (beam.bmaj * beam.bmin), 1.0)
    line_flux = np.sqrt(np.maximum(values["w20"], 1.0) * beams)
    snr = values["line_flux"] / line_flux
    s = np.maximum(snr, 1.0)
    size, cos = np.maximum(values["hi_size"], 1e-6), np.cos(values["incl"])
    along, across = major / s * major / size, minor / s * minor / np.maximum(size * cos, 1e-6)
    ratio = np.hypot(np.minimum(across / size, 1.0), cos * np.minimum(along / size, 1.0))
    tilt = ratio / np.maximum(np.sin(values["incl"]), 1e-6)
    return CubeErrors(
        snr=snr,
        line_flux=line_flux,
        major=major / FWHM_PER_SIGMA / s,
        minor=minor / FWHM_PER_SIGMA / s,
        z=math.sqrt(2.0) / W20_PER_SIGMA * values["w20"] / s,
        w20=math.sqrt(2.0) * values["w20"] / s,
        w50=math.sqrt(2.0) * values["w50"] / s,
        hi_size=np.minimum(along, size),
        incl=np.minimum(tilt, WIDEST_INCLINATION),
    )


def cube_floor_scale(error: str, columns: Mapping[str, Any]) -> Any:
    """What the floor of a calibrated error is a fraction of.

    Parameters
    ----------
    error : str
        Name of an error column, such as "err_f_sum".
    columns : mapping of str to array (n,)
        The catalogue, in the schema's units.

    Returns
    -------
    array (n,) or float
        In the unit of the error: ell_maj for positions, w20 in Hz for the frequency, one radian in degrees
        for angles, else the value itself.
    """
    name = error.removeprefix("err_")
    if name in ("kin_pa", "incl"):
        return np.degrees(1.0)
    if name == "freq":
        return columns["w20"] * columns["freq"] / LIGHT_KMS
    return columns["ell_maj" if name in ("ra", "dec") else name]

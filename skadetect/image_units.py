"""Units of pixels: whatever an image is in becomes Jy/beam, in a cube channel by channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.io.fits import Header
from numpy.typing import NDArray
from radio_beam import Beam

from skadetect.errors import InputError

JY_PER_BEAM = u.Jy / u.beam


@dataclass(frozen=True)
class Conversion:
    """What makes an image's numbers values in a unit.

    Attributes
    ----------
    unit : astropy.units.UnitBase
        Jy/beam, or K where there is no frequency.
    scale : float or (z,) float64
        What they are multiplied by, one number for all channels or one each.
    per_beam : bool
        Whether they were per beam already, so that they depend on the beam of each channel.
    repairs : tuple of str
        A remark where that is a conversion.
    """

    unit: u.UnitBase
    scale: float | NDArray[np.float64]
    per_beam: bool = False
    repairs: tuple[str, ...] = ()


def conversion(
    header: Header,
    beam: Beam,
    *,
    pixel_degrees: float,
    frequency: float | NDArray[np.float64] | None,
    name: str,
) -> Conversion:
    """How the numbers of an image become Jy/beam.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Repaired.
    beam : radio_beam.Beam
        Of all channels.
    pixel_degrees : float
        Pixel side, degrees.
    frequency : float, (z,) array or None
        Hz, of the image or of each channel.
    name : str
        For messages.

    Raises
    ------
    InputError
        If the unit is not one of a brightness.
    """
    text = str(header["BUNIT"]).strip()
    if text in ("K", "mK"):
        if frequency is None:
            scale = 1.0 if text == "K" else 1e-3
            return Conversion(u.K, scale, False, (f"BUNIT = {text!r} without a frequency: left in K",))
        equivalency = u.brightness_temperature(np.asarray(frequency) * u.Hz, beam.sr)
        scales = (1 * u.Unit(text)).to_value(u.Jy, equivalency)
        return _converted(text, np.asarray(scales, np.float64) if np.ndim(scales) else float(scales))
    if text == "MJy/sr":
        return _converted(text, float((1 * u.MJy / u.sr * beam.sr).to_value(u.Jy)))
    if text.endswith("Jy/pixel"):
        brightness = 1 * u.Unit(text.removesuffix("/pixel")) / (pixel_degrees * u.deg) ** 2
        return _converted(text, float((brightness * beam.sr).to_value(u.Jy)))
    if text.endswith("Jy/beam"):
        number, _, unit = text.rpartition(" ")
        return _converted(text, float(number or 1) * (1 * u.Unit(unit.removesuffix("/beam"))).to_value(u.Jy))
    raise InputError(f"{name}: BUNIT = {text!r}; expected Jy/beam, Jy/pixel, MJy/sr or K")


def _converted(text: str, scale: float | NDArray[np.float64]) -> Conversion:
    """Conversion from a unit of the header to Jy/beam."""
    ends = np.unique([np.min(scale), np.max(scale)])
    times = " to ".join(f"{end:.6g}" for end in ends)
    repairs = () if text == "Jy/beam" else (f"{text} converted to Jy/beam: times {times}",)
    return Conversion(JY_PER_BEAM, scale, text.endswith("beam"), repairs)

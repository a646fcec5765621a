"""FITS headers of parts of a cube, in standard spelling, whatever the file's own axes and spellings are."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from astropy.io.fits import Header

import skadetect
from skadetect.image import Image
from skadetect.products.sources import Source, spectral_axis
from skadetect.spectral import LIGHT_KMS, SpectralAxis

LIGHT = LIGHT_KMS * 1e3
#: Channels by which frequencies may be off a line for nothing but the digits of the header.
STRAIGHT = 1e-5
KEPT = ("TELESCOP", "INSTRUME", "OBSERVER", "DATE-OBS", "TIMESYS", "MJD-OBS")
#: The card that tells which source, image and options a file was made of.
KEY = "SKADKEY"
COMMENTS = {"radio": "c (1 - freq/restfreq)", "optical": "c (restfreq/freq - 1)"}


def map_header(image: Image, source: Source, key: str, *, unit: str) -> Header:
    """Header of a map (y, x) of the galaxy's window.

    Parameters
    ----------
    image : Image
        The cube.
    source : Source
        Its window, in voxels of the cube.
    key : str
        What the file is made of, to know it again.
    unit : str
        BUNIT.
    """
    header = image_header(image, unit=unit)
    header["CRPIX1"] -= source.lo[2]
    header["CRPIX2"] -= source.lo[1]
    _describe(header, source, key)
    return header


def image_header(image: Image, *, unit: str) -> Header:
    """Header of a map (y, x) as large as an image: sky, unit, beam, and what it is made of.

    Parameters
    ----------
    image : Image
    unit : str
        BUNIT.
    """
    header = Header()
    for card in image.wcs.to_header(relax=True).cards:
        if card.keyword not in ("WCSAXES", "MJDREF", "DATE-OBS", "MJD-OBS", "TIMESYS", "DATEREF"):
            header.append(card)
    header["BUNIT"] = unit
    for name, value in (("BMAJ", image.beam.major), ("BMIN", image.beam.minor), ("BPA", image.beam.pa)):
        header[name] = (float(value.to_value(u.deg)), "[deg] restoring beam")
    for name in KEPT:
        if name in image.header:
            header[name] = image.header[name]
    header["PARENT"] = (image.name, "image that this is made of")
    header["ORIGIN"] = f"skadetect {skadetect.__version__}"
    return header


def cube_header(image: Image, source: Source, key: str, *, unit: str) -> Header:
    """Header of a cube (z, y, x) of the galaxy's window; parameters as of `map_header`."""
    header = map_header(image, source, key, unit=unit)
    for name, (value, comment) in _spectral_cards(spectral_axis(image), source).items():
        header[name] = (value, comment)
    return header


def is_optical(axis: SpectralAxis) -> bool:
    """Whether channels are equally wide in optical velocity, rather than in frequency."""
    freq = np.asarray(axis.freq, np.float64)
    bent = _bend(freq)
    return bent > STRAIGHT and _bend(axis.rest_freq / freq) < bent


def convention_of(axis: SpectralAxis, velocity: str) -> str:
    """The velocity convention that an option stands for: "radio" or "optical"."""
    if velocity != "auto":
        return velocity
    return "optical" if is_optical(axis) else "radio"


def velocity_of(axis: SpectralAxis, freq: Any, convention: str) -> Any:
    """Velocities of frequencies, km/s."""
    ratio = freq / axis.rest_freq
    return LIGHT_KMS * (1.0 - ratio if convention == "radio" else 1.0 / ratio - 1.0)


def spectral_frame(axis: SpectralAxis) -> dict[str, tuple[Any, str]]:
    """Cards of the rest frequency and of the frame of frequencies, as far as they are known."""
    cards: dict[str, tuple[Any, str]] = {
        "RESTFRQ": (float(axis.rest_freq), "[Hz] rest frequency of the line")
    }
    if axis.frame:
        cards["SPECSYS"] = (axis.frame, "frame of frequencies and velocities")
    return cards


def _spectral_cards(axis: SpectralAxis, source: Source) -> dict[str, tuple[Any, str]]:
    """Cards of the third axis: frequency, or optical velocity where that is what is linear."""
    last = max(source.shape[0] - 1, 1)
    ends = np.asarray(axis.frequency(np.array([source.lo[0], source.lo[0] + last], np.float64)), np.float64)
    kind, unit = "FREQ", "Hz"
    if is_optical(axis):
        kind, unit = "VOPT", "m/s"
        ends = LIGHT * (axis.rest_freq / ends - 1.0)
    return {
        "CTYPE3": (kind, ""),
        "CUNIT3": (unit, ""),
        "CRPIX3": (1.0, ""),
        "CRVAL3": (float(ends[0]), ""),
        "CDELT3": (float((ends[1] - ends[0]) / last), ""),
    } | spectral_frame(axis)


def _bend(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """How far values are off the line through the first and the last, in steps."""
    n = len(values)
    if n < 3:
        return 0.0
    line = np.linspace(values[0], values[-1], n)
    return float(np.abs(values - line).max() * (n - 1) / abs(values[-1] - values[0]))


def _describe(header: Header, source: Source, key: str) -> None:
    """Which source it is, and where it lies in the image."""
    header["OBJECT"] = str(source.row.get("name", "")) or f"source {source.number}"
    header["SOURCEID"] = (source.number, "id in the catalogue")
    for axis, start in zip("ZYX", source.lo, strict=True):
        header[f"PARENT_{axis}"] = (start, "its voxel, 0-based, that is the first here")
    header[KEY] = (key, "of source, image and options")

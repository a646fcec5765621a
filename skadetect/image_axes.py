"""Which axis of a FITS image is which, by its CTYPE: celestial coordinates and frequency, in any order."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import numpy as np
from astropy.io.fits import Header
from astropy.wcs import WCS
from numpy.typing import NDArray

from skadetect.errors import InputError
from skadetect.pixels import AxisOrder

LONGITUDE = re.compile(r"(RA|GLON|ELON|SLON|HLON)($|-)")
LATITUDE = re.compile(r"(DEC|GLAT|ELAT|SLAT|HLAT)($|-)")
SPECTRAL = re.compile(r"(FREQ|VELO|FELO|VRAD|VOPT|WAVE|AWAV|ZOPT|BETA|WAVN|ENER)")
WHOLE_KEYS = ("LONPOLE", "LATPOLE", "RADESYS", "EQUINOX", "EPOCH")
FREQUENCY_UNITS = {"Hz": 1.0, "": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}


@dataclass(frozen=True)
class Axes:
    """FITS axis numbers (1-based) of an image; spectral may be absent or beyond NAXIS.

    `order` tells where (z, y, x) lie in the array, `ndim` whether z is a true axis.
    """

    longitude: int
    latitude: int
    spectral: int | None
    ndim: int
    order: AxisOrder


def find_axes(header: Header, array_shape: tuple[int, ...], *, name: str) -> tuple[Axes, tuple[str, ...]]:
    """Tell the axes of an image by CTYPE.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Repaired.
    array_shape : tuple of int
        Of the array, last axis NAXIS1.
    name : str
        For messages.

    Returns
    -------
    axes : Axes
    repairs : tuple of str
        Axes that were exchanged or of which one plane is taken.

    Raises
    ------
    InputError
        If there are no two celestial axes, or a long axis that is neither celestial nor spectral nor Stokes.
    """
    naxis = len(array_shape)
    types = {i: _axis_type(header, i) for i in range(1, max(naxis, _wcs_axes(header)) + 1)}
    longitude = _first(types, LONGITUDE, naxis)
    latitude = _first(types, LATITUDE, naxis)
    spectral = _first(types, SPECTRAL, len(types))
    if longitude is None or latitude is None:
        found = ", ".join(f"CTYPE{i} = {kind!r}" for i, kind in types.items())
        raise InputError(f"{name}: no celestial axes (expected RA and DEC): {found or 'no CTYPE'}")
    repairs = [] if longitude < latitude else [f"axis {latitude} (latitude) precedes {longitude}: transposed"]
    length = {i: array_shape[naxis - i] for i in range(1, naxis + 1)}
    cube = spectral is not None and length.get(spectral, 1) > 1
    for i in range(1, naxis + 1):
        if i in (longitude, latitude) or length[i] == 1 or (cube and i == spectral):
            continue
        if not types[i].startswith("STOKES"):
            kind = types[i] or "no CTYPE"
            raise InputError(f"{name}: axis {i} ({kind}) has {length[i]} planes; expected 1")
        repairs.append(f"the Stokes axis has {length[i]} planes: the first is taken")
    depth = naxis - spectral if cube and spectral is not None else None
    for i in (longitude, latitude, *([spectral] if cube and spectral is not None else [])):
        repairs += _absent_cards(header, i)
    order = AxisOrder((depth, naxis - latitude, naxis - longitude))
    return Axes(longitude, latitude, spectral, 3 if cube else 2, order), tuple(repairs)


def celestial_wcs(header: Header, axes: Axes, *, shape: tuple[int, int], name: str) -> WCS:
    """The celestial coordinates alone, as a WCS with (x, y) = (longitude, latitude).

    Raises
    ------
    InputError
        If the coordinates cannot be built, e.g. a pixel of size 0 or an unknown projection.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old spellings that wcslib mends and remarks on
        try:
            wcs = WCS(_celestial_header(header, axes))
            wcs.wcs.set()
            matrix: NDArray[np.float64] = wcs.pixel_scale_matrix
        except (ValueError, KeyError, MemoryError) as error:
            reason = str(error).strip().splitlines()
            raise InputError(f"{name}: celestial coordinates: {reason[-1] if reason else error}") from error
    if not np.isfinite(matrix).all() or np.linalg.det(matrix) == 0:
        raise InputError(f"{name}: pixel size {matrix.tolist()} deg is singular; expected CDELT or CD not 0")
    wcs.array_shape = shape
    return wcs


def reference_frequency(header: Header, axes: Axes) -> float | None:
    """Frequency of the first plane, Hz; of a velocity axis its rest frequency; None if there is none."""
    i = axes.spectral
    if i is not None and _axis_type(header, i).startswith("FREQ"):
        unit = FREQUENCY_UNITS.get(str(header.get(f"CUNIT{i}", "")).strip())
        if unit is not None:
            step = float(header.get(f"CDELT{i}", header.get(f"CD{i}_{i}", 0.0)))
            start = (1.0 - float(header.get(f"CRPIX{i}", 1.0))) * step
            return (float(header.get(f"CRVAL{i}", 0.0)) + start) * unit or None
    for key in ("RESTFRQ", "RESTFREQ", "FREQ0", "FREQ", "REFFREQ", "OBSFREQ"):
        value = header.get(key)
        if isinstance(value, (int, float)) and value > 0:
            return float(value)
    return None


def _axis_type(header: Header, i: int) -> str:
    """CTYPE of an axis; one without that counts in a unit of frequency is FREQ."""
    given = str(header.get(f"CTYPE{i}", "")).strip()
    if not given and str(header.get(f"CUNIT{i}", "")).strip() in ("Hz", "kHz", "MHz", "GHz"):
        return "FREQ"
    return given


def _absent_cards(header: Header, i: int) -> list[str]:
    """Remarks on what a header should have for an axis and has not; then FITS has a default."""
    lacks = [f"CTYPE{i}"] if not str(header.get(f"CTYPE{i}", "")).strip() else []
    lacks += [key for key in (f"CRPIX{i}", f"CRVAL{i}") if key not in header]
    if f"CDELT{i}" not in header and not any(re.match(rf"(CD|PC){i}_", key) for key in header):
        lacks.append(f"CDELT{i}")
    defaults = {"CRPIX": "0", "CRVAL": "0", "CDELT": "1", "CTYPE": "FREQ by its unit"}
    return [f"{key} is absent: {defaults[key[:5]]} assumed" for key in lacks]


def _first(types: dict[int, str], pattern: re.Pattern[str], last: int) -> int | None:
    """The first axis up to `last` whose type fits."""
    return next((i for i, kind in types.items() if i <= last and pattern.match(kind)), None)


def _wcs_axes(header: Header) -> int:
    """How many axes the coordinates describe, which may be more than the array has."""
    numbers = [int(key[5:]) for key in header if re.fullmatch(r"CTYPE\d+", key)]
    return max(numbers, default=0)


def _celestial_header(header: Header, axes: Axes) -> Header:
    """Only the cards of the two celestial axes, renumbered to 1 (longitude) and 2 (latitude)."""
    out = Header()
    pairs = ((axes.longitude, 1), (axes.latitude, 2))
    for key in WHOLE_KEYS:
        if key in header:
            out[key] = header[key]
    for old, new in pairs:
        for stem in ("CTYPE", "CUNIT", "CRPIX", "CRVAL", "CDELT", "CROTA"):
            if f"{stem}{old}" in header:
                out[f"{stem}{new}"] = header[f"{stem}{old}"]
        for card in header.cards:
            if re.fullmatch(rf"PV{old}_\d+", card.keyword):
                out[card.keyword.replace(f"PV{old}_", f"PV{new}_")] = card.value
        for old_j, new_j in pairs:
            _copy_matrix(header, out, old=(old, old_j), new=(new, new_j))
    return out


def _copy_matrix(header: Header, out: Header, *, old: tuple[int, int], new: tuple[int, int]) -> None:
    """Copy one element of the PC or CD matrix, in the standard or the AIPS zero-padded spelling."""
    i, j = old
    for stem in ("PC", "CD"):
        for key in (f"{stem}{i}_{j}", f"{stem}{i:03d}{j:03d}", f"{stem}{i:02d}_{j:02d}"):
            if key in header:
                out[f"{stem}{new[0]}_{new[1]}"] = header[key]

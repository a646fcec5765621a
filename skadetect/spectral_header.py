"""The spectral axis of a FITS header, in whatever convention, as frequencies.

What the axis counts is told by CTYPE. Standard types (FITS paper III) are taken as they stand: FREQ, VRAD
(radio velocity), VOPT (optical velocity), VELO (apparent, relativistic velocity), ZOPT, WAVE, and those that
are regular in another quantity, such as VOPT-F2W. Types of AIPS, GIPSY and Miriad end in a frame (-LSR, -HEL,
-OBS) and follow the AIPS convention: VELO-HEL is regular in velocity, optical unless VELREF is above 256;
FELO-HEL is regular in frequency, written as the optical velocity that frequency stands for, whose step holds
at the reference pixel. A VELO-HEL of GIPSY has no VELREF and is thus optical, as WSRT's were. FREQ-OHEL and
its kin are GIPSY's: frequencies at the telescope, moved here to the frame in which the reference channel has
the optical (O) or radio (R) velocity DRVAL.
"""

from __future__ import annotations

import re
import warnings

import numpy as np
from astropy import units as u
from astropy.io.fits import Header
from astropy.wcs import WCS
from numpy.typing import NDArray

from skadetect.errors import InputError
from skadetect.image_axes import Axes
from skadetect.spectral import HI_FREQUENCY, LIGHT_KMS, SpectralAxis

WHOLE_KEYS = ("SPECSYS", "SSYSOBS", "VELREF", "RESTWAV")
REST_KEYS = ("RESTFRQ", "RESTFREQ", "FREQ0", "LINEFREQ")
FRAMES = {
    "LSRD": "LSRD", "LSR": "LSRK", "HEL": "BARYCENT", "BAR": "BARYCENT",
    "OBS": "TOPOCENT", "TOP": "TOPOCENT", "GEO": "GEOCENTR", "GAL": "GALACTOC",
}  # fmt: skip
SPEEDS = ("VELO", "FELO", "VRAD", "VOPT")
FINEST_KMS = 0.05  # steps below this many m/s without a unit are km/s


def read_spectral_axis(
    header: Header, axes: Axes, *, n: int, name: str
) -> tuple[SpectralAxis, tuple[str, ...]]:
    """Frequencies of the channels of a cube.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Repaired.
    axes : Axes
        With a spectral one.
    n : int
        Channels.
    name : str
        For messages.

    Returns
    -------
    axis : SpectralAxis
    repairs : tuple of str
        What was mended or assumed.

    Raises
    ------
    InputError
        If frequencies cannot be told, or are not positive and all different.
    """
    number = axes.spectral
    if number is None:
        raise ValueError(f"{name} has no spectral axis")
    rest, repairs = rest_frequency(header)
    cards, card_repairs = _cards(header, number, rest)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old spellings that wcslib mends and remarks on
            wcs = WCS(cards)
            wcs.wcs.set()
            axis = SpectralAxis(
                freq=_frequencies(wcs, n, rest),
                rest_freq=rest,
                frame=str(wcs.wcs.specsys).strip(),
                kind=str(wcs.wcs.ctype[0])[:4],
            )
    except (ValueError, KeyError, TypeError, MemoryError, u.UnitsError) as error:
        reason = str(error).strip().splitlines()
        about = ", ".join(f"{key} = {value!r}" for key, value in cards.items() if key.startswith("C"))
        raise InputError(
            f"{name}: spectral axis {number} ({about}): {reason[-1] if reason else error}"
        ) from error
    return axis, repairs + card_repairs


def rest_frequency(header: Header) -> tuple[float, tuple[str, ...]]:
    """Rest frequency of the line, Hz, and a remark where it is not under its usual names."""
    for key in REST_KEYS:
        value = header.get(key)
        if isinstance(value, (int, float)) and value > 0:
            if key in ("RESTFRQ", "RESTFREQ"):
                return float(value), ()
            return float(value), (f"RESTFRQ is absent: {key} = {value:.10g} Hz taken",)
    return HI_FREQUENCY, (f"no rest frequency: {HI_FREQUENCY / 1e9:.12g} GHz of the HI line assumed",)


def _frequencies(wcs: WCS, n: int, rest: float) -> NDArray[np.float64]:
    """Frequencies of channels of a spectral WCS of one axis."""
    kind = str(wcs.wcs.ctype[0])
    if kind[:4] != "FREQ":
        from spectral_cube.spectral_axis import convert_spectral_axis, determine_ctype_from_vconv

        wcs = convert_spectral_axis(wcs, u.Hz, determine_ctype_from_vconv(kind, u.Hz), rest_value=rest * u.Hz)
        wcs.wcs.set()
    unit = u.Unit(wcs.wcs.cunit[0])
    values: NDArray[np.float64] = wcs.wcs_pix2world(np.arange(n, dtype=np.float64), 0)[0]
    return values * (unit.to(u.Hz) if unit != u.dimensionless_unscaled else 1.0)


def _cards(header: Header, number: int, rest: float) -> tuple[Header, tuple[str, ...]]:
    """The spectral axis alone as a header of one axis, its type and unit in standard spelling."""
    out = Header()
    for key in WHOLE_KEYS:
        if key in header:
            out[key] = header[key]
    for stem, default in (("CRPIX", 0.0), ("CRVAL", 0.0), ("CDELT", 1.0)):
        out[f"{stem}1"] = float(header.get(f"{stem}{number}", default))
    step = _matrix_element(header, number)
    if step is not None:
        out["CDELT1"] = step
    for card in header.cards:
        if re.fullmatch(rf"P[VS]{number}_\d+", card.keyword):
            out[card.keyword.replace(f"{number}_", "1_", 1)] = card.value
    out["RESTFRQ"] = rest
    kind, frame, kind_repairs = _standard_type(str(header.get(f"CTYPE{number}", "")) or "FREQ")
    out["CTYPE1"] = kind
    if frame and not str(out.get("SPECSYS", "")).strip():
        out["SPECSYS"] = frame
    unit, unit_repairs = _unit(header, number, kind, out)
    out["CUNIT1"] = unit
    gipsy = re.fullmatch(r"FREQ-([OR])(HEL|LSR)", str(header.get(f"CTYPE{number}", "")).strip())
    if gipsy and f"DRVAL{number}" in header:
        out, kind_repairs = _moved_frame(out, header, number, radio=gipsy[1] == "R")
        out["SPECSYS"] = FRAMES[gipsy[2]]
    if kind == "ZOPT":
        out["CTYPE1"], out["CUNIT1"] = "VOPT", "km/s"
        out["CRVAL1"], out["CDELT1"] = out["CRVAL1"] * LIGHT_KMS, out["CDELT1"] * LIGHT_KMS
    return out, kind_repairs + unit_repairs


def _moved_frame(axis: Header, header: Header, number: int, *, radio: bool) -> tuple[Header, tuple[str, ...]]:
    """Frequencies at the telescope as those in the frame of the reference channel's velocity."""
    given = str(header.get(f"DUNIT{number}", "m/s")).strip().lower()
    beta = float(header[f"DRVAL{number}"]) * (1.0 if given == "km/s" else 1e-3) / LIGHT_KMS
    factor = u.Unit(axis["CUNIT1"] or "Hz").to(u.Hz)
    seen = axis["RESTFRQ"] * (1 - beta if radio else 1 / (1 + beta))
    axis["CDELT1"] = axis["CDELT1"] * seen / axis["CRVAL1"]
    axis["CRVAL1"] = seen / factor
    kind = header[f"CTYPE{number}"]
    return axis, (f"CTYPE{number} = {kind!r}: frequencies moved to the frame of DRVAL{number}",)


def _matrix_element(header: Header, number: int) -> float | None:
    """Step of an axis where a CD or PC matrix has it."""
    if f"CD{number}_{number}" in header:
        return float(header[f"CD{number}_{number}"])
    for key in (f"PC{number}_{number}", f"PC{number:03d}{number:03d}", f"PC{number:02d}_{number:02d}"):
        if key in header:
            return float(header[key]) * float(header.get(f"CDELT{number}", 1.0))
    return None


def _standard_type(given: str) -> tuple[str, str, tuple[str, ...]]:
    """A CTYPE that wcslib knows, the frame that an ending tells, and a remark if it changed."""
    head, _, tail = given.strip().upper().partition("-")
    tail = tail.strip("- ")
    kind = head[:4]
    if re.fullmatch(r"[FWVA]2[FWVA]|LOG|TAB", tail):
        return f"{kind}-{tail}", "", ()
    frame = next((FRAMES[key] for key in FRAMES if tail.startswith(key)), "")
    if kind in ("VELO", "FELO") and frame:
        # AIPS: wcslib reads VELREF with an ending that it knows.
        ending = {"LSRK": "-LSR", "LSRD": "-LSR", "BARYCENT": "-HEL"}.get(frame, "-OBS")
        return kind + ending, frame, ()
    changed = head != kind or (tail and not frame)
    remark = (f"CTYPE = {given.strip()!r} read as {kind!r}",) if changed else ()
    return kind, frame, remark


def _unit(header: Header, number: int, kind: str, axis: Header) -> tuple[str, tuple[str, ...]]:
    """Unit of the axis, and a remark where the header has none and its numbers cannot be in the default."""
    given = str(header.get(f"CUNIT{number}", "")).strip()
    if given or kind == "ZOPT":
        return given, ()
    unit = ""
    step, value = abs(axis["CDELT1"]), abs(axis["CRVAL1"])
    if kind[:4] in SPEEDS:
        unit = "km/s" if 0 < step < FINEST_KMS * 1e3 else "m/s"
    elif kind[:4] == "FREQ":
        unit = "GHz" if value < 30 else "MHz" if value < 1e5 else "kHz" if value < 1e7 else "Hz"
    assumed = unit if unit in ("km/s", "GHz", "MHz", "kHz") else ""
    return unit, (f"CUNIT{number} is absent: {assumed} assumed",) if assumed else ()

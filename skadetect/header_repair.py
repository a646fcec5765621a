"""Radio image headers as they are in the wild, brought to one spelling; every change is told in words.

`repair_header` mends units and axis names. `find_beam` looks wherever imagers leave the restoring beam.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from astropy.io.fits import Header
from astropy.io.fits.verify import VerifyError

# What an axis unit may be spelled as, upper case and without spaces.
AXIS_UNITS = {
    "DEG": "deg", "DEGREE": "deg", "DEGREES": "deg", "DEGS": "deg", "RAD": "rad", "RADIAN": "rad",
    "ARCSEC": "arcsec", "ASEC": "arcsec", "ARCMIN": "arcmin",
    "HZ": "Hz", "HERTZ": "Hz", "KHZ": "kHz", "MHZ": "MHz", "GHZ": "GHz",
    "M/S": "m/s", "KM/S": "km/s", "MS-1": "m/s", "KMS-1": "km/s", "M": "m", "": "",
    "M/SEC": "m/s", "KM/SEC": "km/s", "METER/SEC": "m/s", "KMS": "km/s", "CM": "cm", "MM": "mm",
}  # fmt: skip
PREFIXES = {"": "", "M": "m", "MILLI": "m", "U": "u", "MICRO": "u", "MU": "u", "N": "n", "NANO": "n"}
PREFIX = r"(?P<prefix>|M|MILLI|U|MICRO|MU|N|NANO)(?:JY|JANSKYS?)(?:/|PER)?"
BEAM_UNIT = re.compile(PREFIX + r"(?:BEAM|BM|BEAMS)(?:\^?-1)?")
PIXEL_UNIT = re.compile(PREFIX + r"(?:PIXEL|PIX)(?:\^?-1)?")
NUMBER = r"([-+]?\d*\.?\d+(?:[EeDd][-+]?\d+)?)"
AIPS_BEAM = re.compile(rf"BMAJ\s*=\s*{NUMBER}\s+BMIN\s*=\s*{NUMBER}(?:\s+BPA\s*=\s*{NUMBER})?", re.I)
CASA_BEAM = re.compile(
    rf"beam.*?{NUMBER}\s*(?:by|x)\s*{NUMBER}\s*\(?arcsec\)?\s*(?:at)?\s*pa\s*{NUMBER}", re.I
)

BeamDegrees = tuple[float, float, float]


def repair_header(header: Header) -> tuple[Header, tuple[str, ...]]:
    """A copy of a header with axis names and units in standard spelling.

    Parameters
    ----------
    header : astropy.io.fits.Header
        As read; it is not changed.

    Returns
    -------
    header : astropy.io.fits.Header
        CTYPEn upper case, CUNITn and BUNIT as FITS spells them; cards that cannot be parsed are gone.
    repairs : tuple of str
        One line for each change that another reader might have made otherwise.
    """
    mended, repairs = _readable(header)
    for key in list(mended):
        if re.fullmatch(r"CTYPE\d+", key):
            mended[key] = str(mended[key]).strip().upper()
        elif re.fullmatch(r"CUNIT\d+", key):
            repairs += _repair_axis_unit(mended, key)
    repairs += _repair_brightness_unit(mended)
    return mended, tuple(repairs)


def find_beam(header: Header, *, pixel_scale: float) -> tuple[BeamDegrees | None, tuple[str, ...]]:
    """The restoring beam from BMAJ, BMIN, BPA, else from what imagers write in HISTORY.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the image.
    pixel_scale : float
        Pixel side, degrees: tells axes in degrees from axes in arcsec.

    Returns
    -------
    beam : (bmaj, bmin, bpa) in degrees, or None where there is no beam.
    repairs : tuple of str
        What was not plainly there.
    """
    bmaj = _number(header.get("BMAJ"))
    if bmaj is not None and bmaj > 0:
        return _beam_from_keywords(header, bmaj, pixel_scale=pixel_scale)
    beam = _beam_from_history(header.get("HISTORY", ()))
    if beam is None:
        return None, ()
    asec = f'{beam[0] * 3600:.6g}" x {beam[1] * 3600:.6g}", pa {beam[2]:.6g} deg'
    return beam, (f"BMAJ is {header.get('BMAJ', 'absent')}: beam {asec} taken from HISTORY",)


def _readable(header: Header) -> tuple[Header, list[str]]:
    """The header without the cards whose value cannot be parsed."""
    mended, repairs = Header(), []
    for card in header.cards:
        try:
            mended.append((card.keyword, card.value, card.comment), end=True)
        except (VerifyError, ValueError) as error:
            repairs.append(f"header card {card.keyword!r} dropped: {str(error).splitlines()[0]}")
    return mended, repairs


def _repair_axis_unit(header: Header, key: str) -> list[str]:
    """Put one CUNITn into standard spelling; drop it if it is no unit."""
    given = str(header[key])
    spelled = AXIS_UNITS.get(re.sub(r"\s", "", given).upper())
    if spelled == given.strip():
        return []
    if spelled is None:
        del header[key]
        return [f"{key} = {given.strip()!r} is not a unit: default of its axis assumed"]
    header[key] = spelled
    return [f"{key} = {given.strip()!r} read as {spelled!r}"]


def _repair_brightness_unit(header: Header) -> list[str]:
    """Put BUNIT into standard spelling; absent is Jy/beam."""
    given = str(header.get("BUNIT", "")).strip()
    spelled = brightness_unit(given) if given else "Jy/beam"
    if spelled is None or spelled == given:
        return []
    header["BUNIT"] = spelled
    if given.upper() == spelled.upper():
        return []
    return [f"BUNIT = {given!r} read as {spelled!r}" if given else "BUNIT is absent: Jy/beam assumed"]


def brightness_unit(text: str) -> str | None:
    """Standard spelling of a brightness unit, e.g. 'beam-1 Jy' -> 'Jy/beam'; None if it is not known."""
    bare = re.sub(r"[\s*.()\"']", "", text).replace("µ", "u").replace("μ", "u")
    upper = bare.upper()
    if "BEAM-1" in upper or "BEAM^-1" in upper or "PIXEL-1" in upper:
        upper = re.sub(r"^(BEAM|PIXEL)\^?-1(.*)$", r"\2/\1", upper)
    if re.fullmatch(r"MJY/?SR(\^?-1)?", upper):
        return "MJy/sr"
    if upper in ("K", "KELVIN", "MK", "MILLIKELVIN"):
        return "K" if upper.startswith("K") else "mK"
    if re.fullmatch(r"W\.?U\.?", upper) or upper == "WU":
        return "5 mJy/beam"  # Westerbork units
    for pattern, divisor in ((BEAM_UNIT, "beam"), (PIXEL_UNIT, "pixel")):
        match = pattern.fullmatch(upper)
        if match:
            return f"{PREFIXES[match['prefix']]}Jy/{divisor}"
    return None


def _beam_from_keywords(
    header: Header, bmaj: float, *, pixel_scale: float
) -> tuple[BeamDegrees, tuple[str, ...]]:
    """Beam of the BMAJ, BMIN, BPA keywords, mended where they contradict the pixel."""
    repairs = []
    bmin, bpa = _number(header.get("BMIN")), _number(header.get("BPA"))
    if bmin is None or bmin <= 0:
        bmin = bmaj
        repairs.append(f"BMIN is {header.get('BMIN', 'absent')}: a round beam assumed")
    if bpa is None:
        bpa = 0.0
        if bmin != bmaj:
            repairs.append("BPA is absent: 0 assumed")
    if bmaj > 300 * pixel_scale and 1 <= bmaj / 3600 / pixel_scale <= 300:
        repairs.append(f"BMAJ = {bmaj} would be {bmaj / pixel_scale:.0f} pixels: read as arcsec, not degrees")
        bmaj, bmin = bmaj / 3600, bmin / 3600
    if bmin > bmaj:
        repairs.append(f"BMIN = {bmin} is larger than BMAJ = {bmaj}: axes exchanged")
        bmaj, bmin, bpa = bmin, bmaj, bpa + 90
    return (bmaj, bmin, bpa), tuple(repairs)


def _beam_from_history(history: Iterable[str]) -> BeamDegrees | None:
    """The last beam that AIPS (degrees) or CASA (arcsec) wrote into HISTORY."""
    for line in reversed([str(entry) for entry in history]):
        for pattern, scale in ((AIPS_BEAM, 1.0), (CASA_BEAM, 1 / 3600)):
            match = pattern.search(line)
            if match:
                bmaj, bmin, bpa = (_number(text) or 0.0 for text in match.groups())
                if bmaj > 0 and bmin > 0:
                    return max(bmaj, bmin) * scale, min(bmaj, bmin) * scale, bpa
    return None


def _number(value: object) -> float | None:
    """A header value as a finite float, or None."""
    try:
        number = float(str(value).upper().replace("D", "E"))
    except ValueError:
        return None
    return number if math.isfinite(number) else None

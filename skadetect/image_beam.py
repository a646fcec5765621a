"""The restoring beam of an image: given, in its header, in a table of one a channel, or told by its noise."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from radio_beam import Beam, Beams

from skadetect.beams import PixelBeam
from skadetect.errors import InputError
from skadetect.header_repair import find_beam
from skadetect.noise_beam import estimate_pixel_beam
from skadetect.pixels import PixelSource

BeamLike: TypeAlias = Beam | tuple[float, float, float] | float
Floats = NDArray[np.float64]
SAME = 1e-3  # relative scatter of areas below which channels have one beam
TABLE_ERRORS = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, fits.VerifyError)


@dataclass(frozen=True)
class SkyBeam:
    """The beam of an image.

    Attributes
    ----------
    beam : radio_beam.Beam
        Of all channels together.
    gains : (z,) float64 or None
        What makes a channel's flux per its own beam a flux per this beam; None if channels have one beam.
    repairs : tuple of str
        What was mended or assumed.
    """

    beam: Beam
    gains: Floats | None = None
    repairs: tuple[str, ...] = ()


def given_beam(given: BeamLike, *, name: str) -> SkyBeam:
    """The beam that a user asks for.

    Raises
    ------
    InputError
        If its axes are not positive, or bmaj < bmin.
    """
    if isinstance(given, Beam):
        return SkyBeam(given)
    axes = (given, given, 0.0) if isinstance(given, (int, float)) else tuple(given)
    return SkyBeam(_beam(axes[0] / 3600, axes[1] / 3600, axes[2], name=name))


def header_beam(header: fits.Header, wcs: WCS, *, name: str) -> SkyBeam | None:
    """The beam of a header's keywords or history, or None.

    Raises
    ------
    InputError
        If it is not one.
    """
    found, repairs = find_beam(header, pixel_scale=pixel_scale(wcs))
    return None if found is None else SkyBeam(_beam(*found, name=name), None, repairs)


def beam_table(path: Path, *, channels: int) -> SkyBeam | None:
    """The beams of the channels from a table of CASA (BEAMS) or AIPS (CG) in a file, or None.

    The common beam is that of the channel of median area; channels without a beam count as having it.

    Parameters
    ----------
    path : Path
        FITS file.
    channels : int
        A table of another number of rows (of the first Stokes parameter) is passed over.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd headers are the repair layer's business
        try:
            beams = _read_table(path)
        except TABLE_ERRORS:
            return None
    if beams is None or len(beams) != channels:
        return None
    area = np.asarray(beams.sr.to_value(u.sr), np.float64)
    known = np.isfinite(area) & (area > 0)
    if not known.any():
        return None
    order = np.flatnonzero(known)[np.argsort(area[known], kind="stable")]
    middle = int(order[(order.size - 1) // 2])
    common = Beam(major=beams.major[middle], minor=beams.minor[middle], pa=beams.pa[middle])
    gains = np.where(known, area[middle] / np.where(known, area, 1.0), 1.0)
    if np.abs(gains - 1).max() < SAME:
        return SkyBeam(common)
    widest, finest = (math.sqrt(float(area[k] / area[middle])) for k in (order[-1], order[0]))
    remark = (
        f"a beam for each channel, {finest:.3g} to {widest:.3g} times {_words(common)}: brought to that one"
    )
    return SkyBeam(common, gains, (remark,))


def noise_beam(header: fits.Header, wcs: WCS, source: PixelSource) -> SkyBeam | None:
    """The beam that the noise of a cube tells, or None if it does not."""
    found = estimate_pixel_beam(source)
    if found is None:
        return None
    matrix = wcs.pixel_scale_matrix
    # A beam in pixels is one on a sky whose (east, north) are (x, y) after the inverse transformation.
    east_north = PixelBeam.from_sky(
        found.bmaj, found.bmin, math.pi / 2 - found.theta, pixel_matrix=np.linalg.inv(matrix)
    )
    pa = math.degrees(math.pi / 2 - east_north.theta) % 180
    beam = Beam(major=east_north.bmaj * u.deg, minor=east_north.bmin * u.deg, pa=pa * u.deg)
    given = f"BMAJ is {header.get('BMAJ', 'absent')}"
    return SkyBeam(
        beam, None, (f"{given}: beam {_words(beam)} estimated from the noise; --beam gives another",)
    )


def missing_beam(header: fits.Header, *, name: str) -> InputError:
    """The error for an image whose beam nothing tells."""
    return InputError(
        f"{name}: no restoring beam (BMAJ = {header.get('BMAJ', 'absent')}, none in HISTORY): "
        "give beam=(bmaj, bmin, pa) in arcsec and degrees, or --beam"
    )


def pixel_beam(beam: Beam, wcs: WCS) -> PixelBeam:
    """A sky beam on the pixel grid at the reference point, where imagers define it."""
    return PixelBeam.from_sky(
        beam.major.to_value(u.deg),
        beam.minor.to_value(u.deg),
        beam.pa.to_value(u.rad),
        pixel_matrix=wcs.pixel_scale_matrix,
    )


def pixel_scale(wcs: WCS) -> float:
    """Pixel side, degrees: square root of the pixel's solid angle at the reference point."""
    return math.sqrt(abs(float(np.linalg.det(wcs.pixel_scale_matrix))))


def _beam(bmaj: float, bmin: float, pa: float, *, name: str) -> Beam:
    """A beam of axes in degrees."""
    if not (math.isfinite(bmaj) and bmaj >= bmin > 0):
        raise InputError(f"{name}: beam of {bmaj * 3600} x {bmin * 3600} arcsec; expected bmaj >= bmin > 0")
    return Beam(major=bmaj * u.deg, minor=bmin * u.deg, pa=pa * u.deg)


def _read_table(path: Path) -> Beams | None:
    """The beams of the first table that has any, those of the first Stokes parameter."""
    with fits.open(path, memmap=True) as hdus:
        for hdu in hdus:
            if isinstance(hdu, fits.BinTableHDU) and {"BMAJ", "BMIN", "BPA"} <= set(hdu.columns.names):
                if "POL" in hdu.columns.names:
                    rows = hdu.data[hdu.data["POL"] == np.min(hdu.data["POL"])]
                    hdu = fits.BinTableHDU(rows, hdu.header)
                return Beams.from_fits_bintable(hdu)
    return None


def _words(beam: Beam) -> str:
    """Axes and angle of a beam."""
    major, minor = beam.major.to_value(u.arcsec), beam.minor.to_value(u.arcsec)
    return f'{major:.4g}" x {minor:.4g}", pa {beam.pa.to_value(u.deg):.3g} deg'

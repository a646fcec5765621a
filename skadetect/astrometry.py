"""Pixels to sky and back: the one place that knows half pixels, axis order, frames and which way angles turn.

Pixel coordinates are 0-based with integers at pixel centres. Angles on the image run from +x towards +y,
position angles on the sky from north towards east. Those of axes repeat after half a turn, those of
directions (the receding side of a galaxy) after a whole one.
"""

from __future__ import annotations

import numpy as np
from astropy.coordinates import ICRS, SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
STEP = 0.5  # pixels, for differences along an axis


def pixel_to_sky(wcs: WCS, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Right ascension and declination of pixels.

    ICRS and FK5 J2000 coordinates are given as the image has them (they differ by less than 0.03 arcsec);
    other frames (galactic, FK4) are turned into ICRS.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial, axes (longitude, latitude).
    x, y : (n,) array
        Pixels, 0-based.

    Returns
    -------
    ra, dec : (n,) float64
        Degrees, ra in [0, 360); NaN for pixels off the sky.
    """
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    lon, lat = wcs.wcs_pix2world(x.ravel(), y.ravel(), 0)
    if not _is_equatorial(wcs):
        sky = SkyCoord(lon, lat, unit="deg", frame=wcs_to_celestial_frame(wcs)).icrs
        lon, lat = sky.ra.deg, sky.dec.deg
    ra = np.mod(lon, 360.0)
    return np.where(ra == 360.0, 0.0, ra).reshape(x.shape), np.asarray(lat).reshape(x.shape)


def sky_to_pixel(wcs: WCS, ra: ArrayLike, dec: ArrayLike) -> tuple[Floats, Floats]:
    """Pixels of sky positions; the inverse of `pixel_to_sky`.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial, axes (longitude, latitude).
    ra, dec : (n,) array
        Degrees.

    Returns
    -------
    x, y : (n,) float64
        Pixels, 0-based; NaN for positions that the projection does not show.
    """
    ra, dec = np.broadcast_arrays(np.asarray(ra, np.float64), np.asarray(dec, np.float64))
    lon, lat = ra.ravel(), dec.ravel()
    if not _is_equatorial(wcs):
        sky = SkyCoord(lon, lat, unit="deg", frame=ICRS()).transform_to(wcs_to_celestial_frame(wcs))
        lon, lat = sky.spherical.lon.deg, sky.spherical.lat.deg
    x, y = wcs.wcs_world2pix(lon, lat, 0)
    return np.asarray(x).reshape(ra.shape), np.asarray(y).reshape(ra.shape)


def theta_to_pa(wcs: WCS, x: ArrayLike, y: ArrayLike, theta: ArrayLike) -> Floats:
    """Position angle on the sky of an axis on the image.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial, axes (longitude, latitude).
    x, y : (n,) array
        Where on the image, pixels: north is the local one.
    theta : (n,) or (m, n) array
        Angle on the image, radians from +x towards +y; of m axes at each pixel.

    Returns
    -------
    array as `theta`, float64
        Degrees from north towards east, in [0, 180).
    """
    return _folded(_position_angle(wcs, x, y, theta), 180.0)


def direction_to_pa(wcs: WCS, x: ArrayLike, y: ArrayLike, theta: ArrayLike) -> Floats:
    """Position angle on the sky of a direction on the image.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial, axes (longitude, latitude).
    x, y : (n,) array
        Where on the image, pixels: north is the local one.
    theta : (n,) array
        Direction on the image, radians from +x towards +y.

    Returns
    -------
    (n,) float64
        Degrees from north towards east, in [0, 360).
    """
    return _folded(_position_angle(wcs, x, y, theta), 360.0)


def pa_to_theta(wcs: WCS, x: ArrayLike, y: ArrayLike, pa: ArrayLike) -> Floats:
    """Angle on the image of an axis on the sky; the inverse of `theta_to_pa`.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Celestial, axes (longitude, latitude).
    x, y : (n,) array
        Where on the image, pixels.
    pa : (n,) array
        Degrees from north towards east.

    Returns
    -------
    (n,) float64
        Radians from +x towards +y, in [0, pi).
    """
    (ex, ey), (nx, ny) = _jacobian(wcs, x, y)
    angle = np.radians(np.asarray(pa, np.float64))
    east, north = np.sin(angle), np.cos(angle)
    # The inverse of a 2 x 2 matrix but for its determinant, of which only the sign turns an axis' direction.
    dx, dy = ny * east - ey * north, -nx * east + ex * north
    return _folded(np.arctan2(dy, dx), np.pi)


def iau_name(prefix: str, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.str_]:
    """Names after the IAU recommendation, JHHMMSS.s+DDMMSS: coordinates truncated, never rounded.

    Parameters
    ----------
    prefix : str
        Acronym in front of the J, e.g. "SKAD"; it is followed by a space, and may be empty.
    ra, dec : (n,) array
        Degrees.

    Returns
    -------
    (n,) str
        For example "SKAD J000000.0-300000"; without digits where a coordinate is not finite.
    """
    ra, dec = np.atleast_1d(np.asarray(ra, np.float64)), np.atleast_1d(np.asarray(dec, np.float64))
    known = np.isfinite(ra) & np.isfinite(dec)
    # A billionth of a digit is given back to what the conversion to seconds may have lost.
    tenths = np.floor(np.mod(np.where(known, ra, 0.0), 360.0) * 2400.0 + 1e-9).astype(np.int64) % 864000
    seconds = np.floor(np.abs(np.where(known, dec, 0.0)) * 3600.0 + 1e-9).astype(np.int64)
    right = _digits(tenths // 36000, tenths // 600 % 60, tenths // 10 % 60)
    south = _digits(seconds // 3600, seconds // 60 % 60, seconds % 60)
    sign = np.where(np.signbit(dec), ord("-"), ord("+"))
    letters = np.column_stack([right, np.full(len(ra), ord(".")), ord("0") + tenths % 10, sign, south])
    letters[~known] = 0
    head = f"{prefix} J" if prefix else "J"
    before = np.broadcast_to(np.array([ord(letter) for letter in head]), (len(ra), len(head)))
    codes = np.ascontiguousarray(np.concatenate([before, letters], axis=1), np.uint32)  # as NumPy keeps text
    return codes.view(f"<U{codes.shape[1]}" if len(ra) else "<U1")[:, 0]


def _digits(*numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Code points (n, 2 k) of k numbers below 100 in two digits each."""
    return ord("0") + np.stack([digit for each in numbers for digit in (each // 10, each % 10)], axis=1)


def _is_equatorial(wcs: WCS) -> bool:
    """Whether coordinates are ICRS or FK5 J2000 as they stand."""
    if not str(wcs.wcs.ctype[0]).startswith("RA"):
        return False
    equinox, frame = wcs.wcs.equinox, wcs.wcs.radesys
    return frame in ("ICRS", "") or (frame == "FK5" and (np.isnan(equinox) or equinox == 2000.0))


def _position_angle(wcs: WCS, x: ArrayLike, y: ArrayLike, theta: ArrayLike) -> Floats:
    """Degrees from north towards east, in (-180, 180], of directions on the image."""
    east_north = _jacobian(wcs, x, y)
    theta = np.asarray(theta, np.float64)
    cos, sin = np.cos(theta), np.sin(theta)
    east = east_north[0, 0] * cos + east_north[0, 1] * sin
    north = east_north[1, 0] * cos + east_north[1, 1] * sin
    return np.degrees(np.arctan2(east, north))


def _jacobian(wcs: WCS, x: ArrayLike, y: ArrayLike) -> Floats:
    """d(east, north) / d(x, y) at pixels, (2, 2, n), degrees a pixel, by central differences."""
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    out = np.empty((2, 2, *x.shape))
    _, centre = pixel_to_sky(wcs, x, y)
    for axis, (dx, dy) in enumerate(((STEP, 0.0), (0.0, STEP))):
        ra1, dec1 = pixel_to_sky(wcs, x - dx, y - dy)
        ra2, dec2 = pixel_to_sky(wcs, x + dx, y + dy)
        out[0, axis] = _folded(ra2 - ra1 + 180.0, 360.0) - 180.0
        out[0, axis] *= np.cos(np.radians(centre))
        out[1, axis] = dec2 - dec1
    return out


def _folded(angle: Floats, period: float) -> Floats:
    """An angle in [0, period)."""
    folded = np.mod(angle, period)
    return np.where(folded >= period, 0.0, folded)

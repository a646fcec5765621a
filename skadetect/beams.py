"""Gaussian beams on the pixel grid: an ellipse by its FWHM axes and angle, convolved and deconvolved.

Angles here are radians from the +x axis of the image towards +y; an ellipse is its own turn by pi.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skadetect.errors import InputError

FWHM_PER_SIGMA = math.sqrt(8.0 * math.log(2.0))
REFERENCE_FWHM = 3.0

Ellipses = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class PixelBeam:
    """An elliptical Gaussian beam in pixels.

    Parameters
    ----------
    bmaj, bmin : float
        FWHM of the major and minor axis, pixels.
    theta : float
        Angle of the major axis, radians from +x towards +y.

    Raises
    ------
    InputError
        If an axis is not a positive finite number or bmaj < bmin.
    """

    bmaj: float
    bmin: float
    theta: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.bmaj) and math.isfinite(self.theta) and self.bmaj >= self.bmin > 0):
            raise InputError(
                f"beam of {self.bmaj} x {self.bmin} pixels at {self.theta} rad: expected bmaj >= bmin > 0"
            )

    @classmethod
    def from_sky(cls, bmaj: float, bmin: float, pa: float, *, pixel_matrix: NDArray[np.float64]) -> PixelBeam:
        """Beam on the grid from the beam on the tangent plane.

        Parameters
        ----------
        bmaj, bmin : float
            FWHM, in the length unit of `pixel_matrix`.
        pa : float
            Position angle of the major axis, radians from north towards east.
        pixel_matrix : (2, 2) array
            d(east, north) / d(x, y): lengths a pixel, as `astropy.wcs.WCS.pixel_scale_matrix`.
        """
        east_north = second_moments(bmaj, bmin, math.pi / 2 - pa)
        to_pixels = np.linalg.inv(pixel_matrix)
        covariance = np.array([[east_north[0], east_north[2]], [east_north[2], east_north[1]]])
        turned = to_pixels @ covariance @ to_pixels.T
        major, minor, theta = ellipse_of(turned[0, 0], turned[1, 1], turned[0, 1])
        return cls(float(major), float(minor), float(theta))

    @property
    def area(self) -> float:
        """Solid angle of the Gaussian, pixels: pi / (4 ln 2) bmaj bmin."""
        return math.pi / (4.0 * math.log(2.0)) * self.bmaj * self.bmin

    @property
    def fwhm(self) -> float:
        """Geometric mean of the axes, pixels."""
        return math.sqrt(self.bmaj * self.bmin)

    @property
    def elongation(self) -> float:
        """(bmaj^2 - bmin^2) / (bmaj^2 + bmin^2): 0 for a round beam, towards 1 for a line."""
        return (self.bmaj**2 - self.bmin**2) / (self.bmaj**2 + self.bmin**2)

    def features(self) -> tuple[float, float, float]:
        """The beam as a network sees it: log2(fwhm / 3 px) and elongation as a vector of twice the angle."""
        e = self.elongation
        return (
            math.log2(self.fwhm / REFERENCE_FWHM),
            e * math.cos(2.0 * self.theta),
            e * math.sin(2.0 * self.theta),
        )

    def scaled(self, factor: float) -> PixelBeam:
        """The same beam on pixels `factor` times smaller."""
        return PixelBeam(self.bmaj * factor, self.bmin * factor, self.theta)


def inclined_axis(size: ArrayLike, incl: ArrayLike, *, thickness: float) -> NDArray[np.float64]:
    """Minor axis of inclined discs, size sqrt(cos^2 i + q^2 sin^2 i) (Hubble 1926, ApJ 64, 321).

    Parameters
    ----------
    size : (n,) array
        Diameters, in any unit.
    incl : (n,) array
        Inclinations, radians, 0 face-on.
    thickness : float
        q, the thickness over the diameter.

    Returns
    -------
    (n,) float64
        In the unit of the diameters.
    """
    return np.asarray(np.asarray(size) * np.hypot(np.cos(incl), thickness * np.sin(incl)), np.float64)


def convolve(bmaj: ArrayLike, bmin: ArrayLike, theta: ArrayLike, beam: PixelBeam) -> Ellipses:
    """Ellipses of Gaussian sources seen through a beam.

    Parameters
    ----------
    bmaj, bmin : (n,) array
        Intrinsic FWHM axes, pixels; 0 is a point.
    theta : (n,) array
        Angle of the major axis, radians from +x towards +y.
    beam : PixelBeam
        What they are seen through.

    Returns
    -------
    bmaj, bmin, theta : (n,) float64
        Convolved axes in pixels, angle in radians in (-pi/2, pi/2].
    """
    xx, yy, xy = second_moments(bmaj, bmin, theta)
    bx, by, bxy = second_moments(beam.bmaj, beam.bmin, beam.theta)
    return ellipse_of(xx + bx, yy + by, xy + bxy)


def deconvolve(bmaj: ArrayLike, bmin: ArrayLike, theta: ArrayLike, beam: PixelBeam) -> Ellipses:
    """Intrinsic ellipses of Gaussian sources measured through a beam (Wild 1970, Aust. J. Phys. 23, 113).

    An axis that the beam explains wholly becomes 0, the other one is kept; both 0 is a point source.

    Parameters
    ----------
    bmaj, bmin : (n,) array
        Measured FWHM axes, pixels.
    theta : (n,) array
        Angle of the major axis, radians from +x towards +y.
    beam : PixelBeam
        What they were seen through.

    Returns
    -------
    bmaj, bmin, theta : (n,) float64
        Intrinsic axes in pixels, angle in radians in (-pi/2, pi/2].
    """
    xx, yy, xy = second_moments(bmaj, bmin, theta)
    bx, by, bxy = second_moments(beam.bmaj, beam.bmin, beam.theta)
    return ellipse_of(xx - bx, yy - by, xy - bxy)


def second_moments(bmaj: ArrayLike, bmin: ArrayLike, theta: ArrayLike) -> Ellipses:
    """Second moments xx, yy, xy of ellipses, in units of squared FWHM.

    Parameters
    ----------
    bmaj, bmin : (n,) array
        FWHM axes, pixels.
    theta : (n,) array
        Angle of the major axis, radians from +x towards +y.

    Returns
    -------
    xx, yy, xy : (n,) float64
        Those of a Gaussian times 8 ln 2.
    """
    major, minor = np.square(np.asarray(bmaj, np.float64)), np.square(np.asarray(bmin, np.float64))
    angle = np.asarray(theta, np.float64)
    cos, sin = np.cos(angle), np.sin(angle)
    return major * cos**2 + minor * sin**2, major * sin**2 + minor * cos**2, (major - minor) * cos * sin


def gaussian_exponents(bmaj: ArrayLike, bmin: ArrayLike, theta: ArrayLike) -> NDArray[np.float64]:
    """What multiplies dy^2, dx^2 and dy dx in the exponent of Gaussians.

    Parameters
    ----------
    bmaj, bmin, theta
        As for `second_moments`.

    Returns
    -------
    (n, 3) float64
        Per square pixel; none is positive but the last, which may be.
    """
    xx, yy, xy = second_moments(bmaj, bmin, theta)
    determinant = np.square(np.asarray(bmaj, np.float64) * np.asarray(bmin, np.float64))
    scale = -4.0 * math.log(2.0) / determinant
    return np.stack([scale * xx, scale * yy, -2.0 * scale * xy], axis=-1)


def ellipse_of(xx: NDArray[np.float64], yy: NDArray[np.float64], xy: NDArray[np.float64]) -> Ellipses:
    """Axes and angle of second moments; what is negative, or lost in rounding, is 0.

    Parameters
    ----------
    xx, yy, xy : (n,) array
        In units of squared FWHM, as `second_moments` gives them.

    Returns
    -------
    bmaj, bmin, theta : (n,) float64
        Axes in pixels, angle in radians in (-pi/2, pi/2].
    """
    half, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    major, minor = half + spread, half - spread
    noise = 1e-12 * (np.abs(xx) + np.abs(yy))
    theta = 0.5 * np.arctan2(2 * xy, xx - yy)
    return (
        np.sqrt(np.where(major > noise, major, 0.0)),
        np.sqrt(np.where(minor > noise, minor, 0.0)),
        np.where(major > noise, theta, 0.0),
    )

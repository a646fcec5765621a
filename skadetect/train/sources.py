"""The true sources of a field in pixel units: what targets are made of, whatever catalogue they came from."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from skadetect.beams import PixelBeam, convolve


@dataclass(frozen=True)
class Sources:
    """Columns of n true sources.

    Attributes
    ----------
    position : numpy.ndarray, (n, ndim), float64
        Array-order pixel coordinates (y, x); integers are pixel centres.
    flux : numpy.ndarray, (n,), float64
        Apparent integrated flux over the local rms, in beams (Jy over Jy/beam).
    bmaj, bmin : numpy.ndarray, (n,), float64
        Intrinsic Gaussian-equivalent FWHM in pixels.
    theta : numpy.ndarray, (n,), float64
        Angle of the major axis in radians from +x towards +y.
    peak_snr : numpy.ndarray, (n,), float64
        Expected peak over the local rms.
    """

    position: np.ndarray
    flux: np.ndarray
    bmaj: np.ndarray
    bmin: np.ndarray
    theta: np.ndarray
    peak_snr: np.ndarray

    def __len__(self) -> int:
        return len(self.flux)

    def take(self, index: np.ndarray) -> Sources:
        """The rows of an index array or a mask."""
        return Sources(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def with_(self, **columns: Any) -> Sources:
        """The same sources with some columns replaced."""
        return replace(self, **columns)

    def scaled(self, factor: float) -> Sources:
        """The same sources, brighter by a factor relative to the noise."""
        return self.with_(flux=self.flux * factor, peak_snr=self.peak_snr * factor)


def expected_peak(
    flux: np.ndarray, bmaj: np.ndarray, bmin: np.ndarray, theta: np.ndarray, beam: PixelBeam
) -> np.ndarray:
    """Peak of Gaussian sources seen through a Gaussian beam: flux times the ratio of beam to convolved area.

    Parameters
    ----------
    flux : numpy.ndarray, (n,)
        Integrated flux, in beams.
    bmaj, bmin, theta : numpy.ndarray, (n,)
        Intrinsic FWHM in pixels and angle in radians.
    beam : PixelBeam
        The restoring beam.

    Returns
    -------
    numpy.ndarray, (n,), float64
        Peak in the unit of `flux` a beam.
    """
    wide, narrow, _ = convolve(bmaj, bmin, theta, beam)
    return np.asarray(flux * (beam.bmaj * beam.bmin) / (wide * narrow))


def bounding_boxes(sources: Sources, beam: PixelBeam) -> np.ndarray:
    """Boxes around the half-power ellipses of 2D sources after convolution with the beam.

    Returns
    -------
    numpy.ndarray, (n, 2, 2), float64
        [lo, hi] corners (y, x) in the frame of `sources.position`.
    """
    wide, narrow, theta = convolve(sources.bmaj, sources.bmin, sources.theta, beam)
    cos, sin = np.cos(theta), np.sin(theta)
    # extent of a rotated ellipse along an axis: the norm of its two semi-axes' projections
    half_x = 0.5 * np.hypot(wide * cos, narrow * sin)
    half_y = 0.5 * np.hypot(wide * sin, narrow * cos)
    half = np.stack([half_y, half_x], axis=1)
    return np.stack([sources.position - half, sources.position + half], axis=1)

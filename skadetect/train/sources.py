"""The true sources of a field in pixel units: what targets are made of, whatever catalogue they came from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from skadetect.beams import PixelBeam, convolve

# Channels by which a line's box is wider than the line, in quadrature: a narrow line needs a box, too.
LINE_MARGIN = 3.0


@dataclass(frozen=True)
class Sources:
    """Columns of n true sources.

    Attributes
    ----------
    position : numpy.ndarray, (n, ndim), float64
        Array-order pixel coordinates (y, x) or (z, y, x); integers are pixel centres.
    flux : numpy.ndarray, (n,), float64
        Apparent integrated flux over the local rms, in beams (Jy over Jy/beam), of a line in beams times
        channels.
    bmaj, bmin : numpy.ndarray, (n,), float64
        Intrinsic Gaussian-equivalent FWHM in pixels; of a galaxy in a cube the axes of its HI disc at
        1 Msun/pc^2.
    theta : numpy.ndarray, (n,), float64
        Angle of the major axis in radians from +x towards +y; in a cube of its half towards the side at
        lower z.
    peak_snr : numpy.ndarray, (n,), float64
        Expected peak over the local rms; of a galaxy in a cube that of the matched filter.
    w20, w50 : numpy.ndarray, (n,), float64
        Width of a line at 20 and 50 % of its peak, channels; zeros in images.
    incl : numpy.ndarray, (n,), float64
        Inclination of a galaxy, radians, 0 face-on; zeros in images.
    """

    position: np.ndarray
    flux: np.ndarray
    bmaj: np.ndarray
    bmin: np.ndarray
    theta: np.ndarray
    peak_snr: np.ndarray
    w20: np.ndarray = field(default_factory=lambda: np.empty(0))
    w50: np.ndarray = field(default_factory=lambda: np.empty(0))
    incl: np.ndarray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        for name in ("w20", "w50", "incl"):
            if not len(getattr(self, name)):  # images do not have it
                object.__setattr__(self, name, np.zeros(len(self.flux)))

    def __len__(self) -> int:
        return len(self.flux)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """What `skadetect.parameters.encode` may ask for, by the names of the physical columns."""
        image = {"int_flux": self.flux, "bmaj": self.bmaj, "bmin": self.bmin, "theta": self.theta}
        cube = {"line_flux": self.flux, "hi_size": self.bmaj, "direction": self.theta, "incl": self.incl}
        return {**image, **cube, "w20": self.w20, "w50": self.w50}

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
    """Boxes around the half-power ellipses of sources after convolution with the beam, and around lines.

    Returns
    -------
    numpy.ndarray, (n, 2, ndim), float64
        [lo, hi] corners in the frame of `sources.position`.
    """
    wide, narrow, theta = convolve(sources.bmaj, sources.bmin, sources.theta, beam)
    cos, sin = np.cos(theta), np.sin(theta)
    # extent of a rotated ellipse along an axis: the norm of its two semi-axes' projections
    half_x = 0.5 * np.hypot(wide * cos, narrow * sin)
    half_y = 0.5 * np.hypot(wide * sin, narrow * cos)
    half = np.stack([half_y, half_x], axis=1)
    if sources.position.shape[1] == 3:
        half = np.column_stack([0.5 * np.hypot(sources.w20, LINE_MARGIN), half])
    return np.stack([sources.position - half, sources.position + half], axis=1)

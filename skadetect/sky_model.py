"""Gaussian sources on the pixels of an image, added up or taken out window by window.

Each pixel meets the sources that reach it in one order, whatever window is read, so that it does not depend
on tiles.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import PARALLEL
from skadetect.beams import Ellipses, PixelBeam, gaussian_exponents, second_moments

Floats = NDArray[np.float64]

#: Share of the noise below which a source has no wings any more.
_FAINT = 0.05
#: Rows of pixels that a thread works on at a time.
_BAND = 32


@dataclass(frozen=True)
class SkyModel:
    """Gaussian sources of an image.

    Attributes
    ----------
    centre : array (n, 2), float64
        (y, x) in pixels, by rising y.
    int_flux : array (n,), float32
        Image unit times beam.
    profile : array (n, 4), float32
        Peak in the image's unit, and what multiplies dy^2, dx^2 and dy dx in the exponent.
    corners : array (n, 2, 2), int32
        First pixel (y, x) that a source reaches and the one behind its last.
    """

    centre: Floats
    int_flux: NDArray[np.float32]
    profile: NDArray[np.float32]
    corners: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.centre)

    @classmethod
    def of(
        cls, centre: Floats, int_flux: Floats, ellipse: Ellipses, *, beam: PixelBeam, noise: Floats
    ) -> SkyModel:
        """Sources as they are seen through the beam.

        Parameters
        ----------
        centre : array (n, 2)
            (y, x), pixels.
        int_flux : array (n,)
            Image unit times beam.
        ellipse : (bmaj, bmin, theta), each (n,)
            FWHM axes through the beam, pixels; radians from +x towards +y.
        beam : PixelBeam
            Of the image.
        noise : array (n,)
            At the source, image unit: wings far below it are left out.
        """
        bmaj, bmin, theta = ellipse
        good = np.isfinite(int_flux) & (int_flux > 0) & (bmin > 0) & np.isfinite(bmaj + theta)
        order = np.flatnonzero(good)[np.lexsort((centre[good, 1], centre[good, 0]))]
        bmaj, bmin, theta = (each[order] for each in ellipse)
        xx, yy, _ = second_moments(bmaj, bmin, theta)
        peak = int_flux[order] * beam.bmaj * beam.bmin / (bmaj * bmin)
        profile = np.column_stack([peak, gaussian_exponents(bmaj, bmin, theta)])
        faint = np.maximum(_FAINT * np.nan_to_num(noise[order]), 1e-6 * peak)
        reach = np.sqrt(np.log(np.maximum(peak / faint, 2.0)) / (4.0 * math.log(2.0)))
        extent = reach[:, None] * np.sqrt(np.stack([yy, xx], axis=1))
        low, high = np.ceil(centre[order] - extent), np.floor(centre[order] + extent) + 1
        corners = np.stack([low, high], axis=1).astype(np.int32)
        return cls(centre[order], int_flux[order].astype(np.float32), profile.astype(np.float32), corners)

    @classmethod
    def joined(cls, parts: Sequence[SkyModel]) -> SkyModel:
        """All sources of some parts."""
        profiles = np.empty((0, 4), np.float32)
        none = cls(np.empty((0, 2)), profiles[:, 0], profiles, np.empty((0, 2, 2), np.int32))
        centre = np.concatenate([none.centre, *(part.centre for part in parts)])
        order = np.lexsort((centre[:, 1], centre[:, 0]))
        columns = (
            np.concatenate([getattr(none, name), *(getattr(part, name) for part in parts)])[order]
            for name in ("int_flux", "profile", "corners")
        )
        return cls(centre[order], *columns)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(each.nbytes for each in (self.centre, self.int_flux, self.profile, self.corners))

    @property
    def digest(self) -> str:
        """What tells one set of sources from another."""
        sha = hashlib.sha256(np.ascontiguousarray(self.centre).tobytes())
        sha.update(np.ascontiguousarray(self.profile).tobytes())
        return sha.hexdigest()[:16]

    def add_to(self, window: NDArray[np.float32], low: tuple[int, int], *, sign: float = 1.0) -> None:
        """Add the sources to a window of the image, in place.

        Parameters
        ----------
        window : array (y, x), float32
        low : (y, x)
            Its first pixel in the image.
        sign : float
            Factor on the sources: -1 takes them out.
        """
        if not len(self):
            return
        top, bottom = low[0], low[0] + window.shape[0]
        tallest = int((self.corners[:, 1, 0] - self.corners[:, 0, 0]).max())
        first, last = np.searchsorted(self.centre[:, 0], [top - tallest - 1, bottom + tallest + 1])
        some = slice(int(first), int(last))
        reaches = (self.corners[some, 1] > low).all(axis=1)
        reaches &= (self.corners[some, 0] < [bottom, low[1] + window.shape[1]]).all(axis=1)
        index = some.start + np.flatnonzero(reaches)
        _add(self.centre[index], self.profile[index], self.corners[index], low, np.float32(sign), window)


@numba.njit(**PARALLEL)
def _add(
    centre: Floats,
    profile: NDArray[np.float32],
    corners: NDArray[np.int32],
    low: tuple[int, int],
    sign: np.float32,
    window: NDArray[np.float32],
) -> None:
    """All sources, a band of rows for each thread."""
    height, width = window.shape
    for band in numba.prange((height + _BAND - 1) // _BAND):
        top, bottom = band * _BAND, min(height, (band + 1) * _BAND)
        for i in range(len(centre)):
            first, last = max(top, corners[i, 0, 0] - low[0]), min(bottom, corners[i, 1, 0] - low[0])
            left, right = max(0, corners[i, 0, 1] - low[1]), min(width, corners[i, 1, 1] - low[1])
            peak = sign * profile[i, 0]
            for y in range(first, last):
                dy = np.float32(y + low[0] - centre[i, 0])
                for x in range(left, right):
                    dx = np.float32(x + low[1] - centre[i, 1])
                    power = (profile[i, 1] * dy + profile[i, 3] * dx) * dy + profile[i, 2] * dx * dx
                    window[y, x] += peak * np.exp(power)

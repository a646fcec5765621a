"""Add many elliptical Gaussians, convolved with a beam, to an image."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import JIT
from skadetect.simulate.shapes import Gaussians

# Stamps end where the Gaussian has fallen to this brightness, in units of `floor`.
_CUT = 0.02


def add_gaussians(
    image: NDArray[np.float32], gaussians: Gaussians, *, beam: tuple[float, float, float], floor: float
) -> None:
    """Add Gaussians convolved with a Gaussian beam, in place.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        Jy/beam of that beam.
    gaussians : Gaussians
        Centres and covariances in pixels, fluxes in Jy.
    beam : tuple of float
        The beam's covariance cxx, cxy, cyy, pixels^2.
    floor : float
        Brightness that does not matter, Jy/beam: a stamp ends at a fiftieth of it, or at 4 sigma.
    """
    _add(image, np.stack(gaussians.columns()), np.array(beam), floor * _CUT)


@numba.njit(**JIT)
def _add(image, gaussians, beam, cut):  # type: ignore[no-untyped-def]
    rows, columns = image.shape
    x, y, flux, cxx, cxy, cyy = gaussians
    beam_area = math.sqrt(beam[0] * beam[2] - beam[1] ** 2)
    for i in range(len(x)):
        a, b, c = cxx[i] + beam[0], cxy[i] + beam[1], cyy[i] + beam[2]
        determinant = a * c - b * b
        peak = flux[i] * beam_area / math.sqrt(determinant)
        if peak <= 0:
            continue
        reach = math.sqrt(max(16.0, 2 * math.log(max(peak / cut, 1.0))))
        half_x, half_y = reach * math.sqrt(a), reach * math.sqrt(c)
        first_x, last_x = max(0, math.ceil(x[i] - half_x)), min(columns - 1, math.floor(x[i] + half_x))
        first_y, last_y = max(0, math.ceil(y[i] - half_y)), min(rows - 1, math.floor(y[i] + half_y))
        for row in range(first_y, last_y + 1):
            dy = row - y[i]
            for column in range(first_x, last_x + 1):
                dx = column - x[i]
                quadratic = (c * dx * dx - 2 * b * dx * dy + a * dy * dy) / determinant
                image[row, column] += peak * math.exp(-0.5 * quadratic)

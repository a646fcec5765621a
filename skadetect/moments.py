"""Where the pixels of a source have their centre, and how far they spread: a network only guesses both.

Pixels are weighted by the Gaussian that the network sees through the beam. Of a source that is a Gaussian,
too, the weighted moments tell its own exactly, whatever the weight was.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import JIT, PARALLEL
from skadetect.beams import FWHM_PER_SIGMA, Ellipses, second_moments

Floats = NDArray[np.float64]

#: Standard deviations of the weight that pixels are looked at within.
WITHIN = 3.0
#: Share of the weight that has to lie on data: a centre is pulled away from a blank pixel.
LEAST_COVERED = 0.99


class Moments(NamedTuple):
    """What pixels say of sources.

    Attributes
    ----------
    centre : array (n, 2)
        (y, x) of the centroid beyond the position that was given, pixels.
    spread : array (n, 3)
        Second moments xx, yy, xy as seen through the beam, in units of squared FWHM, pixels.

    Both are NaN where blank pixels, noise or a neighbour leave nothing that a Gaussian could be.
    """

    centre: Floats
    spread: Floats


def weighted_moments(
    pixels: NDArray[np.float32], positions: Floats, ellipses: Ellipses, *, background: Floats, reach: float
) -> Moments:
    """Moments of sources by a Gaussian weight.

    A Gaussian of covariance C at an offset d has, weighted by one of covariance W, the covariance
    M = (1/C + 1/W)^-1 and the mean M d/C, by which both are known (the product of two Gaussians; Bernstein
    and Jarvis 2002, AJ 123, 583, section 3, iterate instead until W is C).

    Parameters
    ----------
    pixels : array (y, x), float32
        A window of the image.
    positions : array (n, 2)
        (y, x) of the sources, in pixels of the window.
    ellipses : (bmaj, bmin, theta), each (n,)
        FWHM as seen through the beam, pixels, and angle, radians from +x towards +y, of the weights.
    background : array (n,)
        Level of the pixels at the positions.
    reach : float
        Pixels from a position beyond which no pixel is looked at: what any window shows.
    """
    weights = np.stack(second_moments(*ellipses), axis=1) / FWHM_PER_SIGMA**2
    widest = WITHIN * np.sqrt(weights[:, :2].max(axis=1, initial=0.0))
    weights *= np.minimum(1.0, (reach / np.maximum(widest, 1e-9)) ** 2)[:, None]
    found = np.full((len(positions), 5), np.nan)
    if len(positions):
        _moments(pixels, np.ascontiguousarray(positions), weights, np.ascontiguousarray(background), found)
    return Moments(found[:, :2], found[:, 2:] * FWHM_PER_SIGMA**2)


@numba.njit(**PARALLEL)
def _moments(pixels, positions, weights, background, found):  # type: ignore[no-untyped-def]
    """Centroid y, x and covariance xx, yy, xy of each source, in pixels."""
    for i in numba.prange(len(positions)):
        xx, yy, xy = weights[i]
        size = xx * yy - xy * xy
        precision = yy / size, xx / size, -xy / size
        reach = WITHIN * np.sqrt(max(xx, yy))
        sums = _sums(pixels, positions[i], precision, reach, background[i])
        total, covered = sums[0], sums[6]
        if total > 0.0 and covered >= LEAST_COVERED:
            _unweighted(sums, precision, found[i])


@numba.njit(**JIT)
def _sums(pixels, position, precision, reach, level):  # type: ignore[no-untyped-def]
    """Weighted sum of the pixels, their moments x, y, xx, yy, xy, and the share of the weight with data."""
    height, width = pixels.shape
    total, x1, y1, xx, yy, xy, seen, whole = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for y in range(int(np.ceil(position[0] - reach)), int(np.floor(position[0] + reach)) + 1):
        for x in range(int(np.ceil(position[1] - reach)), int(np.floor(position[1] + reach)) + 1):
            dy, dx = y - position[0], x - position[1]
            square = precision[0] * dx * dx + precision[1] * dy * dy + 2.0 * precision[2] * dx * dy
            if square > WITHIN * WITHIN:
                continue
            weight = np.exp(-0.5 * square)
            whole += weight
            if 0 <= y < height and 0 <= x < width and not np.isnan(pixels[y, x]):
                seen += weight
                value = weight * (pixels[y, x] - level)
                total += value
                x1, y1 = x1 + value * dx, y1 + value * dy
                xx, yy, xy = xx + value * dx * dx, yy + value * dy * dy, xy + value * dx * dy
    return total, x1, y1, xx, yy, xy, seen / max(whole, 1e-30)


@numba.njit(**JIT)
def _unweighted(sums, precision, found):  # type: ignore[no-untyped-def]
    """What a Gaussian is before it is weighted, in place; left as it is if it is none."""
    total, x1, y1, xx, yy, xy, _ = sums
    x1, y1 = x1 / total, y1 / total
    xx, yy, xy = xx / total - x1 * x1, yy / total - y1 * y1, xy / total - x1 * y1
    size = xx * yy - xy * xy
    if size <= 0.0 or xx <= 0.0:
        return
    px, py, pxy = yy / size - precision[0], xx / size - precision[1], -xy / size - precision[2]
    own = px * py - pxy * pxy
    if own <= 0.0 or px <= 0.0:
        return
    cxx, cyy, cxy = py / own, px / own, -pxy / own
    gx, gy = (yy * x1 - xy * y1) / size, (xx * y1 - xy * x1) / size
    found[0], found[1] = cxy * gx + cyy * gy, cxx * gx + cxy * gy
    found[2], found[3], found[4] = cxx, cyy, cxy

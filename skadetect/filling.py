"""Noise in the place of a cube's blank voxels, so that a network sees no edge where they begin.

Noise correlated by the beam that ends at once looks like a source, and so does a step from one field of it to
another. The noise here goes on from the nearest voxel that is not blank as the beam would have it, and is
else a fixed function of a voxel's place in the cube, so that all tiles that see a voxel see the same; but for
the last pixels of a window, from which a voxel that is not blank may be out of sight.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import JIT, PARALLEL
from skadetect.beams import FWHM_PER_SIGMA, PixelBeam
from skadetect.pixels import Corner

# Standard deviation of the sum of four uniform numbers from 0 to 65535.
_SPREAD = math.sqrt(4.0 / 12.0) * 65536.0
# Distance, in standard deviations of the beam, up to which a voxel says something of another.
_REACH = 3.0


def fill_blanks(
    s: NDArray[np.float32], pixels: NDArray[np.float32], beam: PixelBeam, *, low: Corner, high: Corner
) -> None:
    """Put noise of unit rms, correlated by a round beam, where a window is blank; in place.

    Parameters
    ----------
    s : array (z, y, x), float32
        Signal to noise of a window of a cube, contiguous.
    pixels : array (z, y, x), float32
        The window itself; NaN is blank.
    beam : PixelBeam
        Of the cube.
    low : (z, y, x)
        First voxel of the window in the cube.
    high : (z, y, x)
        End of the cube; what the window shows beyond is left alone.
    """
    sigma = beam.fwhm / FWHM_PER_SIGMA
    place = np.arange(-math.ceil(3.0 * sigma), math.ceil(3.0 * sigma) + 1)
    weights = np.exp(-0.5 * (place / sigma) ** 2)
    weights /= np.sqrt((weights**2).sum() * _SPREAD)  # the two axes share the draws' spread
    inside = tuple(min(n, end - start) for n, start, end in zip(s.shape, low, high, strict=True))
    _fill(s, pixels, weights.astype(np.float32), _neighbours(sigma), low, inside)


def _neighbours(sigma: float) -> NDArray[np.float64]:
    """Steps (dy, dx) to the pixels around, the nearest first, and the correlation of the noise there.

    Noise smoothed by a Gaussian is correlated by exp(-r^2 / (4 sigma^2)).
    """
    reach = math.ceil(_REACH * sigma)
    steps = np.indices((2 * reach + 1, 2 * reach + 1)).reshape(2, -1).T - reach
    square = (steps**2).sum(axis=1)
    order = np.argsort(square, kind="stable")
    order = order[(square[order] > 0) & (square[order] <= reach**2)]
    return np.column_stack([steps[order], np.exp(-square[order] / (4.0 * sigma**2))])


@numba.njit(**PARALLEL)
def _fill(s: Any, pixels: Any, weights: Any, neighbours: Any, low: Any, inside: Any) -> None:
    for z in numba.prange(inside[0]):
        first, last = _blank_rows(pixels[z], inside[1], inside[2])
        if last < first:
            continue
        reach = weights.size // 2
        rows, columns = last - first + 1, inside[2]
        along = np.empty((rows + 2 * reach, columns), np.float32)
        draws = np.empty(columns + 2 * reach, np.float32)
        for i in range(rows + 2 * reach):
            _draw(low[0] + z, low[1] + first + i - reach, low[2] - reach, draws)
            _smooth(draws, weights, along[i])
        line = np.empty(columns, np.float32)
        for i in range(rows):
            line[:] = 0.0
            for k in range(weights.size):
                for x in range(columns):
                    line[x] += weights[k] * along[i + k, x]
            for x in range(columns):
                if np.isnan(pixels[z, first + i, x]):
                    s[z, first + i, x] = _continued(
                        line[x], s[z], pixels[z], first + i, x, neighbours, inside
                    )


@numba.njit(**JIT)
def _continued(noise: Any, s: Any, pixels: Any, y: int, x: int, neighbours: Any, inside: Any) -> Any:
    """Noise drawn towards the nearest pixel that is not blank, as strongly as the beam correlates the two."""
    for n in range(neighbours.shape[0]):
        row, column = y + int(neighbours[n, 0]), x + int(neighbours[n, 1])
        if 0 <= row < inside[1] and 0 <= column < inside[2] and not np.isnan(pixels[row, column]):
            share = neighbours[n, 2]
            return np.float32(share * s[row, column] + math.sqrt(1.0 - share * share) * noise)
    return noise


@numba.njit(**JIT)
def _blank_rows(plane: Any, height: int, width: int) -> Any:
    """First and last row with a blank; the last is below the first if there is none."""
    first, last = height, -1
    for y in range(height):
        blank = False
        for x in range(width):
            blank |= np.isnan(plane[y, x])
        if blank:
            first, last = min(first, y), y
    return first, last


@numba.njit(**JIT)
def _smooth(draws: Any, weights: Any, out: Any) -> None:
    out[:] = 0.0
    for k in range(weights.size):
        for x in range(out.size):
            out[x] += weights[k] * draws[x + k]


@numba.njit(**JIT)
def _draw(z: int, y: int, x: int, out: Any) -> None:
    """Nearly normal numbers of mean zero from coordinates alone: sums of a hash's quarters (splitmix64)."""
    row = np.uint64(z) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(y) * np.uint64(0xC2B2AE3D27D4EB4F)
    for i in range(out.size):
        bits = row + np.uint64(x + i) * np.uint64(0x165667B19E3779F9)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits = bits ^ (bits >> np.uint64(31))
        total = np.int64(-131070)
        for shift in (0, 16, 32, 48):
            total += np.int64((bits >> np.uint64(shift)) & np.uint64(0xFFFF))
        out[i] = np.float32(total)

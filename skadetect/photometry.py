"""Measurement on pixels: peaks, noise and marks of boxes.

Pixel coordinates are 0-based with integers at pixel centres, in array order (y, x) or (z, y, x). NaN pixels
are blank and take no part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import JIT, PARALLEL

# Below this share of the peak a neighbour is noise or another source: its logarithm says nothing.
_LOG_LIMIT = 0.25

#: Pixels around a position's own, along each axis, whose background `measure` looks at.
REACH = 2
#: Marks of a box in a cube, SoFiA's bits: it touches the edge of the field or of the band, or holds a blank.
SPATIAL_EDGE, SPECTRAL_EDGE, BLANK_VOXEL = 1, 2, 4


@dataclass(frozen=True)
class PeakMeasurement:
    """What `measure` finds at n positions.

    Attributes
    ----------
    peak : array (n,), float64
        Peak above the background, in image units; NaN where every pixel is blank.
    local_rms, background : array (n,), float64
        Of the noise and background maps at the nearest pixel, in image units.
    blank : array (n,), bool
        A blank pixel or the border of the array lies within the margin in the plane of the position.
    """

    peak: NDArray[np.float64]
    local_rms: NDArray[np.float64]
    background: NDArray[np.float64]
    blank: NDArray[np.bool_]


def measure(
    pixels: NDArray[np.float32],
    level: NDArray[np.float32],
    rms: NDArray[np.float32],
    positions: NDArray[np.float64],
    *,
    margin: int = 3,
) -> PeakMeasurement:
    """Peak, noise and background at positions.

    The peak is the highest pixel within one pixel of the position, channels included, raised to the top of a
    parabola through it and its neighbours in the plane, which the beam makes smooth, an axis at a time;
    through logarithms where the neighbours are high enough, which is exact for a Gaussian along the axes.

    Parameters
    ----------
    pixels, level, rms : array (y, x) or (z, y, x), float32
        The image, its background and its noise, in image units.
    positions : array (n, 2) or (n, 3)
        (y, x) or (z, y, x) in pixels of these arrays.
    margin : int
        Pixels along y and x around a position within which a blank pixel or the border is noted.
    """
    n = len(positions)
    values, blank = np.empty((n, 3)), np.empty(n, np.bool_)
    where = np.zeros((n, 3))
    where[:, 3 - pixels.ndim :] = positions
    planes = tuple(np.ascontiguousarray(each).reshape(-1, *each.shape[-2:]) for each in (pixels, level, rms))
    _measure(*planes, where, margin, values, blank)
    peak, local_rms, background = values.T
    return PeakMeasurement(peak, local_rms, background, blank)


class BoxMarks(NamedTuple):
    """What boxes of a cube reach.

    Attributes
    ----------
    flags : array (n,), int32
        Sums of `SPATIAL_EDGE`, `SPECTRAL_EDGE` and `BLANK_VOXEL`.
    cut : array (n,), float64
        Share of each box, as far as it lies in the cube, that is blank, 0 to 1.
    """

    flags: NDArray[np.int32]
    cut: NDArray[np.float64]


def mark_boxes(
    pixels: NDArray[np.float32],
    boxes: NDArray[np.float64],
    *,
    low: tuple[int, int, int],
    shape: tuple[int, int, int],
    reach: tuple[int, int, int],
) -> BoxMarks:
    """Which boxes of a cube touch its edges or hold blank voxels, and how much of them that is.

    Parameters
    ----------
    pixels : array (z, y, x), float32
        A window of the cube.
    boxes : array (n, 2, 3)
        Low and high corners in pixels of the window.
    low : (z, y, x)
        First voxel of the window in the cube.
    shape : (z, y, x)
        Of the cube.
    reach : (z, y, x)
        Voxels from a box's centre beyond which it is not looked at: what any window shows.
    """
    start, end = np.array(low), np.array(shape) - 1
    first = np.floor(boxes[:, 0] + 0.5).astype(np.int64) + start
    last = np.ceil(boxes[:, 1] - 0.5).astype(np.int64) + start
    touched = (first <= 0) | (last >= end)
    middle = np.floor(boxes.mean(axis=1) + 0.5).astype(np.int64) + start
    first, last = np.maximum(first, middle - np.array(reach)), np.minimum(last, middle + np.array(reach))
    inner = np.maximum(first, 0), np.minimum(last, end)
    seen = np.empty((len(boxes), 2), np.int64)
    _count_voxels(pixels, inner[0] - start, inner[1] - start, seen)
    flags = np.where(touched[:, 1:].any(axis=1), SPATIAL_EDGE, 0)
    flags += np.where(touched[:, 0], SPECTRAL_EDGE, 0) + np.where(seen[:, 0] > seen[:, 1], BLANK_VOXEL, 0)
    return BoxMarks(flags.astype(np.int32), 1.0 - seen[:, 1] / np.maximum(seen[:, 0], 1))


@numba.njit(**PARALLEL)
def _measure(pixels, level, rms, positions, margin, values, blank):  # type: ignore[no-untyped-def]
    """Peak, noise and background in the columns of `values`, and blanks close by."""
    shape = pixels.shape
    for i in numba.prange(len(positions)):
        z = min(max(int(np.floor(positions[i, 0] + 0.5)), 0), shape[0] - 1)
        y = min(max(int(np.floor(positions[i, 1] + 0.5)), 0), shape[1] - 1)
        x = min(max(int(np.floor(positions[i, 2] + 0.5)), 0), shape[2] - 1)
        values[i, 0] = _peak(pixels, level, z, y, x)
        values[i, 1], values[i, 2] = rms[z, y, x], level[z, y, x]
        blank[i] = _near_blank(pixels[z], y, x, margin)


@numba.njit(**JIT)
def _peak(pixels, level, z, y, x):  # type: ignore[no-untyped-def]
    """Highest value around a voxel, raised to the top of a parabola."""
    depth, height, width = pixels.shape
    best, pz, py, px = -np.inf, -1, -1, -1
    for w in range(max(z - 1, 0), min(z + 2, depth)):
        for v in range(max(y - 1, 0), min(y + 2, height)):
            for u in range(max(x - 1, 0), min(x + 2, width)):
                value = pixels[w, v, u] - level[w, v, u]
                if value > best:
                    best, pz, py, px = value, w, v, u
    return best * _gain(pixels[pz], level[pz], py, px) if pz >= 0 else np.nan


@numba.njit(**JIT)
def _count_voxels(pixels, first, last, seen):  # type: ignore[no-untyped-def]
    """How many voxels from first to last, both included and cut at the array, there are, and not blank."""
    seen[:] = 0
    for i in range(len(seen)):
        for z in range(max(first[i, 0], 0), min(last[i, 0] + 1, pixels.shape[0])):
            for y in range(max(first[i, 1], 0), min(last[i, 1] + 1, pixels.shape[1])):
                for x in range(max(first[i, 2], 0), min(last[i, 2] + 1, pixels.shape[2])):
                    seen[i, 0] += 1
                    seen[i, 1] += not np.isnan(pixels[z, y, x])


@numba.njit(**JIT)
def _near_blank(pixels, y, x, margin):  # type: ignore[no-untyped-def]
    height, width = pixels.shape
    if y < margin or x < margin or y + margin >= height or x + margin >= width:
        return True
    for v in range(y - margin, y + margin + 1):
        for u in range(x - margin, x + margin + 1):
            if np.isnan(pixels[v, u]):
                return True
    return False


@numba.njit(**JIT)
def _gain(pixels, level, y, x):  # type: ignore[no-untyped-def]
    height, width = pixels.shape
    centre = pixels[y, x] - level[y, x]
    gain = 1.0
    if 0 < y < height - 1:
        gain *= _rise(pixels[y - 1, x] - level[y - 1, x], centre, pixels[y + 1, x] - level[y + 1, x])
    if 0 < x < width - 1:
        gain *= _rise(pixels[y, x - 1] - level[y, x - 1], centre, pixels[y, x + 1] - level[y, x + 1])
    return gain


@numba.njit(**JIT)
def _rise(before, centre, after):  # type: ignore[no-untyped-def]
    """Height of a parabola's top over its middle point; 1 if that is no peak or a neighbour is blank."""
    if not (centre >= before and centre >= after and centre > 0.0):
        return 1.0
    before, after = before / centre, after / centre
    if min(before, after) > _LOG_LIMIT:
        low, high = np.log(before), np.log(after)
        return np.exp(-0.125 * (high - low) ** 2 / (high + low)) if low + high < 0.0 else 1.0
    return 1.0 + 0.125 * (after - before) ** 2 / (2.0 - before - after)

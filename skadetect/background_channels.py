"""Steady the background meshes of a cube's channels by each other: noise changes slowly, interference apart.

A channel's own mesh is uncertain by a few per cent where a plane holds few beams, and a galaxy that fills a
good part of a cell lifts it. So each value is drawn towards the running median of the channels around, unless
it differs by more than its error explains: then it is interference, or a bowl around a bright galaxy, and
stays. The noise is a factor for the whole channel times a pattern on the sky, each steadied in this way; the
level counts in units of the noise, and one that is lifted by a part of it is taken for emission.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import JIT, PARALLEL

Mesh = NDArray[np.float64]
FEWEST = 5  # channels below which there is nothing to compare
SIGNIFICANT = 3.0  # errors by which a value has to differ to stay
SHORTEST = 8  # channels to each side that are looked at even at the ends
QUARTILE = 0.6745  # standard deviations from the lower quartile to the median
EMISSION = 0.8  # lift of the level, in units of the noise, up to which it is emission
# Errors of one cell's statistics times the root of the beams in it, measured on noise.
RMS_ERROR, LEVEL_ERROR = 1.15, 1.95


def steady(level: Mesh, rms: Mesh, *, beams: float, window: int) -> None:
    """Draw the values of a mesh, in place, towards those of the channels around.

    Parameters
    ----------
    level, rms : (z, my, mx) float64
        Mesh without gaps; channels whose noise is next to nothing are left as they are.
    beams : float
        Independent beams that a cell's values come from.
    window : int
        Channels of the running median, odd.
    """
    planes = rms.shape[0]
    factor = np.median(rms.reshape(planes, -1), axis=1)
    known = factor > 1e-6 * float(np.median(factor))
    if window < FEWEST or np.count_nonzero(known) < FEWEST:
        return
    cells = rms[0].size
    error = RMS_ERROR / math.sqrt(beams)
    logs = np.log(factor[known])
    _draw(logs, window, error * math.sqrt(1.5 / (cells + 0.5)), 0.0)
    steadied = np.exp(logs)
    planes_of = np.flatnonzero(known)
    columns = (level.reshape(planes, -1), rms.reshape(planes, -1))
    _steady_cells(*columns, planes_of, factor, steadied, (window, error, LEVEL_ERROR / math.sqrt(beams)))


@numba.njit(**PARALLEL)
def _steady_cells(
    level: Mesh,
    rms: Mesh,
    planes: NDArray[np.int64],
    factor: NDArray[np.float64],
    steadied: NDArray[np.float64],
    how: tuple[int, float, float],
) -> None:
    """Steady each cell (z, cell) along z: its noise over its channel's, and its level over its noise."""
    window, error, level_error = how
    for cell in numba.prange(rms.shape[1]):
        pattern, lift = np.empty(planes.size), np.empty(planes.size)
        for k in range(planes.size):
            z = planes[k]
            pattern[k] = math.log(rms[z, cell] / factor[z])
            lift[k] = level[z, cell] / rms[z, cell]
        _draw(pattern, window, error, 0.0)
        _draw(lift, window, level_error, EMISSION)
        for k in range(planes.size):
            rms[planes[k], cell] = steadied[k] * math.exp(pattern[k])
            level[planes[k], cell] = lift[k] * rms[planes[k], cell]


@numba.njit(**JIT)
def _draw(values: NDArray[np.float64], window: int, error: float, lifted: float) -> None:
    """Draw values towards what is usual around them, in place, where their error explains the difference.

    Where `lifted` is not 0 values may be lifted, alone or many together: then those that are lifted by less
    are drawn too, and the lower quartile tells what is usual if it tells less than the median does.
    """
    median, quartile = _running_quantiles(values, window)
    for k in range(values.size):
        usual = min(median[k], quartile[k] + QUARTILE * error) if lifted > 0 else median[k]
        difference = values[k] - usual
        reach = max(SIGNIFICANT * error, lifted) if difference > 0 else SIGNIFICANT * error
        ratio = (difference / reach) ** 4
        values[k] = usual + difference * (ratio / (1.0 + ratio))


@numba.njit(**JIT)
def _running_quantiles(
    values: NDArray[np.float64], window: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and lower quartile of the values around each.

    Windows are shorter near the ends, so that they reach as far to both sides, except at the last few values.
    """
    n, half = values.size, window // 2
    median, quartile = np.empty(n), np.empty(n)
    held = np.empty(2 * half + 1)
    count, first, stop = 0, 0, 0
    for k in range(n):
        reach = min(half, max(min(k, n - 1 - k), SHORTEST))
        while stop < min(k + reach + 1, n):
            count = _insert(held, count, values[stop])
            stop += 1
        while first < k - reach:
            count = _remove(held, count, values[first])
            first += 1
        median[k] = 0.5 * (held[(count - 1) // 2] + held[count // 2])
        quartile[k] = held[(count - 1) // 4]
    return median, quartile


@numba.njit(**JIT)
def _insert(held: NDArray[np.float64], count: int, value: float) -> int:
    """Put a value into a rising list; its new length."""
    i = count
    while i > 0 and held[i - 1] > value:
        held[i] = held[i - 1]
        i -= 1
    held[i] = value
    return count + 1


@numba.njit(**JIT)
def _remove(held: NDArray[np.float64], count: int, value: float) -> int:
    """Take a value that is in a rising list out of it; its new length."""
    i = np.searchsorted(held[:count], value)
    for k in range(i, count - 1):
        held[k] = held[k + 1]
    return count - 1

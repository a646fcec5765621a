"""Which sources of an image belong to one island: emission above the noise that hangs together.

Two sources hang together if the sum of both, as Gaussians, stays above a level all along the line between
them: lobes and core of a radio galaxy that touch, pieces of a large source, chance blends. PyBDSF's islands
are the same by the pixels; by the sources they need no second look at the image.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import JIT, PARALLEL
from skadetect.beams import gaussian_exponents

Floats = NDArray[np.float64]
Reals = NDArray[np.floating[Any]]

#: Rows that are worked out at a time.
_CHUNK = 65536
#: Places between two sources at which their sum is looked at, both ends included.
_STEPS = 17


def islands(
    centre: Floats, peak: Reals, ellipse: tuple[Reals, Reals, Reals], noise: Reals, *, level: float = 3.0
) -> NDArray[np.int64]:
    """The first row of the island that each row belongs to.

    Parameters
    ----------
    centre : array (n, 2)
        (y, x), pixels.
    peak : array (n,)
        Of each source as a Gaussian, image unit.
    ellipse : (bmaj, bmin, theta), each (n,)
        FWHM axes through the beam, pixels; radians from +x towards +y.
    noise : array (n,)
        At the source, image unit; between two of them it is the higher one.
    level : float
        In units of the noise.

    Returns
    -------
    array (n,), int64
        Its own index for a row by itself.
    """
    bmaj, bmin, theta = ellipse
    sound = np.isfinite(centre).all(axis=1) & (bmin > 0) & np.isfinite(bmaj + theta)
    sound &= (peak > 0) & (noise > 0)
    order = np.flatnonzero(sound)[np.argsort(centre[sound, 0], kind="stable")]
    profile, reach = np.empty((len(order), 5), np.float32), np.empty(len(order), np.float32)
    for begin in range(0, len(order), _CHUNK):
        some = order[begin : begin + _CHUNK]
        here, limit = slice(begin, begin + len(some)), level * noise[some]
        profile[here, 0], profile[here, 4] = peak[some], limit
        profile[here, 1:4] = gaussian_exponents(bmaj[some], bmin[some], theta[some])
        # where two meet one of them has at least half of the level
        reach[here] = 0.5 * bmaj[some] * np.sqrt(np.log2(np.maximum(2.0 * peak[some] / limit, 1.0)))
    placed = np.ascontiguousarray(centre[order])
    count = np.zeros(len(order) + 1, np.int64)
    _links(placed, profile, reach, count, np.empty(0, np.int64))
    start = np.cumsum(count)
    linked = np.full(start[-1], -1, np.int64)
    _links(placed, profile, reach, start, linked)
    first = np.arange(len(centre))
    _join(order, start, linked, first)
    return first


@numba.njit(**PARALLEL)
def _links(
    centre: Floats, profile: Floats, reach: Floats, start: NDArray[np.int64], linked: NDArray[np.int64]
) -> None:
    """Of each source the smaller ones that may hang together with it: how many, or which of them do.

    Numbers go into start[1:] if there is no room for links; else links of a source go where `start` says.
    """
    counting = linked.size == 0
    y = centre[:, 0].copy()
    for i in numba.prange(len(reach)):
        found = 0
        low, high = np.searchsorted(y, y[i] - 2 * reach[i]), np.searchsorted(y, y[i] + 2 * reach[i], "right")
        for j in range(low, high):
            if reach[j] > reach[i] or (reach[j] == reach[i] and j >= i) or reach[j] == 0.0:
                continue
            dy, dx, far = y[j] - y[i], centre[j, 1] - centre[i, 1], reach[i] + reach[j]
            if dy * dy + dx * dx >= far * far:
                continue
            if not counting and _hang_together(profile[i], profile[j], dy, dx):
                linked[start[i] + found] = j
            found += 1
        if counting:
            start[i + 1] = found


@numba.njit(**JIT)
def _hang_together(one: Floats, other: Floats, dy: float, dx: float) -> bool:
    """Whether the sum of two sources is above the level from one to the other, which is dy, dx away."""
    level = max(one[4], other[4])
    for step in range(_STEPS):
        t = step / (_STEPS - 1)
        total = _light(one, t * dy, t * dx) + _light(other, (t - 1) * dy, (t - 1) * dx)
        if total < level:
            return False
    return True


@numba.njit(**JIT)
def _light(source: Floats, dy: float, dx: float) -> float:
    return source[0] * math.exp(source[1] * dy * dy + source[2] * dx * dx + source[3] * dy * dx)


@numba.njit(**JIT)
def _join(
    order: NDArray[np.int64],
    start: NDArray[np.int64],
    linked: NDArray[np.int64],
    first: NDArray[np.int64],
) -> None:
    """Give all rows of an island the lowest index among them."""
    for i in range(len(order)):
        for k in range(start[i], start[i + 1]):
            if linked[k] >= 0:
                a, b = _root(first, order[i]), _root(first, order[linked[k]])
                first[max(a, b)] = min(a, b)
    for row in range(len(first)):
        first[row] = _root(first, row)


@numba.njit(**JIT)
def _root(first: NDArray[np.int64], row: int) -> int:
    """The lowest index of the island so far; paths on the way there are halved."""
    while first[row] != row:
        first[row] = first[first[row]]
        row = first[row]
    return row

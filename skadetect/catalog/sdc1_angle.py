"""Position angles as the first SKA Science Data Challenge counts them: folded into 45 degrees."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

TOLERANCE = 10.0
_WIDTHS = np.array([0.5, 1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 21, 25, 30, 36, 44, 52, 70])


def fold(pa: ArrayLike) -> Floats:
    """Fold angles (degrees) as the official scorer does: each step once, in this sequence."""
    folded = np.array(pa, dtype=np.float64)
    for limit in (180.0, 90.0, 45.0):
        folded[folded > limit] -= limit
    folded[folded < -45.0] += 45.0
    return folded


def angle_score(submitted: ArrayLike, true: ArrayLike) -> Floats:
    """Score in [0, 1] of angles in degrees: min(1, 10 / |difference of the folded angles|)."""
    error = np.abs(fold(submitted) - fold(true))
    return np.minimum(1.0, TOLERANCE / np.maximum(error, 1e-9))


def best_angle(pa: ArrayLike, error: ArrayLike) -> Floats:
    """The angle to submit for a measured one: that of the highest expected score.

    The fold tears angles on both sides of 45 degrees far apart, so for an uncertain one it pays to stay away
    from the tear. The true angle is taken as normal about the measured one, wrapped at 180 degrees.

    Parameters
    ----------
    pa : array (n,)
        Clockwise from west, degrees, in (-90, 90].
    error : array (n,)
        One standard deviation, degrees; NaN leaves the angle as it is.

    Returns
    -------
    array (n,)
        Degrees in (-90, 90]. Where the measured angle is expected to score as well it stays.
    """
    pa, error = np.asarray(pa, np.float64), np.asarray(error, np.float64)
    table, grid = _best_table()
    known = np.isfinite(error) & np.isfinite(pa)
    width = np.abs(np.log(np.maximum(error[known], 1e-3))[:, None] - np.log(_WIDTHS)).argmin(axis=1)
    column = np.rint(pa[known] + 89.0).astype(int) % len(grid)
    best = pa.copy()
    chosen = table[width, column]
    # the table knows whole degrees only: a measured angle that it would keep is not rounded
    best[known] = np.where(chosen == grid[column], pa[known], chosen)
    return best


@lru_cache(maxsize=1)
def _best_table() -> tuple[Floats, Floats]:
    """Best submission for each width and measured angle of a grid of whole degrees, and the grid."""
    grid = np.arange(-89.0, 91.0)
    scores = angle_score(grid[:, None], grid[None, :])
    offsets = np.mod(grid[None, :] - grid[:, None] + 90.0, 180.0) - 90.0
    rows = []
    for width in _WIDTHS:
        posterior = sum(np.exp(-0.5 * ((offsets + turn) / width) ** 2) for turn in (-180.0, 0.0, 180.0))
        expected = scores @ (posterior / posterior.sum(axis=1, keepdims=True)).T
        kept = np.diagonal(expected)
        best = expected.argmax(axis=0)
        rows.append(np.where(expected.max(axis=0) > kept + 1e-3, grid[best], grid))
    return np.array(rows), grid

"""One emission that several smoothed views have doubtful rows of: one of them is right, more likely than not.

A source between the sizes that two views know best may have a probability of a half in either. That none of
its rows is right is less probable than that each one is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]

#: Distance over the sum of both radii, and factors of flux and of solid angle, within which rows are of one
#: emission.
NEAR, FLUX, AREA = 0.5, 3.0, 6.0


@dataclass(frozen=True)
class Candidates:
    """Rows of all smoothed views of an image.

    Attributes
    ----------
    position : array (n, 2)
        (y, x), in pixels of the file.
    radius : array (n,)
        Geometric mean of the half axes through the beam of the view, in the same pixels.
    int_flux : array (n,)
    prob : array (n,)
    level : array (n,), int
        Of the view.
    kept : array (n,), bool
        Which rows are in the catalogue already, and not in coarser views.
    """

    position: Floats
    radius: Floats
    int_flux: Floats
    prob: Floats
    level: NDArray[np.int64]
    kept: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """The rows of all parts, in order."""
        return cls(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)))


def best_alternatives(rows: Candidates, least: float) -> tuple[NDArray[np.int64], Floats]:
    """Rows that are not kept, the most probable one of each emission that no kept row has.

    Parameters
    ----------
    rows : Candidates
    least : float
        Least probability that one of an emission's rows is right, one row a view counted.

    Returns
    -------
    index : array (m,), int64
        Of the rows, by falling probability.
    prob : array (m,)
        1 - (1 - p1) (1 - p2) ... of its emission's rows.
    """
    doubtful = np.flatnonzero(~rows.kept)
    order = doubtful[np.lexsort((*rows.position[doubtful].T, -rows.prob[doubtful]))]
    if not len(order):
        return order, np.empty(0)
    tree = cKDTree(rows.position)
    reach = 2.0 * NEAR * rows.radius * np.sqrt(AREA)  # as large as a partner's share of it may be
    taken, chosen, total = rows.kept.copy(), [], []
    for row, near in zip(order, tree.query_ball_point(rows.position[order], reach[order]), strict=True):
        same = _same_emission(rows, int(row), np.array(near, np.int64))
        if taken[same].any():
            continue
        highest = [rows.prob[same[rows.level[same] == level]].max() for level in np.unique(rows.level[same])]
        one = 1.0 - float(np.prod(1.0 - np.array(highest)))
        if one >= least:
            taken[same] = True  # they are told by this one
            chosen.append(row)
            total.append(one)
    return np.array(chosen, np.int64), np.array(total, np.float64)


def _same_emission(rows: Candidates, row: int, near: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which rows near one are of the same emission; itself is one of them."""
    distance = np.hypot(*(rows.position[near] - rows.position[row]).T)
    same = distance <= NEAR * (rows.radius[near] + rows.radius[row])
    same &= np.abs(np.log(rows.int_flux[near] / rows.int_flux[row])) <= np.log(FLUX)
    same &= 2.0 * np.abs(np.log(rows.radius[near] / rows.radius[row])) <= np.log(AREA)
    return near[same]

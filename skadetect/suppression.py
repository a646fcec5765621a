"""Greedy non-maximum suppression, its kernels: a spatial hash finds neighbours, rounds settle who remains."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange

from skadetect._numba import JIT, PARALLEL
from skadetect.overlaps import overlap_of

_AXIS_STEPS = (73856093, 19349663, 83492791)  # primes of the usual spatial hash (Teschner et al. 2003)
_LEVEL_STEP = 2654435761

_KEPT, _OPEN, _DROPPED = 1, 2, 3  # in this order: the largest verdict holds


def spatial_order(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres of boxes (n, 2, ndim) on three axes, shape (n, 3), and an order block by block of about 64."""
    n, _, ndim = boxes.shape
    centres = np.zeros((n, 3))
    centres[:, 3 - ndim :] = 0.5 * (boxes[:, 0] + boxes[:, 1])
    low = centres.min(axis=0)
    blocks = max(1, round((n / 64) ** (1 / ndim)))
    side = np.maximum((centres.max(axis=0) - low) / blocks, 1e-9)
    place = np.minimum((centres - low) / side, blocks).astype(np.int64)
    return centres, np.argsort(
        (place[:, 0] * (blocks + 1) + place[:, 1]) * (blocks + 1) + place[:, 2], kind="stable"
    )


def settle(
    boxes: np.ndarray, centres: np.ndarray, limits: np.ndarray, keys: np.ndarray, measure: Any
) -> np.ndarray:
    """Which boxes greedy NMS keeps, found without walking in the order of rank.

    Parameters
    ----------
    boxes : ndarray, shape (n, 2, ndim)
        Low and high corners, in pixels.
    centres : ndarray, shape (n, 3)
        From `spatial_order`; rows in its order are fast, any other is right.
    limits : ndarray, shape (n,)
        Largest overlap allowed to each.
    keys : ndarray, shape (n, 2), int64
        Rank (0 the best) and group of each; boxes of one group never drop each other.
    measure : (int, float)
        The measure, and how far it reaches: see `skadetect.overlaps`.

    Returns
    -------
    ndarray, shape (n,), bool

    Notes
    -----
    A box is dropped once a better box that overlaps it is kept, and kept once all of those are dropped;
    rounds over the undecided ones reach greedy's one answer, and let the memory be walked in spatial order.
    """
    state = np.full(len(boxes), _OPEN, dtype=np.int8)
    index = _index(boxes, centres)
    todo = np.arange(len(boxes))
    while len(todo):
        _decide(todo, boxes, centres, limits, keys, state, index, measure)
        todo = todo[state[todo] == _OPEN]
    return state == _KEPT


@njit(**PARALLEL)
def _decide(
    todo: np.ndarray,
    boxes: np.ndarray,
    centres: np.ndarray,
    limits: np.ndarray,
    keys: np.ndarray,
    state: np.ndarray,
    index: Any,
    measure: Any,
) -> None:
    """One round over the undecided boxes; who misses what another thread has just decided leaves it open."""
    for q in prange(len(todo)):
        i = todo[q]
        state[i] = _verdict(i, boxes, centres, limits[i], keys, state, index, measure)


@njit(**JIT)
def _index(boxes: np.ndarray, centres: np.ndarray) -> Any:
    """Spatial hash: a box is filed under the cell of its centre, on a level by its largest side.

    Cells of a level are the next power of two of the largest sides in it, so a search looks into a handful of
    cells a level, whatever the spread of sizes. Returned are the sides, the lowest level's exponent, the hash
    table (first box of a slot), the chains (next box of the same slot), and the boxes by level with the start
    of each level.
    """
    n = len(boxes)
    sides, levels, lowest = _levels(boxes)
    table = np.full(_table_size(n), -1, dtype=np.int64)
    chain = np.full(n, -1, dtype=np.int64)
    start = np.zeros(levels.max() + 2, dtype=np.int64)
    for i in range(n):
        start[levels[i] + 1] += 1
        cell = math.ldexp(1.0, levels[i] + lowest)
        row = _row_hash(levels[i], _cell(centres[i, 0], cell), _cell(centres[i, 1], cell))
        slot = (row + _cell(centres[i, 2], cell)) & (len(table) - 1)
        chain[i] = table[slot]
        table[slot] = i
    return sides, lowest, table, chain, np.argsort(levels, kind="mergesort"), np.cumsum(start)


@njit(**JIT)
def _levels(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Largest side of each box, its level above the lowest, and the exponent of the lowest level's cells."""
    sides = np.zeros(len(boxes))
    for i in range(len(boxes)):
        for k in range(boxes.shape[2]):
            sides[i] = max(sides[i], boxes[i, 1, k] - boxes[i, 0, k])
    floor = max(0.5 * np.median(sides), sides.max() * 2.0**-20, 1e-9)
    levels = np.empty(len(boxes), dtype=np.int64)
    for i in range(len(boxes)):
        levels[i] = math.frexp(max(sides[i], floor))[1]
    lowest = levels.min()
    return sides, levels - lowest, lowest


@njit(**JIT)
def _table_size(n: int) -> int:
    """Power of two of at least twice the boxes."""
    size = 16
    while size < 2 * n:
        size *= 2
    return size


@njit(**JIT)
def _cell(x: float, cell: float) -> int:
    """Cell of a coordinate."""
    return int(np.floor(x / cell))


@njit(**JIT)
def _row_hash(level: int, z: int, y: int) -> int:
    """Hash of a row of cells; cells of a row lie side by side in the table, for the cache."""
    value = (level * _LEVEL_STEP) ^ (z * _AXIS_STEPS[0]) ^ (y * _AXIS_STEPS[1])
    return value ^ (value >> 17)


@njit(**JIT)
def _verdict(
    i: int,
    boxes: np.ndarray,
    centres: np.ndarray,
    limit: float,
    keys: np.ndarray,
    state: np.ndarray,
    index: Any,
    measure: Any,
) -> int:
    """State of box i by those of the better boxes that overlap it."""
    kind, reach = measure
    sides, lowest, table, chain, by_level, start = index
    cz, cy, cx, rank, group = centres[i, 0], centres[i, 1], centres[i, 2], keys[i, 0], keys[i, 1]
    verdict = _KEPT
    for level in range(len(start) - 1):
        first, last = start[level], start[level + 1]
        cell = math.ldexp(1.0, level + lowest)
        radius = reach * max(sides[i], cell)
        z0, z1 = _cell(cz - radius, cell), _cell(cz + radius, cell)
        y0, y1 = _cell(cy - radius, cell), _cell(cy + radius, cell)
        x0, x1 = _cell(cx - radius, cell), _cell(cx + radius, cell)
        brute = float(z1 - z0 + 1) * float(y1 - y0 + 1) * float(x1 - x0 + 1) > last - first
        if brute:  # fewer boxes than cells: one pass over the boxes of the level
            z1, y1, x1 = z0, y0, x0 + last - first - 1
        for z in range(z0, z1 + 1):
            for y in range(y0, y1 + 1):
                row = _row_hash(level, z, y)
                for x in range(x0, x1 + 1):
                    j = by_level[first + x - x0] if brute else table[(row + x) & (len(table) - 1)]
                    while j >= 0:
                        if (
                            keys[j, 0] < rank
                            and state[j] != _DROPPED
                            and abs(centres[j, 2] - cx) <= radius
                            and abs(centres[j, 1] - cy) <= radius
                            and keys[j, 1] != group
                            and overlap_of(kind, boxes[j], boxes[i]) > limit
                        ):
                            if state[j] == _KEPT:
                                return _DROPPED
                            verdict = _OPEN
                        j = -1 if brute else chain[j]
    return verdict

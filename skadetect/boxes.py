"""Boxes as arrays of shape (n, 2, ndim): shift, clip, overlap, and non-maximum suppression (NMS).

NMS here is greedy and exact: boxes are taken by falling score (then by position), and a box is dropped when a
box kept before it overlaps it too much. A spatial hash finds the neighbours, so the cost grows with the
number of boxes only. The result depends on the set of boxes, not on their order, and NMS of its own result
changes nothing.

Two ways make a catalogue out of tiles:

* Each tile contributes the boxes above threshold whose centres it owns, without NMS, and one `nms` runs over
  them all. That is exactly the NMS of the untiled image, whatever the tiles.
* Each tile runs `nms` itself, and `seam_nms` then compares boxes of different tiles near their common edges.
  It removes the doubles of a seam, but a chain of overlapping boxes across a seam (a drops b, b would have
  dropped c) may end otherwise than in the untiled image.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numba import njit

from skadetect._numba import JIT
from skadetect.errors import ConfigError
from skadetect.formulas import OVERLAPS, overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skadetect.detections import Detections

_formula = njit(**JIT)(overlap)

#: Measures that NMS knows: those of `skadetect.formulas`, and how deep a box's centre lies in a better box.
INNER = len(OVERLAPS)
MEASURES = OVERLAPS | {"inner": INNER}

_AXIS_STEPS = (73856093, 19349663, 83492791)  # primes of the usual spatial hash (Teschner et al. 2003)
_LEVEL_STEP = 2654435761

_KEPT, _OPEN, _DROPPED = 1, 2, 3  # in this order: the largest verdict holds


class Owners(Protocol):
    """What `seam_nms` needs of a grid of tiles."""

    def owner(self, positions: np.ndarray) -> np.ndarray:
        """Tile, shape (n,), that owns each position, shape (n, ndim), in pixels."""


def shift(boxes: np.ndarray, offset: Sequence[float] | np.ndarray) -> np.ndarray:
    """Boxes, shape (n, 2, ndim), moved by an offset of ndim (or n, ndim) values."""
    offset = np.asarray(offset, dtype=np.float64)
    return boxes + (offset[:, None, :] if offset.ndim == 2 else offset)


def clip(boxes: np.ndarray, low: Sequence[float], high: Sequence[float]) -> np.ndarray:
    """Boxes, shape (n, 2, ndim), cut at limits of ndim values each; one wholly outside keeps no extent."""
    return np.clip(boxes, np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64))


def pairwise_overlap(a: np.ndarray, b: np.ndarray, *, kind: str = "iou") -> np.ndarray:
    """Overlap of every box of `a`, shape (n, 2, ndim), with every one of `b`, shape (m, 2, ndim).

    Parameters
    ----------
    a, b : ndarray
        Corners, in one unit.
    kind : str
        "iou", "giou", "diou" or "diou_squared" (see `skadetect.formulas.overlap`), or "inner": 1 where the
        centre of the second box is that of the first, 0 where it lies on the first's surface, linear along
        the axis on which it is farthest.

    Returns
    -------
    ndarray, shape (n, m), float64

    Raises
    ------
    ConfigError
        If the kind is unknown.
    """
    a, b = np.ascontiguousarray(a, dtype=np.float64), np.ascontiguousarray(b, dtype=np.float64)
    return _pairwise(a, b, _kind(kind))


def nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    *,
    threshold: float,
    overlap: str = "diou",
    cascade: Sequence[tuple[float, float]] = (),
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Greedy non-maximum suppression.

    Parameters
    ----------
    boxes : ndarray, shape (n, 2, ndim)
        Low and high corners, finite, in pixels.
    scores : ndarray, shape (n,)
        Rank of the boxes; equal scores go by their corners.
    threshold : float
        Largest overlap, above -1, that a box may have with one kept before it. Negative limits of "diou" drop
        boxes that only stand near.
    overlap : str
        A measure of `pairwise_overlap`, the better box first.
    cascade : sequence of (score_below, limit)
        Stricter limits for weaker boxes: a box whose score is under `score_below` must keep `limit` too.
    groups : ndarray, shape (n,), optional
        Boxes of equal group never drop each other.

    Returns
    -------
    ndarray, shape (kept,), int64
        Rows kept, by falling score.

    Raises
    ------
    ConfigError
        If a limit is -1 or less, or the kind of overlap unknown.
    ValueError
        If a corner or score is not finite, or shapes differ.
    """
    boxes, scores = _checked(boxes, scores)
    kind = _kind(overlap)
    if len(boxes) == 0:
        return np.empty(0, dtype=np.int64)
    order = np.lexsort([*boxes.reshape(len(boxes), -1).T[::-1], -scores])
    limits = _limits(scores, threshold, cascade)
    if kind in (OVERLAPS["iou"], INNER) and limits.min() < 0:
        raise ConfigError(f"NMS limit is {limits.min()}, expected 0 or more with overlap {overlap!r}")
    group = np.arange(len(boxes)) if groups is None else np.asarray(groups, dtype=np.int64)
    rank = np.empty(len(boxes), dtype=np.int64)
    rank[order] = np.arange(len(boxes))
    centres, walk = _spatial_order(boxes)
    measure = (kind, _reach(kind, float(limits.min()), boxes.shape[2]))
    keep = np.empty(len(boxes), dtype=bool)
    keys = np.stack([rank, group], axis=1)
    keep[walk] = _settle(boxes[walk], centres[walk], limits[walk], keys[walk], measure)
    return order[keep[order]]


def seam_nms(
    detections: Detections,
    grid: Owners,
    *,
    threshold: float,
    margin: float,
    overlap: str = "diou",
    cascade: Sequence[tuple[float, float]] = (),
) -> Detections:
    """NMS between boxes of different tiles only, after each tile had its own.

    Parameters
    ----------
    detections : Detections
        Boxes of all the tiles, each in the tile that owns its centre.
    grid : TileGrid
        Says by ``owner(positions)`` which tile that is.
    threshold, overlap, cascade
        As in `nms`.
    margin : float
        Distance in pixels from a tile's edge, on any axis, within which boxes are compared.

    Returns
    -------
    Detections
        Rows kept, in the order of `Detections.sorted`.
    """
    detections = detections.sorted()
    tiles = np.asarray(grid.owner(detections.position))
    near = np.flatnonzero(_near_seam(detections.position, tiles, grid, margin))
    kept = nms(
        detections.boxes[near],
        detections.score[near],
        threshold=threshold,
        overlap=overlap,
        cascade=cascade,
        groups=tiles[near],
    )
    keep = np.ones(len(detections), dtype=bool)
    keep[near] = False
    keep[near[kept]] = True
    return detections.take(keep)


def _near_seam(position: np.ndarray, tiles: np.ndarray, grid: Owners, margin: float) -> np.ndarray:
    """Whether a step of `margin` along any axis leaves the tile."""
    near = np.zeros(len(position), dtype=bool)
    for axis in range(position.shape[1]):
        for step in (-margin, margin):
            moved = position.copy()
            moved[:, axis] += step
            near |= np.asarray(grid.owner(moved)) != tiles
    return near


def _kind(name: str) -> int:
    """Number of an overlap measure."""
    if name not in MEASURES:
        raise ConfigError(f"overlap is {name!r}, expected one of {', '.join(MEASURES)}")
    return MEASURES[name]


def _checked(boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores as contiguous float64, finite and of one length."""
    boxes = np.ascontiguousarray(boxes, dtype=np.float64)
    scores = np.ascontiguousarray(scores, dtype=np.float64)
    if boxes.ndim != 3 or boxes.shape[1] != 2 or scores.shape != (len(boxes),):
        raise ValueError(f"boxes {boxes.shape} and scores {scores.shape}, expected (n, 2, ndim) and (n,)")
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise ValueError("boxes and scores of NMS must be finite")
    return boxes, scores


def _limits(scores: np.ndarray, threshold: float, cascade: Sequence[tuple[float, float]]) -> np.ndarray:
    """Largest overlap allowed to each box."""
    limits = np.full(len(scores), float(threshold))
    for score_below, limit in cascade:
        limits = np.where(scores < score_below, np.minimum(limits, limit), limits)
    lowest = min([threshold, *(limit for _, limit in cascade)])
    if not lowest > -1:
        raise ConfigError(f"NMS limit is {lowest}, expected above -1 (below it every box drops every other)")
    return limits


def _reach(kind: int, limit: float, ndim: int) -> float:
    """Distance of centres on an axis, in the largest of all sides, beyond which no overlap passes the limit.

    Boxes that do not meet have IoU 0, so only a negative limit -t reaches further than 1. With s the larger
    sides, the hull's diagonal is at most |d| + |s|: DIoU > -t needs d < t |s| / (1 - t), with sqrt(t) for the
    squared ratio; |s| is at most sqrt(ndim) sides. GIoU > -t needs hull < 2 prod(s) / (1 - t), an extent
    below 2 s / (1 - t).
    """
    t = max(0.0, -limit)
    root = math.sqrt(t) if kind == OVERLAPS["diou_squared"] else t
    far = 2.0 / (1.0 - t) if kind == OVERLAPS["giou"] and t > 0 else math.sqrt(ndim) * root / (1.0 - root)
    return max(1.0, far) * (1.0 + 1e-9)


def _spatial_order(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres on three axes, shape (n, 3), and an order that goes block by block of about 64 boxes."""
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


@njit(**JIT)
def _overlap(kind: int, a: np.ndarray, b: np.ndarray) -> float:
    """Measure of a box b beside a better box a."""
    if kind != INNER:
        return _formula(kind, a, b)
    depth = 1.0
    for k in range(a.shape[1]):
        apart = abs((b[0, k] + b[1, k]) - (a[0, k] + a[1, k]))
        side = a[1, k] - a[0, k]
        if side <= 0.0:
            return -1.0
        depth = min(depth, 1.0 - apart / side)
    return depth


@njit(**JIT)
def _pairwise(a: np.ndarray, b: np.ndarray, kind: int) -> np.ndarray:
    """Overlap matrix."""
    out = np.empty((len(a), len(b)))
    for i in range(len(a)):
        for j in range(len(b)):
            out[i, j] = _overlap(kind, a[i], b[j])
    return out


@njit(**JIT)
def _settle(
    boxes: np.ndarray, centres: np.ndarray, limits: np.ndarray, keys: np.ndarray, measure: Any
) -> np.ndarray:
    """Which boxes greedy NMS keeps, found without walking in the order of rank.

    A box is dropped once a better box that overlaps it is kept, and kept once all of those are dropped;
    rounds over the undecided ones reach greedy's one answer, and let the memory be walked in spatial order.
    """
    n = len(boxes)
    index = _index(boxes, centres)
    state = np.full(n, _OPEN, dtype=np.int8)
    todo = np.arange(n)
    left = n
    while left > 0:
        still = 0
        for q in range(left):
            i = todo[q]
            state[i] = _verdict(i, boxes, centres, limits[i], keys, state, index, measure)
            if state[i] == _OPEN:
                todo[still] = i
                still += 1
        left = still
    return state == _KEPT


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
                            and _overlap(kind, boxes[j], boxes[i]) > limit
                        ):
                            if state[j] == _KEPT:
                                return _DROPPED
                            verdict = _OPEN
                        j = -1 if brute else chain[j]
    return verdict

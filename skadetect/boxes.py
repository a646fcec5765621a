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

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numba import njit

from skadetect._numba import JIT
from skadetect.errors import ConfigError
from skadetect.formulas import OVERLAPS
from skadetect.overlaps import INNER, measure_of, overlap_of, reach_of
from skadetect.suppression import settle, spatial_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skadetect.detections import Detections


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
    return _pairwise(a, b, measure_of(kind))


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
    kind = measure_of(overlap)
    if len(boxes) == 0:
        return np.empty(0, dtype=np.int64)
    order = falling_order(scores, boxes.reshape(len(boxes), -1))
    limits = _limits(scores, threshold, cascade)
    if kind in (OVERLAPS["iou"], INNER) and limits.min() < 0:
        raise ConfigError(f"NMS limit is {limits.min()}, expected 0 or more with overlap {overlap!r}")
    group = np.arange(len(boxes)) if groups is None else np.asarray(groups, dtype=np.int64)
    rank = np.empty(len(boxes), dtype=np.int64)
    rank[order] = np.arange(len(boxes))
    centres, walk = spatial_order(boxes)
    measure = (kind, reach_of(kind, float(limits.min()), boxes.shape[2]))
    keep = np.empty(len(boxes), dtype=bool)
    keys = np.stack([rank, group], axis=1)
    keep[walk] = settle(boxes[walk], centres[walk], limits[walk], keys[walk], measure)
    return order[keep[order]]


def falling_order(values: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Rows by falling value, those of equal ones by rising columns of `ties`, the first column first.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Without NaN.
    ties : ndarray, shape (n, k)

    Returns
    -------
    ndarray, shape (n,), int64
    """
    order = np.argsort(-values, kind="stable")
    same = values[order[1:]] == values[order[:-1]]
    tied = np.zeros(len(order), bool)
    tied[1:] |= same
    tied[:-1] |= same
    rows = order[tied]  # few, as a rule: sorting them alone takes a fraction of the time
    order[tied] = rows[np.lexsort([*ties[rows].T[::-1], -values[rows]])]
    return order


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


@njit(**JIT)
def _pairwise(a: np.ndarray, b: np.ndarray, kind: int) -> np.ndarray:
    """Overlap matrix."""
    out = np.empty((len(a), len(b)))
    for i in range(len(a)):
        for j in range(len(b)):
            out[i, j] = overlap_of(kind, a[i], b[j])
    return out

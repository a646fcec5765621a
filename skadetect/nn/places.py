"""Where targets lie among the cells of the outputs, which does not depend on what the outputs are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skadetect.nn.head import HeadSpec
from skadetect.nn.targets import Targets


@dataclass(frozen=True)
class Occupied:
    """Cells in which targets have their centres.

    Attributes
    ----------
    cell : ndarray, shape (n,), int64
        Flat over (patch, Z, Y, X), rising.
    first : ndarray, shape (n + 1,), int64
        Rows first[i] to first[i + 1] of `members` are the targets of cell i.
    members : ndarray, int64
        Rows of the targets: difficult ones last, then by their rank.
    """

    cell: np.ndarray
    first: np.ndarray
    members: np.ndarray


def patch_of(targets: Targets) -> np.ndarray:
    """Patch of each target."""
    return np.repeat(np.arange(targets.n_patches), np.diff(targets.start))


def own_cells(targets: Targets, head: HeadSpec) -> np.ndarray:
    """Index on each axis, shape (N, ndim), of the cell of each target's centre, inside the patch or not."""
    centre = 0.5 * (targets.boxes[:, 0] + targets.boxes[:, 1])
    return np.floor(centre / np.array(head.stride[3 - head.ndim :], np.float64)).astype(np.int64)


def occupied(targets: Targets, difficult: np.ndarray, head: HeadSpec, cells: tuple[int, ...]) -> Occupied:
    """Which targets each cell has.

    Parameters
    ----------
    targets : Targets
        True boxes; those whose centre lies outside the cells are left out.
    difficult : ndarray, shape (N,), bool
        Targets that choose last.
    head : HeadSpec
        Says where cells lie.
    cells : tuple of int
        Extents (Z, Y, X) of the cells of a patch.
    """
    flat, inside = _flat(patch_of(targets), own_cells(targets, head), cells)
    rows = np.flatnonzero(inside)
    order = rows[np.lexsort((rows, difficult[rows], flat[rows]))]
    cell, count = np.unique(flat[rows], return_counts=True)
    return Occupied(cell, np.concatenate([[0], np.cumsum(count)]).astype(np.int64), order)


def near_cells(targets: Targets, head: HeadSpec, cells: tuple[int, ...]) -> np.ndarray:
    """Cells, flat over (patch, Z, Y, X), within one of a target's own on every axis; some more than once."""
    own = own_cells(targets, head)
    steps = np.indices((3,) * head.ndim).reshape(head.ndim, -1).T - 1
    around = (own[:, None] + steps).reshape(-1, head.ndim)
    flat, inside = _flat(np.repeat(patch_of(targets), len(steps)), around, cells)
    return flat[inside]


def windows(
    targets: Targets, head: HeadSpec, cells: tuple[int, ...], limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cells whose boxes can have an IoU above a limit g in (0, 1) with each target: first index and extent.

    IoU > g forces the common length on each axis above g times either side, hence a distance of centres below
    side * max(1 - g, (1 / g - 1) / 2), side that of the target; no overlap measure exceeds the IoU.
    """
    stride, shape = np.array(head.stride[3 - head.ndim :], np.float64), np.array(cells[3 - head.ndim :])
    centre = 0.5 * (targets.boxes[:, 0] + targets.boxes[:, 1])
    reach = (targets.boxes[:, 1] - targets.boxes[:, 0]) * max(1.0 - limit, 0.5 * (1.0 / limit - 1.0))
    slack = 0.5 * (head.position_scale - 1.0)
    low = np.maximum(0, np.floor((centre - reach) / stride - slack) - 1)
    high = np.minimum(shape - 1, np.floor((centre + reach) / stride + slack) + 1)
    return low.astype(np.int64), np.maximum(0, high - low + 1).astype(np.int64)


def _flat(patch: np.ndarray, index: np.ndarray, cells: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Flat cells over (patch, Z, Y, X), and which of them there are."""
    shape = np.array(cells[3 - index.shape[1] :])
    inside: np.ndarray = np.all((index >= 0) & (index < shape), axis=1)
    flat = patch.astype(np.int64)
    for axis, size in enumerate(shape):
        flat = flat * size + index[:, axis]
    return flat, inside

"""Association: which predicted box answers for which true one.

The rules are those of YOLO-CIANNA, made data by `AssociationOptions`; the default is one simpler rule. A
target belongs to the cell that holds its centre, and only boxes of that cell can answer for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, prange

from skadetect._numba import JIT, PARALLEL
from skadetect.errors import ModelError
from skadetect.formulas import OVERLAPS, overlap
from skadetect.matching import (
    BACKGROUND,
    IGNORED,
    NEAR,
    cell_seed,
    decode_box,
    match_cell,
    window_cell,
)
from skadetect.nn.head import HeadSpec
from skadetect.nn.loss_options import AssociationOptions
from skadetect.nn.places import occupied, windows
from skadetect.nn.targets import Targets

__all__ = ["BACKGROUND", "IGNORED", "NEAR", "Assignment", "associate", "check", "rules"]


@dataclass(frozen=True)
class Assignment:
    """What each box of each cell answers for.

    Parameters
    ----------
    target : ndarray, shape (B, cells, n_boxes), int32
        Row of the `Targets`, or BACKGROUND, IGNORED or NEAR (background in a cell next to that of a target,
        see `skadetect.nn.near.mark_near`); cells are flat over (Z, Y, X).
    overlap : ndarray, shape (B, cells, n_boxes), float32
        Overlap of a matched box with its target; 0 elsewhere.
    """

    target: np.ndarray
    overlap: np.ndarray

    @property
    def n_matched(self) -> int:
        """Boxes that have a target."""
        return int(np.count_nonzero(self.target >= 0))


def associate(
    outputs: np.ndarray,
    targets: Targets,
    head: HeadSpec,
    options: AssociationOptions,
    *,
    startup: bool = False,
    seed: int = 0,
) -> Assignment:
    """Match predicted boxes and targets, patch by patch.

    Random choices depend on the seed, the patch and the cell only, not on how the work is shared.

    Parameters
    ----------
    outputs : ndarray, shape (B, Z, Y, X, n_outputs), float32
        Raw planes of the last layer.
    targets : Targets
        True boxes of the B patches; those whose centre lies outside the cells are skipped.
    head, options : HeadSpec, AssociationOptions
        Layout of the outputs, and the rules.
    startup : bool
        Take random free boxes (first phase of a training).
    seed : int
        Of the random choices.

    Raises
    ------
    ModelError
        If the outputs do not fit the head, or the targets the outputs.
    """
    check(outputs, targets, head)
    cells = outputs.shape[1:4]
    shape = (len(outputs), int(np.prod(cells)), head.n_boxes)
    target = np.full(shape, BACKGROUND, dtype=np.int32)
    quality = np.zeros(shape, dtype=np.float32)
    raw = np.ascontiguousarray(outputs).reshape(-1, head.n_outputs)
    layout = (head.prior_array, head.geometry, np.array(cells[3 - head.ndim :], np.int64))
    settings = rules(options, startup=startup, seed=seed)
    flat = (target.reshape(-1, head.n_boxes), quality.reshape(-1, head.n_boxes))
    if options.good_iou is not None:
        window = windows(targets, head, cells, options.good_iou)
        _ignore_good(raw, (targets.boxes, targets.start), window, layout, settings, flat[0])
    difficult = targets.difficult & options.ignore_difficult
    found = occupied(targets, difficult, head, cells)
    owners = (found.cell, found.first, found.members)
    _match(raw, owners, (targets.boxes, difficult), layout, settings, flat)
    return Assignment(target, quality)


def check(outputs: Any, targets: Targets, head: HeadSpec) -> None:
    """Raise ModelError if the outputs do not fit the head, or the targets the outputs."""
    head.check(outputs)
    if targets.n_patches != outputs.shape[0] or (len(targets) and targets.boxes.shape[2] != head.ndim):
        raise ModelError(
            f"targets have {targets.n_patches} patches of {targets.boxes.shape[2]} axes, "
            f"expected {outputs.shape[0]} of {head.ndim}"
        )


def rules(
    options: AssociationOptions, *, startup: bool, seed: int
) -> tuple[int, bool, bool, np.ndarray, Any]:
    """Options as `skadetect.matching` takes them: kind, by overlap, start-up, limits, seed."""
    good = math.nan if options.good_iou is None else options.good_iou
    limits = np.array([good, options.random_box, options.prior_choice, options.min_overlap])
    by_overlap = options.rule == "overlap"
    return OVERLAPS[options.overlap], by_overlap, startup, limits, np.uint64(seed % 2**64)


@njit(**PARALLEL)
def _match(raw: np.ndarray, owners: Any, truth: Any, layout: Any, settings: Any, out: Any) -> None:
    """Give the targets of each cell their boxes."""
    cells, first, members = owners
    for i in prange(len(cells)):
        mine = members[first[i] : first[i + 1]]
        target, quality = out[0][cells[i]], out[1][cells[i]]
        _match_one(raw[cells[i]], cells[i], mine, truth, layout, settings, target, quality)


@njit(**JIT)
def _match_one(
    values: np.ndarray,
    flat: int,
    members: np.ndarray,
    truth: Any,
    layout: Any,
    settings: Any,
    target: np.ndarray,
    quality: np.ndarray,
) -> None:
    """Give the targets of a cell, flat over (patch, Z, Y, X), their boxes."""
    priors, geometry, shape = layout
    n_boxes, ndim = priors.shape
    cells = 1
    for k in range(ndim):
        cells *= shape[k]
    width = len(values) // n_boxes
    overlaps, box = np.empty(len(members) * n_boxes), np.empty((2, ndim))
    index = _cell_index(flat % cells, shape)
    for b in range(n_boxes):
        decode_box(values[b * width : (b + 1) * width], index, priors[b], geometry, box)
        for m in range(len(members)):
            overlaps[m * n_boxes + b] = overlap(settings[0], truth[0][members[m]], box)
    state = np.array([cell_seed(settings[4], flat // cells, flat % cells)])
    scratch = (state, np.empty(len(members), np.uint8), np.empty(n_boxes, np.uint8))
    match_cell(overlaps, members, truth, priors, settings, scratch, target, quality)


@njit(**JIT)
def _cell_index(cell: int, shape: np.ndarray) -> np.ndarray:
    """Index on each axis of a flat cell of a patch."""
    index = np.empty(len(shape), dtype=np.int64)
    for k in range(len(shape) - 1, -1, -1):
        index[k] = cell % shape[k]
        cell //= shape[k]
    return index


@njit(**PARALLEL)
def _ignore_good(
    raw: np.ndarray, truth: Any, window: Any, layout: Any, settings: Any, target: np.ndarray
) -> None:
    """Mark as IGNORED the boxes that overlap a target by more than the limit."""
    boxes, start = truth
    per_patch = raw.shape[0] // (len(start) - 1)
    for patch in prange(len(start) - 1):
        rows = slice(patch * per_patch, (patch + 1) * per_patch)
        for t in range(start[patch], start[patch + 1]):
            place = (window[0][t], window[1][t])
            _ignore_near(raw[rows], boxes[t], place, layout, settings, target[rows])


@njit(**JIT)
def _ignore_near(
    raw: np.ndarray, true: np.ndarray, window: Any, layout: Any, settings: Any, target: np.ndarray
) -> None:
    """The same around one target, in the cells of its patch."""
    priors, geometry, shape = layout
    n_boxes, ndim = priors.shape
    width = raw.shape[1] // n_boxes
    box = np.empty((2, ndim))
    steps = 1
    for k in range(ndim):
        steps *= window[1][k]
    for step in range(steps):
        flat = window_cell(step, window[0], window[1], shape)
        index = _cell_index(flat, shape)
        for b in range(n_boxes):
            decode_box(raw[flat, b * width : (b + 1) * width], index, priors[b], geometry, box)
            if overlap(settings[0], true, box) > settings[3][0]:
                target[flat, b] = IGNORED

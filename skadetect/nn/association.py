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
from skadetect.nn.head import HeadSpec, decode_box
from skadetect.nn.loss_options import AssociationOptions
from skadetect.nn.targets import Targets

BACKGROUND, IGNORED, NEAR = -1, -2, -3

_MIX_ADD, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


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
    head.check(outputs)
    if targets.n_patches != len(outputs) or (len(targets) and targets.boxes.shape[2] != head.ndim):
        raise ModelError(
            f"targets have {targets.n_patches} patches of {targets.boxes.shape[2]} axes, "
            f"expected {len(outputs)} of {head.ndim}"
        )
    shape = (len(outputs), int(np.prod(outputs.shape[1:4])), head.n_boxes)
    target = np.full(shape, BACKGROUND, dtype=np.int32)
    quality = np.zeros(shape, dtype=np.float32)
    difficult = targets.difficult & options.ignore_difficult
    truth = (np.ascontiguousarray(targets.boxes.reshape(-1, 2, head.ndim)), difficult, targets.start)
    rules = _rules(options, startup, seed)
    _associate(np.ascontiguousarray(outputs), truth, head.prior_array, head.geometry, rules, target, quality)
    return Assignment(target, quality)


def _rules(
    options: AssociationOptions, startup: bool, seed: int
) -> tuple[int, bool, bool, np.ndarray, np.uint64]:
    """Options as the kernels take them: kind, by overlap, start-up, limits, seed."""
    good = math.nan if options.good_iou is None else options.good_iou
    limits = np.array([good, options.random_box, options.prior_choice, options.min_overlap])
    by_overlap = options.rule == "overlap"
    return OVERLAPS[options.overlap], by_overlap, startup, limits, np.uint64(seed % 2**64)


@njit(**PARALLEL)
def _associate(
    outputs: np.ndarray,
    truth: Any,
    priors: np.ndarray,
    geometry: np.ndarray,
    rules: Any,
    target: np.ndarray,
    quality: np.ndarray,
) -> None:
    """All patches."""
    for patch in prange(outputs.shape[0]):
        _associate_patch(outputs[patch], truth, priors, geometry, rules, patch, target[patch], quality[patch])


@njit(**JIT)
def _associate_patch(
    raw: np.ndarray,
    truth: Any,
    priors: np.ndarray,
    geometry: np.ndarray,
    rules: Any,
    patch: int,
    target: np.ndarray,
    quality: np.ndarray,
) -> None:
    """Mark the good boxes, then give each cell's targets their boxes."""
    boxes, difficult, start = truth
    first, last = start[patch], start[patch + 1]
    if not np.isnan(rules[3][0]):
        for t in range(first, last):
            _ignore_good(raw, boxes[t], priors, geometry, rules, target)
    head_of, next_of = _chain(boxes[first:last], raw.shape, geometry)
    for cell in range(len(head_of)):
        if head_of[cell] < 0:
            continue
        members = _members(head_of[cell], next_of, difficult[first:last]) + first
        values = _row(raw, cell)
        overlaps = _cell_overlaps(
            values, _cell_index(cell, raw.shape, len(priors[0])), boxes, members, priors, geometry, rules
        )
        state = np.array([_mix(rules[4] ^ _mix(np.uint64(patch) * np.uint64(_MIX_2) + np.uint64(cell)))])
        _match_cell(overlaps, truth, members, priors, rules, state, target[cell], quality[cell])


@njit(**JIT)
def _row(raw: np.ndarray, cell: int) -> np.ndarray:
    """Outputs of one cell."""
    return raw.reshape(-1, raw.shape[3])[cell]


@njit(**JIT)
def _cell_index(cell: int, shape: tuple[int, int, int, int], ndim: int) -> np.ndarray:
    """Index of a flat cell along the ndim axes."""
    index = np.empty(ndim, dtype=np.int64)
    for k in range(ndim):
        index[ndim - 1 - k] = cell % shape[2 - k]
        cell //= shape[2 - k]
    return index


@njit(**JIT)
def _chain(
    boxes: np.ndarray, shape: tuple[int, int, int, int], geometry: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Linked lists of the targets centred in each cell in order: first of a cell, next of a target."""
    ndim = boxes.shape[2]
    head_of = np.full(shape[0] * shape[1] * shape[2], -1, dtype=np.int64)
    next_of = np.full(len(boxes), -1, dtype=np.int64)
    for t in range(len(boxes) - 1, -1, -1):
        flat, inside = 0, True
        for k in range(ndim):
            cell = math.floor(0.5 * (boxes[t, 0, k] + boxes[t, 1, k]) / geometry[k])
            inside = inside and 0 <= cell < shape[3 - ndim + k]
            flat = flat * shape[3 - ndim + k] + int(cell)
        if inside:
            next_of[t] = head_of[flat]
            head_of[flat] = t
    return head_of, next_of


@njit(**JIT)
def _members(first: int, next_of: np.ndarray, difficult: np.ndarray) -> np.ndarray:
    """Targets of a cell, the difficult ones last."""
    count = 0
    t = first
    while t >= 0:
        count += 1
        t = next_of[t]
    members = np.empty(count, dtype=np.int64)
    slot = 0
    for stage in range(2):
        t = first
        while t >= 0:
            if difficult[t] == (stage == 1):
                members[slot] = t
                slot += 1
            t = next_of[t]
    return members


@njit(**JIT)
def _cell_overlaps(
    values: np.ndarray,
    cell: np.ndarray,
    boxes: np.ndarray,
    members: np.ndarray,
    priors: np.ndarray,
    geometry: np.ndarray,
    rules: Any,
) -> np.ndarray:
    """Overlap of each member target with each box of the cell."""
    n_boxes, ndim = priors.shape
    width = len(values) // n_boxes
    overlaps = np.empty((len(members), n_boxes))
    box = np.empty((2, ndim))
    for b in range(n_boxes):
        decode_box(values[b * width : (b + 1) * width], cell, priors[b], geometry, box)
        for m in range(len(members)):
            overlaps[m, b] = overlap(rules[0], boxes[members[m]], box)
    return overlaps


@njit(**JIT)
def _match_cell(
    overlaps: np.ndarray,
    truth: Any,
    members: np.ndarray,
    priors: np.ndarray,
    rules: Any,
    state: np.ndarray,
    target: np.ndarray,
    quality: np.ndarray,
) -> None:
    """Hand out the boxes of one cell until boxes or targets run out."""
    boxes, difficult, _ = truth
    n_members, n_boxes = overlaps.shape
    left = np.ones(n_members, dtype=np.bool_)
    free = np.ones(n_boxes, dtype=np.bool_)
    n_difficult = np.sum(difficult[members])
    for turn in range(min(n_members, n_boxes)):
        n_plain = n_members - n_difficult
        low, high = (0, n_plain) if turn < n_plain else (n_plain, n_members)
        m, b = _best_pair(overlaps, left, free, low, high, rules[1])
        b = _choose_box(overlaps[m], boxes[members[m]], free, priors, b, rules, state)
        left[m], free[b] = False, False
        target[b] = IGNORED if difficult[members[m]] else members[m]
        quality[b] = 0.0 if difficult[members[m]] else overlaps[m, b]


@njit(**JIT)
def _best_pair(
    overlaps: np.ndarray, left: np.ndarray, free: np.ndarray, low: int, high: int, by_overlap: bool
) -> tuple[int, int]:
    """Target and box of largest overlap left; by order, the first target left and its best box."""
    best_m, best_b = -1, -1
    for m in range(low, high):
        if not left[m] or (best_m >= 0 and not by_overlap):
            continue
        for b in range(len(free)):
            if free[b] and (best_m < 0 or overlaps[m, b] > overlaps[best_m, best_b]):
                best_m, best_b = m, b
    return best_m, best_b


@njit(**JIT)
def _choose_box(
    overlaps: np.ndarray,
    box: np.ndarray,
    free: np.ndarray,
    priors: np.ndarray,
    best: int,
    rules: Any,
    state: np.ndarray,
) -> int:
    """The box a target takes: a random one, the nearest prior's, or the best overlap's."""
    _, by_overlap, startup, limits, _ = rules
    if startup or (limits[1] > 0 and _uniform(state) < limits[1]):
        return _random_free(free, state)
    by_prior = not by_overlap or overlaps[best] < limits[3]
    if by_prior or (limits[2] > 0 and _uniform(state) < limits[2]):
        return _nearest_prior(overlaps, box, free, priors)
    return best


@njit(**JIT)
def _nearest_prior(overlaps: np.ndarray, box: np.ndarray, free: np.ndarray, priors: np.ndarray) -> int:
    """Free box of smallest sum |log(side / prior)|; of equal priors, the one that overlaps most."""
    best, nearest = -1, math.inf
    for b in range(len(free)):
        if not free[b]:
            continue
        distance = 0.0
        for k in range(priors.shape[1]):
            distance += abs(math.log(max(box[1, k] - box[0, k], 1e-6) / priors[b, k]))
        if best < 0 or distance < nearest or (distance == nearest and overlaps[b] > overlaps[best]):
            best, nearest = b, distance
    return best


@njit(**JIT)
def _random_free(free: np.ndarray, state: np.ndarray) -> int:
    """A free box, all alike."""
    rank = int(_uniform(state) * np.sum(free))
    for b in range(len(free)):
        if free[b]:
            if rank == 0:
                return b
            rank -= 1
    return -1


@njit(**JIT)
def _mix(value: np.uint64) -> np.uint64:
    """The splitmix64 finaliser: a hash of 64 bits (Steele et al. 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(_MIX_1)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(_MIX_2)
    return value ^ (value >> np.uint64(31))


@njit(**JIT)
def _uniform(state: np.ndarray) -> float:
    """Next number in [0, 1) of a splitmix64 stream."""
    state[0] += np.uint64(_MIX_ADD)
    return (_mix(state[0]) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(**JIT)
def _ignore_good(
    raw: np.ndarray,
    target_box: np.ndarray,
    priors: np.ndarray,
    geometry: np.ndarray,
    rules: Any,
    target: np.ndarray,
) -> None:
    """Mark as IGNORED the boxes near one target that overlap it by more than the limit."""
    n_boxes, ndim = priors.shape
    width = raw.shape[3] // n_boxes
    low, extent, cells = _window(target_box, raw.shape, geometry, rules[3][0])
    index = np.empty(ndim, dtype=np.int64)
    box = np.empty((2, ndim))
    for step in range(cells):
        flat, rest, size = 0, step, 1
        for k in range(ndim - 1, -1, -1):
            index[k] = low[k] + rest % extent[k]
            rest //= extent[k]
            flat += index[k] * size
            size *= raw.shape[3 - ndim + k]
        values = _row(raw, flat)
        for b in range(n_boxes):
            decode_box(values[b * width : (b + 1) * width], index, priors[b], geometry, box)
            if overlap(rules[0], target_box, box) > rules[3][0]:
                target[flat, b] = IGNORED


@njit(**JIT)
def _window(
    box: np.ndarray, shape: tuple[int, int, int, int], geometry: np.ndarray, good: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Cells whose boxes can have an IoU above `good` with a box: first index, extent and number of them.

    IoU > g forces the common length on each axis above g times either side, hence a distance of centres below
    side * max(1 - g, (1 / g - 1) / 2), side that of the given box; no overlap measure exceeds the IoU.
    """
    ndim = box.shape[1]
    low, extent, cells = np.empty(ndim, dtype=np.int64), np.empty(ndim, dtype=np.int64), 1
    slack = 0.5 * (geometry[ndim] - 1.0)
    for k in range(ndim):
        reach = (box[1, k] - box[0, k]) * max(1.0 - good, 0.5 * (1.0 / good - 1.0))
        centre = 0.5 * (box[0, k] + box[1, k])
        n = shape[3 - ndim + k]
        low[k] = max(0, math.floor((centre - reach) / geometry[k] - slack) - 1)
        high = min(n - 1, math.floor((centre + reach) / geometry[k] + slack) + 1)
        extent[k] = max(0, high - low[k] + 1)
        cells *= extent[k]
    return low, extent, cells

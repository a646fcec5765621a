"""Formulas of the association: a predicted box, and which boxes of a cell answer for which of its targets.

As in `formulas`, compiled code may call them (CUDA device code among it); memory is the caller's. The rules
are a tuple: kind of overlap, by overlap or by order, start-up, limits, seed (see `skadetect.nn.association`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

from skadetect.formulas import box_side, centre_offset

BACKGROUND, IGNORED, NEAR = -1, -2, -3

_MIX_ADD, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


@register_jitable
def decode_box(raw: Any, cell: Any, prior: Any, geometry: Any, box: Any) -> None:
    """Corners, shape (2, ndim), of the box in a cell's raw outputs; `cell` is its index on the ndim axes."""
    ndim = prior.shape[0]
    for k in range(ndim):
        centre = (centre_offset(raw[k], geometry[ndim]) + cell[k]) * geometry[k]
        half = 0.5 * box_side(raw[ndim + k], prior[k], geometry[ndim + 1], geometry[ndim + 2])
        box[0, k] = centre - half
        box[1, k] = centre + half


@register_jitable
def window_cell(step: int, low: Any, extent: Any, shape: Any) -> int:
    """Flat index, among cells of `shape`, of a step through a window from `low` on."""
    flat, size, ndim = 0, 1, low.shape[0]
    for k in range(ndim - 1, -1, -1):
        flat += (low[k] + step % extent[k]) * size
        step //= extent[k]
        size *= shape[k]
    return flat


@register_jitable
def match_cell(
    overlaps: Any,
    members: Any,
    truth: Any,
    priors: Any,
    rules: Any,
    scratch: Any,
    target: Any,
    quality: Any,
) -> int:
    """Hand out the boxes of one cell until boxes or targets run out.

    Parameters
    ----------
    overlaps : array, shape (n_members * n_boxes,)
        Of each member target with each box.
    members : array, shape (n_members,)
        Rows of the targets, the difficult ones last.
    truth : tuple
        Of all targets: boxes (N, 2, ndim), difficult (N,).
    priors : array, shape (n_boxes, ndim)
        Of the boxes.
    rules : tuple
        See above.
    scratch : tuple
        State of the random numbers, shape (1,), uint64; two arrays of n_members and n_boxes flags.
    target, quality : array, shape (n_boxes,)
        What each box answers for, and its overlap with it; filled in for the boxes handed out.

    Returns
    -------
    int
        Boxes that have a target.
    """
    boxes, difficult = truth
    state, left, free = scratch
    n_members, n_boxes = len(members), priors.shape[0]
    n_plain, matched = 0, 0
    for m in range(n_members):
        left[m] = 1
        n_plain += 0 if difficult[members[m]] else 1
    for b in range(n_boxes):
        free[b] = 1
    for turn in range(min(n_members, n_boxes)):
        low, high = (0, n_plain) if turn < n_plain else (n_plain, n_members)
        m, b = best_pair(overlaps, left, free, low, high, rules[1])
        row = overlaps[m * n_boxes : (m + 1) * n_boxes]
        b = choose_box(row, boxes[members[m]], free, priors, b, rules, state)
        left[m], free[b] = 0, 0
        if difficult[members[m]]:
            target[b] = IGNORED
        else:
            target[b], quality[b] = members[m], row[b]
            matched += 1
    return matched


@register_jitable
def best_pair(overlaps: Any, left: Any, free: Any, low: int, high: int, by_overlap: bool) -> tuple[int, int]:
    """Target and box of largest overlap left; by order, the first target left and its best box."""
    best_m, best_b, n_boxes = -1, -1, len(free)
    for m in range(low, high):
        if not left[m] or (best_m >= 0 and not by_overlap):
            continue
        for b in range(n_boxes):
            if free[b] and (best_m < 0 or overlaps[m * n_boxes + b] > overlaps[best_m * n_boxes + best_b]):
                best_m, best_b = m, b
    return best_m, best_b


@register_jitable
def choose_box(overlaps: Any, box: Any, free: Any, priors: Any, best: int, rules: Any, state: Any) -> int:
    """The box a target takes: a random one, the nearest prior's, or the best overlap's."""
    _, by_overlap, startup, limits, _ = rules
    if startup or (limits[1] > 0 and uniform(state) < limits[1]):
        return random_free(free, state)
    by_prior = not by_overlap or overlaps[best] < limits[3]
    if by_prior or (limits[2] > 0 and uniform(state) < limits[2]):
        return nearest_prior(overlaps, box, free, priors)
    return best


@register_jitable
def nearest_prior(overlaps: Any, box: Any, free: Any, priors: Any) -> int:
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


@register_jitable
def random_free(free: Any, state: Any) -> int:
    """A free box, all alike."""
    count = 0
    for b in range(len(free)):
        count += 1 if free[b] else 0
    rank = int(uniform(state) * count)
    for b in range(len(free)):
        if free[b]:
            if rank == 0:
                return b
            rank -= 1
    return -1


@register_jitable
def mix(value: Any) -> Any:
    """The splitmix64 finaliser: a hash of 64 bits (Steele et al. 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(_MIX_1)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(_MIX_2)
    return value ^ (value >> np.uint64(31))


@register_jitable
def cell_seed(seed: Any, patch: int, cell: int) -> Any:
    """Start of the random numbers of a cell."""
    return mix(seed ^ mix(np.uint64(patch) * np.uint64(_MIX_2) + np.uint64(cell)))


@register_jitable
def uniform(state: Any) -> float:
    """Next number in [0, 1) of a splitmix64 stream."""
    state[0] += np.uint64(_MIX_ADD)
    return (mix(state[0]) >> np.uint64(11)) * (1.0 / 9007199254740992.0)

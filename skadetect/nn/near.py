"""The cells around a target's own, which are softer background than others."""

from __future__ import annotations

import numpy as np

from skadetect.nn.association import BACKGROUND, NEAR, Assignment
from skadetect.nn.head import HeadSpec
from skadetect.nn.targets import Targets


def mark_near(assignment: Assignment, targets: Targets, head: HeadSpec, cells: tuple[int, ...]) -> None:
    """Mark as NEAR, in place, what is background in the cells around each target's own.

    Noise decides in which of two cells a faint source seems to have its centre; as plain background the other
    one would teach the network to divide its belief between them.

    Parameters
    ----------
    assignment : Assignment
        Of a batch; its `target` is changed.
    targets : Targets
        True boxes of the patches.
    head : HeadSpec
        Says where cells lie.
    cells : tuple of int
        Extents (Z, Y, X) of the cells of a patch.
    """
    if not len(targets):
        return
    shape = np.array(cells[3 - head.ndim :])
    own = np.floor(targets.boxes.mean(axis=1) / np.array(head.stride[3 - head.ndim :])).astype(np.int64)
    steps = np.indices((3,) * head.ndim).reshape(head.ndim, -1).T - 1
    around = (own[:, None] + steps).reshape(-1, head.ndim)
    patch = np.repeat(np.repeat(np.arange(targets.n_patches), np.diff(targets.start)), len(steps))
    inside = ((around >= 0) & (around < shape)).all(axis=1)
    flat = np.ravel_multi_index(tuple(around[inside].T), tuple(shape))
    rows = assignment.target[patch[inside], flat]
    assignment.target[patch[inside], flat] = np.where(rows == BACKGROUND, NEAR, rows)

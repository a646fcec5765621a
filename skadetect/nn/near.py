"""The cells around a target's own, which are softer background than others."""

from __future__ import annotations

import numpy as np

from skadetect.matching import BACKGROUND, NEAR
from skadetect.nn.association import Assignment
from skadetect.nn.head import HeadSpec
from skadetect.nn.places import near_cells
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
    rows = assignment.target.reshape(-1, head.n_boxes)
    near = near_cells(targets, head, cells)
    rows[near] = np.where(rows[near] == BACKGROUND, NEAR, rows[near])

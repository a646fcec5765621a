"""Where targets lie among the cells."""

import numpy as np
import pytest

from skadetect.nn.places import near_cells, occupied, own_cells, patch_of, windows
from skadetect.nn.targets import Targets
from tests.nn.test_loss import CUBE, FLAT, scene


@pytest.mark.parametrize("head", [FLAT, CUBE], ids=["image", "cube"])
def test_occupied_cells_hold_the_targets_centred_in_them_difficult_ones_last(head):
    outputs, targets = scene(head, patches=3)
    cells = outputs.shape[1:4]
    found = occupied(targets, targets.difficult, head, cells)
    place = np.unravel_index(found.cell, (3, *cells[3 - head.ndim :]))
    assert np.all(np.diff(found.cell) > 0) and len(np.unique(found.members)) == len(found.members)
    for i, row in enumerate(np.transpose(place)):
        mine = found.members[found.first[i] : found.first[i + 1]]
        low = row[1:] * np.array(head.stride[3 - head.ndim :])
        centre = targets.boxes[mine].mean(axis=1)
        assert len(mine) and np.all((centre >= low) & (centre < low + head.stride[3 - head.ndim :]))
        assert np.all(patch_of(targets)[mine] == row[0])
        assert [*mine] == sorted(mine, key=lambda t: (targets.difficult[t], t))


def test_targets_outside_are_in_no_cell():
    boxes = np.array([[[-9.0, 1.0], [1.0, 3.0]], [[1.0, 1.0], [3.0, 3.0]]])  # centres (-4, 2) and (2, 2)
    targets = Targets.of_patch(boxes, np.zeros((2, 4)))
    found = occupied(targets, targets.difficult, FLAT, (1, 2, 2))
    assert own_cells(targets, FLAT).tolist() == [[-1, 0], [0, 0]]
    assert (found.cell.tolist(), found.members.tolist()) == ([0], [1])
    assert set(near_cells(targets, FLAT, (1, 2, 2)).tolist()) == {0, 1, 2, 3}


def test_windows_lie_inside_the_patch_and_hold_the_targets_cell():
    outputs, targets = scene(CUBE)
    low, extent = windows(targets, CUBE, outputs.shape[1:4], 0.5)
    own = own_cells(targets, CUBE)
    assert np.all(low >= 0) and np.all(low + extent <= outputs.shape[1:4])
    assert np.all((low <= own) & (own < low + extent))

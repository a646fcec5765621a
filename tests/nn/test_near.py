"""Which cells are next to a target's own."""

import numpy as np
import pytest

from skadetect.nn.association import BACKGROUND, NEAR, associate
from skadetect.nn.near import mark_near
from tests.nn.test_loss import CUBE, FLAT, MODERN, scene


@pytest.mark.parametrize("head", [FLAT, CUBE], ids=["image", "cube"])
def test_near_is_the_background_within_one_cell_of_a_target_on_every_axis(head):
    outputs, targets = scene(head, n=3)
    cells = outputs.shape[4 - head.ndim : 4]
    matched = associate(outputs, targets, head, MODERN.association)
    before = matched.target.copy()
    mark_near(matched, targets, head, outputs.shape[1:4])
    own = np.floor(targets.boxes.mean(axis=1) / head.stride[3 - head.ndim :])
    places = np.indices(cells).reshape(head.ndim, -1).T
    for patch in range(len(outputs)):
        rows = slice(targets.start[patch], targets.start[patch + 1])
        distance = np.abs(places[:, None] - own[rows]).max(axis=2).min(axis=1)
        expected = (distance <= 1)[:, None] & (before[patch] == BACKGROUND)
        assert np.array_equal(matched.target[patch] == NEAR, expected)
        assert np.array_equal(matched.target[patch][~expected], before[patch][~expected])

"""Flag bits: the table is whole, and geometry marks what it should."""

import numpy as np

from skadetect.catalog.flags import FLAGS, Flag, beside_bright, blended, flag_names, flag_summary


def test_every_bit_is_described_once():
    assert [row.bit for row in FLAGS] == list(Flag)
    assert all(row.description and f"{row.bit.value} {row.name}" in flag_summary() for row in FLAGS)
    assert flag_names(Flag.EDGE | Flag.BLENDED) == ("edge", "blended") and flag_names(0) == ()


def test_overlaps_are_those_of_all_pairs():
    rng = np.random.default_rng(3)
    for ndim in (2, 3):
        low = rng.uniform(0, 60, (80, ndim))
        boxes = np.stack([low, low + rng.uniform(1, 12, (80, ndim))], axis=1)
        apart = (boxes[:, None, 0] >= boxes[None, :, 1]) | (boxes[None, :, 0] >= boxes[:, None, 1])
        pairs = ~apart.any(axis=-1)
        np.fill_diagonal(pairs, False)
        found = blended(boxes)
        np.testing.assert_array_equal(found, pairs.any(axis=1))
        assert 0 < found.sum() < 80


def test_boxes_that_touch_do_not_overlap():
    boxes = np.array([[[0.0, 0.0], [2.0, 2.0]], [[0.0, 2.0], [2.0, 4.0]], [[2.0, 0.0], [4.0, 2.0]]])
    assert not blended(boxes).any()
    assert blended(np.empty((0, 2, 2))).shape == (0,)


def test_only_faint_sources_near_a_bright_one_are_suspect():
    position = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [0.0, 11.0]])
    peak = np.array([1000.0, 4.0, 6.0, 4.0])
    bright = peak > 500
    found = beside_bright(position, peak, bright=bright, radius=10.0, ratio=5e-3)
    np.testing.assert_array_equal(found, [False, True, False, False])
    assert not beside_bright(position, peak, bright=np.zeros(4, bool), radius=10.0, ratio=5e-3).any()

"""Scalar parts of the association; `tests.nn.test_association` has what they add up to."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.matching import (
    BACKGROUND,
    IGNORED,
    best_pair,
    cell_seed,
    decode_box,
    match_cell,
    random_free,
    uniform,
    window_cell,
)

FREE = np.ones(4, np.uint8)


def start(seed=1):
    with np.errstate(over="ignore"):
        return np.array([cell_seed(np.uint64(seed), 2, 5)])


def test_a_window_is_walked_once_over_in_the_order_of_its_cells():
    shape, low, extent = np.array([3, 7, 5]), np.array([1, 2, 0]), np.array([2, 4, 3])
    walked = [window_cell(step, low, extent, shape) for step in range(extent.prod())]
    places = np.indices(extent).reshape(3, -1) + low[:, None]
    assert walked == np.ravel_multi_index(tuple(places), tuple(shape)).tolist()


@pytest.mark.parametrize("ndim", [2, 3])
def test_raw_zeros_are_the_prior_in_the_middle_of_its_cell(ndim):
    prior, cell, box = np.array([6.0, 8.0, 3.0])[:ndim], np.array([2, 0, 5])[:ndim], np.empty((2, ndim))
    stride = np.array([4.0, 2.0, 4.0])[:ndim]
    decode_box(np.zeros(2 * ndim, "f4"), cell, prior, np.array([*stride, 1.4, -6.0, 6.0]), box)
    np.testing.assert_allclose(box.mean(axis=0), (cell + 0.5) * stride)
    np.testing.assert_allclose(box[1] - box[0], prior)


@np.errstate(over="ignore")
def test_random_numbers_are_uniform_and_follow_from_seed_patch_and_cell():
    state = start()
    drawn = np.array([uniform(state) for _ in range(4000)])
    assert drawn.min() >= 0 and drawn.max() < 1
    assert np.histogram(drawn, 10, (0, 1))[0] == pytest.approx(400, abs=80)  # four standard deviations
    seeds = {int(cell_seed(np.uint64(s), p, c)) for s in range(3) for p in range(4) for c in range(50)}
    assert len(seeds) == 3 * 4 * 50
    free = np.array([0, 1, 1, 0], np.uint8)
    picked = [random_free(free, state) for _ in range(400)]
    assert set(picked) == {1, 2} and 140 < picked.count(1) < 260


def test_the_best_pair_is_by_overlap_or_the_first_targets():
    overlaps, left = np.array([0.1, 0.2, 0.0, 0.1, 0.9, 0.3, 0.4, 0.2]), np.ones(2, np.uint8)
    assert best_pair(overlaps, left, FREE, 0, 2, True) == (1, 0)
    assert best_pair(overlaps, left, FREE, 0, 2, False) == (0, 1)
    assert best_pair(overlaps, np.array([0, 1], np.uint8), FREE, 0, 2, False) == (1, 0)


def test_plain_targets_choose_before_difficult_ones_until_the_boxes_run_out():
    boxes = np.array([[[0.0, 0.0], [4.0, 4.0]]] * 3)
    difficult, members = np.array([1, 0, 0], np.uint8), np.array([1, 2, 0])
    target, quality = np.full(2, BACKGROUND), np.zeros(2)
    rules = (0, True, False, np.array([np.nan, 0.0, 0.0, -1.0]), np.uint64(0))
    overlaps = np.array([0.5, 0.2, 0.6, 0.3, 0.9, 0.9])
    scratch = (start(), np.empty(3, np.uint8), np.empty(2, np.uint8))
    truth, priors = (boxes, difficult), np.full((2, 2), 4.0)
    assert match_cell(overlaps, members, truth, priors, rules, scratch, target, quality) == 2
    assert (target.tolist(), quality.tolist()) == ([2, 1], [0.6, 0.2])
    target, quality = np.full(2, BACKGROUND), np.zeros(2)
    fewer = (overlaps[2:], members[1:], truth, priors, rules, scratch, target, quality)
    assert match_cell(*fewer) == 1
    assert (target.tolist(), quality.tolist()) == ([2, IGNORED], [0.6, 0.0])

"""Levels of a cube, and the rules that make one row of what several of them find."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skadetect.beams import PixelBeam
from skadetect.boxes import pairwise_overlap
from skadetect.pyramid import (
    SAME_FLUX,
    SIZE_RANGE,
    Boxes,
    beside_brighter,
    count_levels,
    longer_sides,
    meeting_pairs,
    octaves_beyond,
    one_row_a_galaxy,
)


def _rows(*rows: tuple[tuple[float, ...], tuple[float, ...], float, float]) -> Boxes:
    """Rows of (centre, sides, rank, flux)."""
    centre, side, rank, flux = (np.array(column, float) for column in zip(*rows, strict=True))
    return Boxes(np.stack([centre - side / 2, centre + side / 2], axis=1), rank, flux)


GALAXY = ((50, 50, 50), (60, 50, 50), 0.9, 100.0)


def test_a_small_galaxy_in_the_box_of_a_large_one_stays() -> None:
    rows = _rows(
        GALAXY,
        ((40, 40, 60), (20, 10, 10), 0.99, 8.0),  # before it, or a companion: surer than the large one
        ((62, 58, 45), (20, 8, 8), 0.6, 2.0),
        ((50, 90, 50), (20, 10, 10), 0.9, 8.0),  # outside
    )
    assert one_row_a_galaxy(rows).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("rank", [0.5, 0.95])
def test_what_is_half_of_a_galaxy_or_most_of_it_is_that_galaxy(rank: float) -> None:
    kept = 0 if rank < 0.9 else 1
    half = ((60, 52, 46), (30, 28, 26), rank, 20.0)  # in it, and half as large
    core = ((48, 52, 50), (30, 8, 8), rank, 80.0)  # in it, and nearly as bright
    deep = ((50, 50, 50), (120, 30, 30), rank, 5.0)  # sticks out of it along the spectrum, centres agree
    for part in (half, core, deep):
        assert one_row_a_galaxy(_rows(GALAXY, part)).tolist() == [kept]


def test_two_levels_that_see_one_galaxy_alike_make_one_row() -> None:
    fine, coarse = ((50, 50, 50), (40, 14, 14), 0.8, 40.0), ((52, 51, 50), (36, 13, 13), 0.9, 41.0)
    assert one_row_a_galaxy(_rows(fine, coarse)).tolist() == [1]


def test_a_row_that_is_dropped_drops_none() -> None:
    """Neighbours of neighbours: the middle one loses to the best, the last one then stays."""
    chain = [((50, 50, x), (20, 12, 12), rank, 10.0) for x, rank in ((50, 0.9), (56, 0.8), (62, 0.7))]
    assert one_row_a_galaxy(_rows(*chain)).tolist() == [0, 2]


def _crowd(seed: int) -> Boxes:
    rng = np.random.default_rng(seed)
    n = 60
    level = rng.integers(0, 4, n)
    side = rng.uniform(6, 16, (n, 3)) * np.stack([np.full(n, 3.0), 2.0**level, 2.0**level], axis=1)
    centre = rng.uniform(0, 120, (n, 3))
    boxes = np.stack([centre - side / 2, centre + side / 2], axis=1)
    return Boxes(boxes, rng.uniform(0.3, 1, n), rng.lognormal(2, 1, n) * 4.0**level)


@given(seed=st.integers(0, 10**6))
def test_the_rules_forget_the_order_and_repeat_themselves(seed: int) -> None:
    rows = _crowd(seed)
    kept = one_row_a_galaxy(rows)
    assert 0 < len(kept) < 60
    assert rows.rank.argmax() in kept
    order = np.random.default_rng(seed + 1).permutation(60)
    assert sorted(order[one_row_a_galaxy(rows.take(order))]) == kept.tolist()
    assert len(one_row_a_galaxy(rows.take(kept))) == len(kept)


@given(seed=st.integers(0, 10**6))
def test_pairs_are_those_that_overlap(seed: int) -> None:
    boxes = _crowd(seed).boxes
    first, second = meeting_pairs(boxes)
    found = np.zeros((60, 60), bool)
    found[first, second] = found[second, first] = True
    expected = np.array(pairwise_overlap(boxes, boxes, kind="iou")) > 0
    np.fill_diagonal(expected, False)
    assert len(first) == found.sum() // 2
    np.testing.assert_array_equal(found, expected)


@given(seed=st.integers(0, 10**6))
def test_what_meets_a_brighter_box_is_beside_it(seed: int) -> None:
    rows = _crowd(seed)
    meets = np.array(pairwise_overlap(rows.boxes, rows.boxes, kind="iou")) > 0
    brighter = rows.flux[np.newaxis] > rows.flux[:, np.newaxis]
    np.testing.assert_array_equal(beside_brighter(rows.boxes, rows.flux), (meets & brighter).any(axis=1))
    assert not beside_brighter(rows.boxes, rows.flux)[rows.flux.argmax()]
    sure = np.random.default_rng(seed).random(60) < 0.5
    expected = (meets & brighter & sure[np.newaxis]).any(axis=1)
    np.testing.assert_array_equal(beside_brighter(rows.boxes, rows.flux, sure), expected)


def test_no_rows_and_rows_apart() -> None:
    none = Boxes(np.empty((0, 2, 3)), np.empty(0), np.empty(0))
    assert len(one_row_a_galaxy(none)) == 0
    rows = _rows(((0, 0, 0), (5, 5, 5), 0.9, 1.0), ((90, 0, 0), (5, 5, 5), 0.9, 1.0))
    assert one_row_a_galaxy(rows).tolist() == [0, 1]
    assert 0 < SAME_FLUX < 1


@given(side=st.floats(0.5, 120.0))
def test_every_size_is_within_the_range_of_some_level(side: float) -> None:
    seen = [octaves_beyond(side / 2**level, level) for level in range(4)]
    assert min(seen) == 0.0
    low, high = SIZE_RANGE
    assert octaves_beyond(2 * high, 0) == octaves_beyond(low / 2, 1) == 1.0
    assert octaves_beyond(low / 8, 0) == 0.0
    assert longer_sides(np.array([[[0.0, 0.0, 0.0], [30.0, 0.4 * side, side]]])) == pytest.approx([side])


@pytest.mark.parametrize(
    ("shape", "ndim", "pyramid", "wanted", "count"),
    [
        ((99, 256, 256), 3, True, None, 5),
        ((99, 64, 300), 3, True, None, 3),
        ((99, 15, 15), 3, True, None, 0),
        ((99, 256, 256), 3, True, 2, 2),
        ((99, 256, 256), 3, False, None, 0),
        ((99, 256, 256), 3, False, 1, 1),
        ((1, 512, 600), 2, True, None, 4),  # six beams of four pixels along the shorter side
        ((1, 512, 600), 2, True, 1, 1),
        ((1, 512, 600), 2, False, None, 0),
        ((1, 512, 600), 2, False, 2, 2),
        ((1, 90000, 90000), 2, True, None, 6),
    ],
)
def test_levels_go_as_far_as_image_model_and_options_allow(
    shape: tuple[int, int, int], ndim: int, pyramid: bool, wanted: int | None, count: int
) -> None:
    image = SimpleNamespace(shape=shape, ndim=ndim, pixel_beam=PixelBeam(4.0, 4.0))
    assert count_levels(image, SimpleNamespace(metadata={"pyramid": pyramid}), wanted) == count  # type: ignore[arg-type]

"""Levels of a cube, and the rules that make one row of what several of them find."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skadetect.pyramid import (
    SIZE_RANGE,
    Boxes,
    count_levels,
    fits_level,
    one_row_a_galaxy,
)


def _rows(*rows: tuple[int, tuple[float, ...], tuple[float, ...], float, float]) -> Boxes:
    """Rows of (level, centre, sides, score, flux)."""
    level, centre, side, score, flux = (np.array(column, float) for column in zip(*rows, strict=True))
    boxes = np.stack([centre - side / 2, centre + side / 2], axis=1)
    return Boxes(boxes, level.astype(int), score, flux)


GALAXY = (2, (50, 50, 50), (60, 50, 50), 0.9, 100.0)


def test_pieces_of_a_large_galaxy_go_and_its_neighbours_stay() -> None:
    rows = _rows(
        GALAXY,
        (0, (40, 40, 60), (20, 10, 10), 0.95, 8.0),  # a knot in its disc
        (1, (70, 55, 45), (30, 20, 20), 0.8, 30.0),  # one half of it
        (0, (50, 90, 50), (20, 10, 10), 0.9, 8.0),  # a companion outside
        (0, (95, 50, 50), (20, 10, 10), 0.9, 8.0),  # one behind it
        (0, (50, 74, 50), (20, 12, 10), 0.9, 8.0),  # in its box with the centre and half a volume
    )
    assert one_row_a_galaxy(rows).tolist() == [0, 3, 4]


def test_a_blurred_box_does_not_swallow_the_galaxy_that_it_is_made_of() -> None:
    compact = (0, (48, 52, 50), (30, 8, 8), 0.95, 90.0)
    assert one_row_a_galaxy(_rows(GALAXY, compact)).tolist() == [1]
    # nor does a doubtful one, whose flux is more than half noise, take a sure galaxy with it
    doubtful = (2, (50, 50, 50), (60, 50, 50), 0.4, 150.0)
    assert one_row_a_galaxy(_rows(doubtful, compact)).tolist() == [1]
    sure = (2, (50, 50, 50), (60, 50, 50), 0.9, 300.0)
    assert one_row_a_galaxy(_rows(sure, compact)).tolist() == [0]


def test_two_levels_that_see_one_galaxy_alike_make_one_row() -> None:
    fine, coarse = (0, (50, 50, 50), (40, 14, 14), 0.8, 40.0), (1, (52, 51, 50), (36, 13, 13), 0.9, 41.0)
    assert len(one_row_a_galaxy(_rows(fine, coarse))) == 1
    # neither lies inside the other, one centre lies deep in the other: the better one stays
    crossed = (1, (54, 50, 50), (80, 8, 8), 0.9, 10.0)
    assert one_row_a_galaxy(_rows((0, (50, 50, 50), (30, 15, 15), 0.8, 40.0), crossed)).tolist() == [1]


def _crowd(seed: int) -> Boxes:
    rng = np.random.default_rng(seed)
    n = 60
    level = rng.integers(0, 4, n)
    side = rng.uniform(6, 16, (n, 3)) * np.stack([np.full(n, 3.0), 2.0**level, 2.0**level], axis=1)
    centre = rng.uniform(0, 120, (n, 3))
    boxes = np.stack([centre - side / 2, centre + side / 2], axis=1)
    return Boxes(boxes, level, rng.uniform(0.3, 1, n), rng.lognormal(2, 1, n) * 4.0**level)


@given(seed=st.integers(0, 10**6))
def test_the_rules_forget_the_order_and_repeat_themselves(seed: int) -> None:
    rows = _crowd(seed)
    kept = one_row_a_galaxy(rows)
    assert 0 < len(kept) < 60
    order = np.random.default_rng(seed + 1).permutation(60)
    assert sorted(order[one_row_a_galaxy(rows.take(order))]) == kept.tolist()
    assert len(one_row_a_galaxy(rows.take(kept))) == len(kept)


def test_no_rows_and_rows_of_one_level() -> None:
    none = Boxes(np.empty((0, 2, 3)), np.empty(0, int), np.empty(0), np.empty(0))
    assert len(one_row_a_galaxy(none)) == 0
    rows = _rows((1, (0, 0, 0), (5, 5, 5), 0.9, 1.0), (1, (90, 0, 0), (5, 5, 5), 0.9, 1.0))
    assert one_row_a_galaxy(rows).tolist() == [0, 1]


@given(side=st.floats(0.5, 200.0))
def test_every_size_has_a_level_even_if_two_levels_measure_it_apart(side: float) -> None:
    for wrong in (0.9, 1.0, 1.1):  # what level k says of a galaxy that level 0 sees at its true size
        kept = []
        for level in range(4):
            seen = side / 2**level * (wrong if level else 1.0)
            box = np.array([[[0, 0, 0], [30, 0.4 * seen, seen]]])
            kept.append(bool(fits_level(box, level, 3)[0]))
        assert any(kept)
    assert fits_level(np.empty((0, 2, 3)), 0, 3).shape == (0,)
    assert 2 * SIZE_RANGE[0] < SIZE_RANGE[1]


@pytest.mark.parametrize(
    ("shape", "ndim", "pyramid", "wanted", "count"),
    [
        ((99, 256, 256), 3, True, None, 5),
        ((99, 64, 300), 3, True, None, 3),
        ((99, 15, 15), 3, True, None, 0),
        ((99, 256, 256), 3, True, 2, 2),
        ((99, 256, 256), 3, False, None, 0),
        ((99, 256, 256), 3, False, 1, 1),
        ((1, 256, 256), 2, True, 3, 0),
    ],
)
def test_levels_go_as_far_as_image_model_and_options_allow(
    shape: tuple[int, int, int], ndim: int, pyramid: bool, wanted: int | None, count: int
) -> None:
    image = SimpleNamespace(shape=shape, ndim=ndim)
    assert count_levels(image, SimpleNamespace(metadata={"pyramid": pyramid}), wanted) == count  # type: ignore[arg-type]

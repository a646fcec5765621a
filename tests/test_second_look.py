"""Windows around candidates: every vicinity has one owner, and nothing is read that need not be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skadetect.second_look import AGAIN, VICINITY, SecondLook, expected_pixels, near, windows
from skadetect.tiling import TileGrid

SHAPE, HALO, STEP = (130, 50, 60), (24, 8, 10), (8, 4, 4)
GRID = TileGrid.cover(SHAPE, (64, 32, 32), halo=HALO, step=STEP)
LEAST_TILE = (24 + 8 + 24) * (8 + 4 + 8) * (12 + 4 + 12)

places = st.tuples(*(st.floats(-0.5, n - 0.501) for n in SHAPE))


@given(st.lists(places, max_size=12), st.sampled_from((LEAST_TILE, 40 * LEAST_TILE, 10**9)))
def test_every_vicinity_is_owned_once_and_no_window_reads_too_much(
    centres: list[tuple[float, float, float]], most: int
) -> None:
    given_places = np.array(centres, np.float64).reshape(-1, 3)
    tiles = windows(given_places, GRID, most=most)
    owners = np.zeros(SHAPE, np.int64)
    for tile in tiles:
        owners[tuple(slice(a, b) for a, b in zip(tile.own_lo, tile.own_hi, strict=True))] += 1
    assert owners.max(initial=0) <= 1
    indices = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1).reshape(-1, 3)
    wanted = near(indices.astype(np.float64), given_places, GRID).reshape(SHAPE)
    assert (owners[wanted] == 1).all()
    assert [tile.index for tile in tiles] == list(range(len(tiles)))
    sizes = [math.prod(tile.read_shape) for tile in tiles]
    assert sizes == sorted(sizes, reverse=True) and max(sizes, default=0) <= most


def test_candidates_far_apart_have_a_window_each_and_close_ones_share() -> None:
    grid = TileGrid.cover((4000, 400, 400), (64, 32, 32), halo=HALO, step=STEP)
    far, close = np.array([[500.0, 50, 50], [3500, 350, 350]]), np.array([[500.0, 50, 50], [510, 52, 60]])
    assert len(windows(far, grid, most=10**9)) == 2
    (one,) = windows(close, grid, most=10**9)
    reach = VICINITY * np.array(STEP)
    assert (one.own_lo <= close.min(axis=0) - reach).all() and (one.own_hi >= close.max(axis=0) + reach).all()
    assert (np.array(one.own_hi) - one.own_lo <= np.ptp(close, axis=0) + 2 * reach + 2 * np.array(STEP)).all()
    assert all(a % s == 0 for a, s in zip(one.own_lo, STEP, strict=True))


def test_windows_of_many_candidates_read_hardly_more_than_tiles() -> None:
    grid = TileGrid.cover((512, 128, 128), (256, 64, 64), halo=HALO, step=STEP)
    places = np.random.default_rng(1).uniform(0, 1, (3000, 3)) * grid.shape
    most = max(math.prod(tile.read_shape) for tile in grid)
    read = sum(math.prod(tile.read_shape) for tile in windows(places, grid, most=most))
    assert read <= 1.3 * sum(math.prod(tile.read_shape) for tile in grid)


def test_the_vicinity_is_two_cells_on_each_side() -> None:
    centre = np.array([100.0, 50.0, 50.0])
    moved = np.array([[16.0, -8.0, 8.0], [0.0, 0.0, 8.1]])
    assert near(centre + moved, centre[None], GRID).tolist() == [True, False]


def test_nothing_to_look_at() -> None:
    assert windows(np.empty((0, 3)), GRID, most=1000) == []
    assert near(np.zeros((2, 3)), np.empty((0, 3)), GRID).tolist() == [False, False]


def test_a_model_that_was_calibrated_for_it_says_how() -> None:
    assert SecondLook.of({"second_look": {"orientations": 4, "least": 0.2}}) == SecondLook(4, 0.2)
    assert SecondLook.of({"looks": {AGAIN: {}}}) is None


def test_how_much_a_cube_is_expected_to_take() -> None:
    large = TileGrid.cover((6668, 5851, 5851), (512, 256, 256), halo=(96, 32, 32), step=STEP)
    part = TileGrid.cover((6668, 414, 414), (512, 256, 256), halo=(96, 32, 32), step=STEP)
    ratio = expected_pixels(large) / expected_pixels(part)
    assert ratio == pytest.approx(5851**2 / 414**2, rel=1e-6)
    assert 0.1 < expected_pixels(part) / math.prod(part.shape) < 1.0
    small = TileGrid.cover((16, 8, 8), (16, 8, 8), halo=(96, 32, 32), step=STEP)
    assert expected_pixels(small) < 1.0

"""Tiles: each pixel has one owner, and is read with its halo on the network's grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skadetect.errors import ConfigError
from skadetect.tiling import TileGrid

corners = st.tuples(st.integers(1, 4), st.integers(1, 50), st.integers(1, 50))
small = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))
halos = st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(0, 20))


@given(corners, corners, halos, small)
@settings(max_examples=60, deadline=None)
def test_every_pixel_has_one_owner(shape, tile_shape, halo, step) -> None:  # type: ignore[no-untyped-def]
    grid = TileGrid.cover(shape, tile_shape, halo=halo, step=step)
    owners = np.full(shape, -1)
    for tile in grid:
        part = tuple(slice(a, b) for a, b in zip(tile.own_lo, tile.own_hi, strict=True))
        assert (owners[part] == -1).all()
        owners[part] = tile.index
    assert (owners >= 0).all()
    position = np.argwhere(np.ones(shape, bool)).astype(float)
    position += np.random.default_rng(0).uniform(-0.5, 0.49, position.shape)
    np.testing.assert_array_equal(grid.owner(position), owners.ravel())


@given(corners, corners, halos, small)
@settings(max_examples=60, deadline=None)
def test_reads_are_wide_enough_and_on_the_grid(shape, tile_shape, halo, step) -> None:  # type: ignore[no-untyped-def]
    for tile in TileGrid.cover(shape, tile_shape, halo=halo, step=step):
        for axis in range(3):
            assert 0 <= tile.read_lo[axis] <= max(tile.own_lo[axis] - halo[axis], 0)
            assert tile.read_hi[axis] >= min(tile.own_hi[axis] + halo[axis], shape[axis])
            assert tile.read_hi[axis] < shape[axis] + step[axis]
            assert tile.read_lo[axis] % step[axis] == 0
            assert tile.read_shape[axis] % step[axis] == 0
            assert tile.own_lo[axis] % step[axis] == 0
            # and no wider than the grid asks
            assert tile.own_lo[axis] - tile.read_lo[axis] < halo[axis] + step[axis]
            assert tile.read_hi[axis] - tile.own_hi[axis] < halo[axis] + step[axis]


def test_by_hand() -> None:
    grid = TileGrid.cover((1, 160, 174), (1, 60, 64), halo=(0, 20, 20), step=(1, 8, 8))
    assert grid.tile_shape == (1, 64, 64)
    assert grid.counts == (1, 3, 3)
    assert len(grid) == 9
    last = grid[8]
    assert (last.own_lo, last.own_hi) == ((0, 128, 128), (1, 160, 174))
    assert (last.read_lo, last.read_hi) == ((0, 104, 104), (1, 160, 176))
    assert [tile.index for tile in grid] == list(range(9))
    assert grid[7:] == [grid[7], grid[8]]


@given(corners, corners, halos, small)
@settings(max_examples=40, deadline=None)
def test_the_most_that_a_tile_reads(shape, tile_shape, halo, step) -> None:  # type: ignore[no-untyped-def]
    grid = TileGrid.cover(shape, tile_shape, halo=halo, step=step)
    assert grid.most_read == max(math.prod(tile.read_shape) for tile in grid)


def test_a_tile_is_not_larger_than_the_image() -> None:
    grid = TileGrid.cover((1, 100, 30), (1, 512, 512), halo=(0, 0, 0), step=(1, 8, 8))
    assert grid.tile_shape == (1, 104, 32)
    assert len(grid) == 1


def test_positions_outside_go_to_the_nearest_tile() -> None:
    grid = TileGrid.cover((1, 20, 20), (1, 10, 10), halo=(0, 2, 2), step=(1, 1, 1))
    positions = np.array([[-5.0, 3.0], [25.0, 25.0], [9.49, 9.5], [-0.5, 19.5]])
    assert grid.owner(positions).tolist() == [0, 3, 1, 1]


def test_an_index_beyond_the_grid() -> None:
    grid = TileGrid.cover((1, 20, 20), (1, 10, 10), halo=(0, 2, 2), step=(1, 1, 1))
    with pytest.raises(IndexError):
        grid[4]


@pytest.mark.parametrize("wrong", [{"halo": (0, -1, 0)}, {"step": (0, 1, 1)}])
def test_nonsense_is_refused(wrong: dict[str, tuple[int, int, int]]) -> None:
    with pytest.raises(ConfigError):
        TileGrid.cover((1, 9, 9), (1, 3, 3), **{"halo": (0, 1, 1), "step": (1, 1, 1), **wrong})

"""Memory is used again, never while anyone still sees it."""

from __future__ import annotations

import numpy as np

from skadetect import arena

SHAPE = (3, 200, 300)


def test_memory_comes_back_when_the_last_view_is_gone():
    pool = arena.Arena()
    array = pool.empty(SHAPE)
    assert array.shape == SHAPE
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert array.flags.writeable
    address, view = array.ctypes.data, array.reshape(-1)[5:]
    del array
    other = pool.empty(SHAPE)
    assert other.ctypes.data != address
    view[:] = 1.0
    del view
    assert pool.empty(SHAPE).ctypes.data == address


def test_two_live_arrays_do_not_share_memory():
    pool = arena.Arena()
    first, second = pool.empty(SHAPE), pool.empty(SHAPE)
    first[:], second[:] = 1.0, 2.0
    assert (first == 1.0).all()


def test_little_memory_waits_outside_of_a_run(monkeypatch):
    monkeypatch.setattr(arena, "LARGEST_REST", 4 * int(np.prod(SHAPE)) + 4 * arena.PAGE)
    pool = arena.Arena()
    arrays = [pool.empty(SHAPE) for _ in range(4)]
    del arrays
    assert len(pool._regions) == 1
    with pool.run():
        arrays = [pool.empty(SHAPE) for _ in range(4)]
        del arrays
        assert len(pool._regions) == 4
    assert pool.resting == 0 and not pool._regions


def test_an_array_lies_in_the_hole_of_a_larger_one():
    pool = arena.Arena()
    large = pool.empty((4, 200, 300))
    address, nbytes = large.ctypes.data, large.nbytes
    del large
    parts = [pool.empty((2, 200, 300)) for _ in range(2)]
    assert sorted(part.ctypes.data - address for part in parts)[0] == 0
    assert all(part.ctypes.data - address < nbytes for part in parts)
    parts.clear()
    assert pool.empty((4, 200, 300)).ctypes.data == address


def test_a_slightly_larger_array_lies_where_one_was():
    pool = arena.Arena()
    address = pool.empty(SHAPE).ctypes.data
    assert pool.empty((3, 200, 301)).ctypes.data == address


def test_tiles_alike_take_their_memory_once():
    """The arrays of a network: some live to its end, slabs come and go, layers follow one another."""
    pool = arena.Arena()
    regions = []
    for height in (400, 401, 400):
        pixels, s = pool.empty((2, height, 300)), pool.empty((2, height, 300))
        before = pool.empty((6, height, 300))
        for _ in range(3):
            slab = pool.empty((400, 300))
            del slab
        for depth in (6, 2, 2, 1):
            after = pool.empty((depth, height, 300))
            before = after
        del pixels, s, before, after
        regions.append([id(region) for region in pool._regions])
    assert regions[0] == regions[2]


def test_what_is_out_and_what_waits_is_hardly_more_than_was_out_together():
    pool, rng = arena.Arena(), np.random.default_rng(0)
    alive, most = [], 0
    for _ in range(200):
        if alive and rng.random() < 0.5:
            alive.pop(rng.integers(len(alive)))
        else:
            alive.append(pool.empty((int(rng.integers(70_000, 900_000)),)))
        most = max(most, pool._out)
        assert pool._out + pool.resting <= most + arena.SPARE or not any(r.idle for r in pool._regions)
    alive.clear()
    assert pool._out == 0
    pool.release()
    assert pool.resting == 0

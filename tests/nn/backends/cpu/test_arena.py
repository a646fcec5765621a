"""Memory is used again, never while anyone still sees it."""

from __future__ import annotations

import numpy as np

from skadetect.nn.backends.cpu import arena

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


def test_little_memory_waits(monkeypatch):
    monkeypatch.setattr(arena, "LARGEST_REST", 4 * int(np.prod(SHAPE)))
    pool = arena.Arena()
    arrays = [pool.empty(SHAPE) for _ in range(4)]
    del arrays
    assert len(pool._free) == 1


def test_what_is_out_and_what_waits_is_never_more_than_was_out_together():
    pool, rng = arena.Arena(), np.random.default_rng(0)
    alive, most = [], 0
    for _ in range(200):
        if alive and rng.random() < 0.5:
            alive.pop(rng.integers(len(alive)))
        else:
            alive.append(pool.empty((int(rng.integers(70_000, 900_000)),)))
        most = max(most, pool._out)
        assert pool._out + pool.resting <= most
    alive.clear()
    assert pool._out == 0
    pool.release()
    assert pool.resting == 0

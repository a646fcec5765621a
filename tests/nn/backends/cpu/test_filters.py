"""What is made of filters is kept for those that cannot change, and only as long as they live."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import cpu
from skadetect.nn.backends.cpu.filters import FilterCache, pack, padded
from skadetect.nn.backends.cpu.tile import LANES, WIDTH


def test_only_read_only_arrays_are_kept():
    cache, made = FilterCache(), []

    def make(array):
        made.append(array)
        return array + 1

    fixed, free = np.zeros(3, np.float32), np.zeros(3, np.float32)
    fixed.flags.writeable = False
    assert cache.get(fixed, "a", make) is cache.get(fixed, "a", make)
    assert len(made) == 1
    cache.get(fixed, "b", make)
    cache.get(free, "a", make)
    free += 1
    np.testing.assert_array_equal(cache.get(free, "a", make), 2)
    assert len(made) == 4
    del fixed
    assert not cache._kept


@pytest.mark.parametrize("paired", [False, True])
def test_panels_hold_the_columns_in_order_and_zeros_behind_them(paired):
    matrices = np.random.default_rng(0).standard_normal((2, 6, WIDTH + 3), dtype=np.float32)
    panels = pack(matrices, paired=paired)
    assert panels.shape == (2, 2, 6, WIDTH)
    np.testing.assert_array_equal(panels[:, 0], matrices[:, :, :WIDTH])
    narrow = panels[:, 1].reshape(2, -1, LANES)[:, :6]
    if paired:
        narrow = narrow.reshape(2, 3, LANES, 2).swapaxes(2, 3).reshape(2, 6, LANES)
    np.testing.assert_array_equal(narrow[:, :, :3], matrices[:, :, WIDTH:])
    assert not narrow[:, :, 3:].any()
    assert padded(np.ones(3, np.float32), 3).sum() == 3


@pytest.mark.parametrize("features", [4, 64])
def test_filters_changed_in_place_are_seen(features):
    x = np.ones((1, 1, 48, 48, features), np.float32)
    filters = np.ones((1, 3, 3, features, features), np.float32)
    places = {"stride": (1, 1, 1), "padding": (0, 1, 1)}
    before = cpu.conv_forward(x, filters, None, **places)
    filters *= 2
    np.testing.assert_allclose(cpu.conv_forward(x, filters, None, **places), 2 * before, rtol=1e-5)

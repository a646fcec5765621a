from __future__ import annotations

import numba
import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.backends.cpu import winograd_z

SHAPES = [(1, 16, 8, 8), (2, 9, 5, 7), (1, 4, 3, 50), (1, 3, 4, 4)]


def arrays(shape, extent, inputs=15, outputs=20):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((*shape, inputs), dtype=np.float32)
    filters = rng.standard_normal((extent, 1, 1, inputs, outputs), dtype=np.float32) / 8
    return x, filters, rng.standard_normal(outputs, dtype=np.float32)


@pytest.mark.parametrize("extent", [3, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_equals_the_direct_sum(shape, extent):
    x, filters, bias = arrays(shape, extent)
    residual = np.random.default_rng(2).standard_normal((*shape, 20), dtype=np.float32)
    places = {"stride": (1, 1, 1), "padding": (extent // 2, 0, 0)}
    wanted = reference.conv_forward(x, filters, bias, **places, slope=0.1, residual=residual)
    found = winograd_z.conv_winograd_z(x, filters, bias, slope=0.1, residual=residual)
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())
    plain = winograd_z.conv_winograd_z(x, filters, bias)
    linear = reference.conv_forward(x, filters, bias, **places)
    np.testing.assert_allclose(plain, linear, atol=2e-5 * np.abs(linear).max())


@pytest.mark.parametrize("extent", [3, 5])
def test_neither_blocks_nor_threads_nor_neighbours_change_a_pixel(extent, monkeypatch):
    x, filters, bias = arrays((1, 8, 9, 30), extent)
    whole = winograd_z.conv_winograd_z(x, filters, bias)
    part = winograd_z.conv_winograd_z(np.ascontiguousarray(x[:, :, 3:, 5:]), filters, bias)
    np.testing.assert_array_equal(part, whole[:, :, 3:, 5:])
    monkeypatch.setattr(winograd_z, "BLOCK_BYTES", 1)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    np.testing.assert_array_equal(winograd_z.conv_winograd_z(x, filters, bias), whole)
    numba.set_num_threads(before)


def test_slabs_of_a_cube_see_what_the_whole_shows():
    x, filters, bias = arrays((1, 24, 4, 5), 5)
    whole = winograd_z.conv_winograd_z(x, filters, bias)
    part = winograd_z.conv_winograd_z(np.ascontiguousarray(x[:, 3:19]), filters, bias)
    np.testing.assert_allclose(part[:, 2:-2], whole[:, 5:17], atol=1e-5)

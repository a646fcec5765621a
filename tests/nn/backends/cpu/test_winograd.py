from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.backends.cpu import winograd

SHAPES = [((1, 1, 48, 48), 1), ((2, 3, 21, 18), 1), ((1, 5, 22, 23), 3), ((3, 2, 4, 97), 1)]


def arrays(shape, depth, inputs=16, outputs=20):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((*shape, inputs), dtype=np.float32)
    filters = rng.standard_normal((depth, 3, 3, inputs, outputs), dtype=np.float32) / 12
    return x, filters, rng.standard_normal(outputs, dtype=np.float32)


@pytest.mark.parametrize(("shape", "depth"), SHAPES)
def test_it_equals_the_direct_sum(shape, depth):
    x, filters, bias = arrays(shape, depth)
    residual = np.random.default_rng(2).standard_normal((*shape, 20), dtype=np.float32)
    places = {"stride": (1, 1, 1), "padding": (depth // 2, 1, 1)}
    wanted = reference.conv_forward(x, filters, bias, **places, slope=0.1, residual=residual)
    found = winograd.conv_winograd(x, filters, bias, slope=0.1, residual=residual)
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())
    plain = winograd.conv_winograd(x, filters, bias)
    linear = reference.conv_forward(x, filters, bias, **places)
    np.testing.assert_allclose(plain, linear, atol=2e-5 * np.abs(linear).max())


def test_blocks_smaller_than_a_row_and_larger_than_a_plane_agree(monkeypatch):
    x, filters, bias = arrays((2, 2, 9, 150), 1)
    whole = winograd.conv_winograd(x, filters, bias)
    monkeypatch.setattr(winograd, "BLOCK_BYTES", 1)
    np.testing.assert_allclose(winograd.conv_winograd(x, filters, bias), whole, atol=1e-4)


def test_tiles_of_an_image_see_what_the_whole_shows():
    x, filters, bias = arrays((1, 1, 64, 64), 1)
    whole = winograd.conv_winograd(x, filters, bias)
    part = winograd.conv_winograd(np.ascontiguousarray(x[:, :, :40, :40]), filters, bias)
    np.testing.assert_allclose(part[:, :, :39, :39], whole[:, :, :39, :39], atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("total", [1, 13, 1024, 4099])
def test_blocks_share_all_tiles_evenly_among_threads(total, threads, monkeypatch):
    monkeypatch.setattr(winograd.nb, "get_num_threads", lambda: threads)
    blocks, _ = winograd._blocks(32, 32, 1, total)
    ends = [winograd._ends(block, blocks, total) for block in range(blocks)]
    assert [first for first, _ in ends] + [total] == [0] + [last for _, last in ends]
    sizes = [last - first for first, last in ends]
    assert blocks % threads == 0
    assert max(sizes) - min(sizes) <= 2 * winograd.ROWS

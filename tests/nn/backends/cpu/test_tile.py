"""Tiles of any width, of an odd or even number of values, sum what they should, each row alike."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends.cpu import direct
from skadetect.nn.backends.cpu.tile_code import HALF, LANES, ROWS, WIDTH

WIDTHS = [1, HALF - 1, HALF, HALF + 1, LANES, LANES + 1, LANES + HALF, LANES + HALF + 1, WIDTH, WIDTH + LANES]
PLACES = {"stride": (1, 1, 1), "padding": (0, 0, 0)}


@pytest.mark.parametrize("inputs", [1, 2, 7, 10, 12])
@pytest.mark.parametrize("outputs", WIDTHS)
def test_sums_are_those_of_double_precision(inputs, outputs):
    rng = np.random.default_rng(inputs)
    x = rng.standard_normal((1, 1, 2, 2 * ROWS + 3, inputs), dtype=np.float32)
    filters = rng.standard_normal((1, 2, 1, inputs, outputs), dtype=np.float32)
    bias = rng.standard_normal(outputs, dtype=np.float32)
    residual = rng.standard_normal((1, 1, 1, 2 * ROWS + 3, outputs), dtype=np.float32)
    found = direct.conv_direct(x, filters, bias, **PLACES, slope=0.1, residual=residual)
    sums = np.einsum("yxi,yio->xo", x[0, 0].astype(float), filters[0, :, 0].astype(float)) + bias
    np.testing.assert_allclose(found[0, 0, 0], np.maximum(sums, 0.1 * sums) + residual[0, 0, 0], atol=1e-5)


@pytest.mark.parametrize("inputs", [7, 12])
@pytest.mark.parametrize("outputs", WIDTHS)
def test_a_pixel_is_the_same_in_any_row_of_a_tile(inputs, outputs):
    rng = np.random.default_rng(outputs)
    x = np.tile(rng.standard_normal((1, 1, 1, 1, inputs), dtype=np.float32), (1, 1, 1, 2 * ROWS - 1, 1))
    filters = rng.standard_normal((1, 1, 1, inputs, outputs), dtype=np.float32)
    found = direct.conv_direct(x, filters, None, **PLACES)[0, 0, 0]
    np.testing.assert_array_equal(found, np.broadcast_to(found[0], found.shape))

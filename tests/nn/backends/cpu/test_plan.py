"""What the plan chooses: Winograd where it can and saves, the direct sum elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.backends.cpu import direct, winograd, winograd_z
from skadetect.nn.backends.cpu.plan import choose, choose_gradient

UNIT, SAME = (1, 1, 1), (0, 1, 1)


def test_many_features_go_to_winograd_and_few_are_summed_directly():
    assert choose((1, 1, 64, 64, 128), (1, 3, 3, 128, 128), UNIT, SAME).algorithm == "winograd"
    assert choose((1, 1, 512, 512, 1), (1, 3, 3, 1, 32), UNIT, SAME).algorithm == "direct"


@pytest.mark.parametrize(
    ("filters", "stride", "padding"),
    [
        ((1, 3, 3, 64, 64), (1, 2, 2), (0, 1, 1)),
        ((1, 3, 3, 64, 64), (1, 1, 1), (0, 0, 0)),
        ((1, 5, 5, 64, 64), (1, 1, 1), (0, 2, 2)),
        ((2, 3, 3, 64, 64), (1, 1, 1), (1, 1, 1)),
        ((3, 1, 1, 64, 64), (2, 1, 1), (1, 0, 0)),
        ((5, 1, 1, 64, 64), (1, 1, 1), (0, 0, 0)),
        ((7, 1, 1, 64, 64), (1, 1, 1), (3, 0, 0)),
    ],
)
def test_what_winograd_cannot_do_is_summed_directly(filters, stride, padding):
    choice = choose((1, 8, 64, 64, 64), filters, stride, padding)
    assert choice.algorithm == "direct"
    assert choice.winograd == float("inf")


@pytest.mark.parametrize("extent", [3, 5])
def test_filters_along_z_go_to_winograd_but_not_their_gradients(extent):
    case = (1, 16, 16, 16, 96), (extent, 1, 1, 96, 96), UNIT, (extent // 2, 0, 0)
    assert choose(*case).algorithm == "winograd_z"
    assert choose_gradient(*case).algorithm == "direct"


@pytest.mark.parametrize("features", [32, 64, 128])
def test_both_are_within_a_ten_thousandth_of_double_precision(features):
    """On activations as a network has them: rectified, and with a few sources far above the noise."""
    rng = np.random.default_rng(features)
    x = rng.standard_normal((1, 1, 24, 24, features), dtype=np.float32)
    x = np.maximum(x, 0.1 * x) * (1 + 30 * (rng.random((1, 1, 24, 24, 1)) < 0.01))
    filters = rng.standard_normal((1, 3, 3, features, features)) * np.sqrt(2 / 9 / features)
    x, filters = x.astype(np.float32), filters.astype(np.float32)
    bias = np.zeros(features, np.float32)
    wanted = reference.conv_forward(
        x.astype(float), filters.astype(float), None, stride=UNIT, padding=SAME, slope=0.1
    )
    scale = np.sqrt(np.mean(wanted**2))
    made = winograd.conv_winograd(x, filters, bias, slope=0.1)
    assert np.sqrt(np.mean((made - wanted) ** 2)) / scale < 1e-5
    assert np.abs(made - wanted).max() / np.abs(wanted).max() < 1e-4
    made = direct.conv_direct(x, filters, bias, stride=UNIT, padding=SAME, slope=0.1)
    assert np.abs(made - wanted).max() / np.abs(wanted).max() < 1e-5


@pytest.mark.parametrize("features", [24, 48, 96])
@pytest.mark.parametrize("extent", [3, 5])
def test_winograd_along_z_is_within_a_hundred_thousandth_of_double_precision(features, extent):
    rng = np.random.default_rng(features)
    x = rng.standard_normal((1, 16, 12, 12, features), dtype=np.float32)
    x = np.maximum(x, 0.1 * x) * (1 + 30 * (rng.random((1, 16, 12, 12, 1)) < 0.01))
    filters = rng.standard_normal((extent, 1, 1, features, features)) * np.sqrt(2 / extent / features)
    x, filters = x.astype(np.float32), filters.astype(np.float32)
    places = {"stride": UNIT, "padding": (extent // 2, 0, 0)}
    wanted = reference.conv_forward(x.astype(float), filters.astype(float), None, **places, slope=0.1)
    made = winograd_z.conv_winograd_z(x, filters, np.zeros(features, np.float32), slope=0.1)
    assert np.abs(made - wanted).max() / np.abs(wanted).max() < 1e-5
    assert np.sqrt(np.mean((made - wanted) ** 2) / np.mean(wanted**2)) < 1e-5

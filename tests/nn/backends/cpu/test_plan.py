"""What the plan chooses: Winograd where it can and saves, the direct sum elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.backends.cpu import direct, winograd
from skadetect.nn.backends.cpu.plan import choose

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
        ((3, 1, 1, 64, 64), (1, 1, 1), (1, 0, 0)),
    ],
)
def test_what_winograd_cannot_do_is_summed_directly(filters, stride, padding):
    choice = choose((1, 8, 64, 64, 64), filters, stride, padding)
    assert choice.algorithm == "direct"
    assert choice.winograd == float("inf")


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

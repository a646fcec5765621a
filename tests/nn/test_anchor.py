"""Anchors of cells."""

from __future__ import annotations

import numpy as np

from skadetect.nn.anchor import anchor_map, anchor_maps
from skadetect.nn.backends import cpu, reference


def test_equals_the_plain_definition() -> None:
    s = np.random.default_rng(0).normal(0.0, 3.0, (1, 12, 20)).astype(np.float32)
    found = anchor_map(s, (1, 4, 4))
    wide = np.pad(s[0], 1, constant_values=-np.inf)
    for y in range(3):
        for x in range(5):
            assert found[0, y, x] == max(1.0, wide[4 * y : 4 * y + 6, 4 * x : 4 * x + 6].max())


def test_scales_with_bright_sources() -> None:
    s = np.zeros((1, 8, 8), np.float32)
    s[0, 2, 2] = 50.0
    np.testing.assert_allclose(anchor_map(10 * s, (1, 4, 4))[0, 0, 0], 10 * anchor_map(s, (1, 4, 4))[0, 0, 0])
    assert anchor_map(-s, (1, 4, 4)).min() == 1.0


def test_maps_of_a_batch_are_those_of_its_samples() -> None:
    s = np.random.default_rng(1).normal(0.0, 3.0, (3, 8, 12, 20)).astype(np.float32)
    for backend in (cpu, reference):
        found = anchor_maps(s, (4, 4, 2), backend)
        assert found.shape == (3, 2, 3, 10)
        np.testing.assert_array_equal(found, [anchor_map(one, (4, 4, 2)) for one in s])

"""A mesh read around some pixels gives there what a whole window does."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.background_mesh import Background

WINDOW = (1, 4, -3), (4, 41, 37)


@pytest.mark.parametrize("cells", [(1, 1), (2, 5), (7, 4)])
@pytest.mark.parametrize("reach", [0, 2])
def test_around_pixels_it_equals_the_window(cells, reach):
    rng = np.random.default_rng(4)
    level, rms = rng.normal(size=(5, *cells)), rng.uniform(1.0, 2.0, size=(5, *cells))
    background = Background(level, rms, (5, 45, 40))
    size = np.subtract(WINDOW[1], WINDOW[0])
    positions = np.concatenate([rng.uniform(-0.5, size - 0.5, (30, 3)), [[-1, -9, 0], size + 5.0]])
    seen = np.zeros(size, bool)
    for position in positions:
        middle = np.clip(np.floor(position + 0.5).astype(int), 0, size - 1)
        seen[tuple(slice(max(m - reach, 0), m + reach + 1) for m in middle)] = True
    wanted, found = background.at(*WINDOW), background.near(*WINDOW, positions, reach=reach)
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_allclose(b[seen], a[seen], rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("cells", [(1, 1), (1, 4), (3, 2)])
def test_spectra_at_pixels_are_those_of_the_maps(cells):
    rng, shape = np.random.default_rng(6), (9, 40, 33)
    background = Background(*rng.uniform(1, 2, (2, shape[0], *cells)), shape)
    level, rms = background.at((0, 0, 0), shape)
    where, first = np.array([[0, 0], [39, 32], [17, 11], [30, 3]]), np.array([0, 5, -2, 8])
    seen = background.spectra(first, 4, where)
    planes = np.clip(first[:, None] + np.arange(4), 0, 8)
    for found, maps in zip(seen, (level, rms), strict=True):
        np.testing.assert_allclose(found, maps[planes, where[:, :1], where[:, 1:]], rtol=1e-6)

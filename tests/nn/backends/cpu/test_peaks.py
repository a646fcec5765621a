"""The largest pixel of each cell's window is the reference's, whatever the stride and the reach."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import cpu, reference


@pytest.mark.parametrize("stride", [(1, 4, 4), (8, 4, 4), (2, 3, 1)], ids=str)
@pytest.mark.parametrize("reach", [0, 1, 5])
def test_peaks_are_the_references(stride: tuple[int, int, int], reach: int) -> None:
    shape = [2, *(3 * step for step in stride)]
    s = np.random.default_rng(reach).standard_normal(shape).astype(np.float32)
    found = cpu.peaks(s, stride, reach=reach, least=0.5)
    np.testing.assert_array_equal(found, reference.peaks(s, stride, reach=reach, least=0.5))
    assert found.min() >= 0.5

"""Boxes farther apart than `reach_of` says never overlap by more than the limit, and some nearer ones do."""

import numpy as np
import pytest

from skadetect.errors import ConfigError
from skadetect.formulas import OVERLAPS
from skadetect.overlaps import MEASURES, measure_of, overlap_of, reach_of


def boxes(count: int, ndim: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Centres and sides."""
    return rng.uniform(-6, 6, (count, ndim)), np.exp(rng.normal(0.0, 0.7, (count, ndim)))


def corners(centre: np.ndarray, side: np.ndarray) -> np.ndarray:
    return np.stack([centre - side / 2, centre + side / 2])


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("limit", [-0.6, -0.2, 0.0, 0.3])
@pytest.mark.parametrize("name", sorted(OVERLAPS))
def test_beyond_the_reach_no_overlap_passes_the_limit(name, limit, ndim):
    if name == "iou" and limit < 0:
        pytest.skip("an IoU is never negative")
    rng, kind = np.random.default_rng(3), measure_of(name)
    reach = reach_of(kind, limit, ndim)
    centre, side = boxes(400, ndim, rng)
    far = 0
    for a, b in zip(range(0, 400, 2), range(1, 400, 2), strict=True):
        apart = np.abs(centre[a] - centre[b]).max()
        if apart > reach * max(side[a].max(), side[b].max()):
            far += 1
            assert overlap_of(kind, corners(centre[a], side[a]), corners(centre[b], side[b])) <= limit
    assert far or limit < 0


def test_a_box_lies_deep_in_one_around_it():
    outer, inner = np.array([[0.0, 0.0], [10.0, 10.0]]), np.array([[4.0, 4.0], [6.0, 6.0]])
    kind = measure_of("inner")
    assert overlap_of(kind, outer, inner) == 1.0
    assert overlap_of(kind, outer, inner + np.array([4.0, 0.0])) == pytest.approx(0.2)
    assert overlap_of(kind, outer, inner + np.array([6.0, 0.0])) < 0
    assert overlap_of(kind, np.zeros((2, 2)), inner) == -1.0


def test_an_unknown_measure_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match="'area'") as caught:
        measure_of("area")
    assert all(name in str(caught.value) for name in MEASURES)

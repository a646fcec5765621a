"""Islands against labels of the pixels of the same sources."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from skadetect.beams import PixelBeam
from skadetect.catalog.islands import islands
from skadetect.sky_model import SkyModel

BEAM = PixelBeam(4.0, 4.0, 0.0)


def random_sources(rng: np.random.Generator, n: int, side: float) -> dict[str, NDArray[np.float64]]:
    """Sources of 1 to 3 beams and 2 to 200 times the noise."""
    bmaj = 4.0 * rng.uniform(1.0, 3.0, n)
    return {
        "centre": rng.uniform(0.0, side, (n, 2)),
        "peak": 10 ** rng.uniform(0.3, 2.3, n),
        "bmaj": bmaj,
        "bmin": rng.uniform(4.0, bmaj),
        "theta": rng.uniform(-np.pi, np.pi, n),
    }


def islands_of(some: dict[str, NDArray[np.float64]]) -> NDArray[np.int64]:
    ellipse = some["bmaj"], some["bmin"], some["theta"]
    return islands(some["centre"], some["peak"], ellipse, np.ones(len(some["peak"])))


def labels_of(some: dict[str, NDArray[np.float64]], side: int) -> NDArray[np.int64]:
    """Which patch of pixels above three times the noise each centre lies in; 0 for none."""
    ellipse = some["bmaj"], some["bmin"], some["theta"]
    flux = some["peak"] * some["bmaj"] * some["bmin"] / (BEAM.bmaj * BEAM.bmin)
    model = SkyModel.of(some["centre"], flux, ellipse, beam=BEAM, noise=np.full(len(flux), 1e-3))
    pixels = np.zeros((side, side), np.float32)
    model.add_to(pixels, (0, 0))
    labels, _ = ndimage.label(pixels >= 3.0, np.ones((3, 3)))
    row, column = np.clip(np.rint(some["centre"]).astype(int), 0, side - 1).T
    return np.asarray(labels[row, column], np.int64)


def test_pairs_are_as_the_pixels_have_them() -> None:
    rng, agree = np.random.default_rng(1), 0
    for _ in range(300):
        pair = random_sources(rng, 2, 40.0)
        linked = islands_of(pair)[1] == 0
        first, second = labels_of(pair, 41)
        same = first == second != 0
        agree += linked == same
        assert same or not linked or min(pair["peak"]) < 3.5  # pixels are looked at beside the centres
    assert agree > 0.97 * 300


def test_crowds_are_as_the_pixels_have_them() -> None:
    rng = np.random.default_rng(2)
    many = random_sources(rng, 250, 800.0)
    label, first = labels_of(many, 801), islands_of(many)
    inside = label > 0
    pairs = label[inside, None] == label[inside]
    found = first[inside, None] == first[inside]
    off = ~np.eye(len(pairs), dtype=bool)
    assert pairs[off].sum() > 50
    assert (found == pairs)[off & pairs].mean() > 0.9  # three may hang together where no two do
    assert (found == pairs)[off & ~pairs].mean() > 0.9999


def test_a_chain_is_one_island_by_its_lowest_row() -> None:
    centre = np.array([[50.0, 10.0], [50.0, 24.0], [50.0, 17.0], [50.0, 90.0]])
    ellipse = np.full(4, 6.0), np.full(4, 6.0), np.zeros(4)
    peak = np.array([10.0, 8.0, 6.0, 5.0])
    np.testing.assert_array_equal(islands(centre, peak, ellipse, np.ones(4)), [0, 0, 0, 3])
    # above a higher level they stand apart
    np.testing.assert_array_equal(islands(centre, peak, ellipse, np.ones(4), level=8.0), [0, 1, 2, 3])


@pytest.mark.parametrize("seed", range(3))
def test_order_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    many = random_sources(rng, 300, 400.0)
    first = islands_of(many)
    assert len(np.unique(first)) < 250 and (first <= np.arange(300)).all()
    np.testing.assert_array_equal(first[first], first)
    order = rng.permutation(300)
    again = islands_of({name: each[order] for name, each in many.items()})
    np.testing.assert_array_equal(first[order][:, None] == first[order], again[:, None] == again)


def test_what_has_no_peak_or_no_shape_stands_alone() -> None:
    centre, ones = np.zeros((5, 2)), np.ones(5)
    peak = np.array([9.0, -1.0, 9.0, np.nan, 9.0])
    bmaj = np.array([4.0, 4.0, np.nan, 4.0, 4.0])
    first = islands(centre, peak, (bmaj, 4.0 * ones, 0.0 * ones), ones)
    np.testing.assert_array_equal(first, [0, 1, 2, 3, 0])
    assert len(islands(np.empty((0, 2)), np.empty(0), (np.empty(0),) * 3, np.empty(0))) == 0

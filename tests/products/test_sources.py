"""Windows hold what they should, neighbours are found, and reads are shared where that is cheaper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skadetect.products.options import ProductOptions
from skadetect.products.sources import Source, find_sources, in_groups, neighbours
from tests.products.toy import DISC, disc_catalog, disc_cube

corner = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
extent = st.tuples(st.integers(1, 15), st.integers(1, 15), st.integers(1, 15))


def source(number, lo, shape):
    return Source({"id": number}, lo, 1.0, 1.0, 0.0, 1.0, lo, tuple(np.add(lo, shape).tolist()))


sources = st.lists(st.tuples(corner, extent), max_size=25).map(
    lambda boxes: [source(number, *box) for number, box in enumerate(boxes, start=1)]
)


@settings(max_examples=50, deadline=None)
@given(sources)
def test_groups_hold_every_window_and_read_no_more_than_each_alone(sources):
    groups = in_groups([(each, ()) for each in sources])
    found = [each for group in groups for each, _ in group.sources]
    assert sorted(each.number for each in found) == [each.number for each in sources]
    assert [group.lo for group in groups] == sorted(group.lo for group in groups)
    for group in groups:
        inside = [np.array(group.lo) <= each.lo for each, _ in group.sources]
        inside += [np.array(group.hi) >= each.hi for each, _ in group.sources]
        assert np.all(inside)
    read = sum(np.prod(np.subtract(group.hi, group.lo)) for group in groups)
    assert read <= sum(each.voxels for each in sources)


@settings(max_examples=50, deadline=None)
@given(sources)
def test_neighbours_are_those_whose_windows_overlap(sources):
    for each, near in zip(sources, neighbours(sources), strict=True):
        expected = [
            other
            for other in sources
            if other is not each and np.all(np.less(other.lo, each.hi)) and np.all(np.less(each.lo, other.hi))
        ]
        assert list(near) == expected


def test_a_window_holds_the_disc_the_line_and_the_box():
    image = disc_cube({})
    options = ProductOptions(margin=1.0, margin_channels=3)
    catalog = disc_catalog(image, {})
    (found,) = find_sources(catalog, image, options)
    assert found.depth == pytest.approx(DISC["depth"]) and found.theta == pytest.approx(
        DISC["theta"], abs=1e-3
    )
    beam = image.pixel_beam.bmaj
    assert (
        found.lo[0] <= DISC["z"] - DISC["depth"] / 2 - 3 and found.hi[0] > DISC["z"] + DISC["depth"] / 2 + 3
    )
    reach = DISC["size"] / 2 * np.cos(DISC["theta"]) + beam
    assert found.lo[2] <= DISC["x"] - reach and found.hi[2] > DISC["x"] + reach
    across, along = found.offsets()
    y, x = int(DISC["y"]) - found.lo[1], int(DISC["x"]) - found.lo[2]
    assert across[y, x] == pytest.approx(0.0) and along.min() == pytest.approx(0.0)
    catalog.table["x_max"] = 49.0
    (wider,) = find_sources(catalog, image, options)
    assert wider.hi[2] == image.shape[2] and wider.lo[1:2] == found.lo[1:2]


def test_unknown_sizes_are_the_beam_and_lost_positions_are_left_out():
    image = disc_cube({})
    catalog = disc_catalog(image, {}, {})
    catalog.table["w20"] = catalog.table["ell_maj"] = catalog.table["ell_min"] = np.nan
    catalog.table["ell_pa"] = np.nan
    catalog.table["z"][0] = np.nan
    (found,) = find_sources(catalog, image, ProductOptions())
    assert found.number == 2 and found.major == image.pixel_beam.bmaj and found.depth == 1.0

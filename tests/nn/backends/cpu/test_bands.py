"""How direct convolutions are cut."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skadetect.nn.backends.cpu import bands


@given(
    extent=st.integers(1, 7),
    step=st.integers(1, 3),
    before=st.integers(0, 4),
    size=st.integers(1, 30),
    outputs=st.integers(1, 20),
)
def test_neighbours_that_see_the_same_taps_are_one_group(extent, step, before, size, outputs):
    places = np.arange(outputs)[:, None] * step - before + np.arange(extent)
    seen = (places >= 0) & (places < size)
    first = 0
    while first < outputs:
        stop, low, high = bands.alike.py_func(0, first, outputs, step, before, extent, size, False)
        assert first < stop <= outputs
        taps = (np.arange(extent) >= low) & (np.arange(extent) < high)
        assert (seen[first:stop] == taps).all()
        first = stop
    assert bands.alike.py_func(0, 0, outputs, step, before, extent, size, True) == (outputs, 0, extent)
    taps = [
        taps for count, taps in bands._whole_groups(outputs, extent, step, before, size) for _ in range(count)
    ]
    np.testing.assert_array_equal(taps, seen.sum(axis=1))


@given(
    count=st.integers(1, 60),
    pieces=st.integers(1, 60),
    times=st.integers(1, 7),
    threads=st.integers(1, 5),
    costs=st.tuples(st.integers(1, 9), st.integers(0, 3)),
)
def test_the_longest_share_is_that_of_the_pieces_one_by_one(count, pieces, times, threads, costs):
    small, more = costs
    pieces = min(pieces, count)
    ends = np.arange(pieces + 1) * count // pieces
    units = np.tile(np.where(np.diff(ends) > count // pieces, small + more, small), times)
    shares = np.split(units, len(units) * np.arange(1, threads) // threads)
    expected = units.sum() / threads if times % threads == 0 else max(part.sum() for part in shares)
    found = bands._longest.py_func(count, pieces, times, threads, float(small), float(small + more))
    assert found == expected


@given(
    y=st.integers(1, 70),
    x=st.integers(1, 900),
    features=st.integers(1, 80),
    outputs=st.integers(1, 200),
    threads=st.integers(1, 9),
)
def test_bands_hold_all_lines_and_panels_all_outputs(y, x, features, outputs, threads):
    sizes = (1, y, x, features, 1, y, x, outputs, 1, 3, 3, 1, 1, 1, 0, 1, 1)
    g = bands.Geometry(*sizes, y * x * outputs, y * x * outputs, x * outputs, outputs)
    layout, room = bands.cut(2, g, threads)
    assert 1 <= layout.bands <= y
    assert 1 <= layout.segments <= -(-x // bands.ROWS)
    assert 1 <= layout.panels <= -(-outputs // bands.WIDTH)
    assert (room > 0) == layout.copied

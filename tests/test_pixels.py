"""Pixel sources: conversion of stored numbers, axis order, padding, and files that come and go."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path

import numpy as np
import pytest

from skadetect.pixels import (
    ArrayPixels,
    AxisOrder,
    FitsPixels,
    NoPixels,
    TemporaryFile,
    read_padded,
    read_rows,
)

PLANE = AxisOrder((None, 0, 1))


def fits_pixels(path: Path, stored: np.ndarray, **keywords: object) -> FitsPixels:
    path.write_bytes(b"\0" * 80 + stored.tobytes())
    order = keywords.pop("order", PLANE)
    return FitsPixels(path, 80, stored.dtype.str, stored.shape, order, **keywords)  # type: ignore[arg-type]


@pytest.mark.parametrize("axes", list(itertools.permutations(range(4), 3)))
def test_every_order_of_axes_gives_the_same_cube(axes: tuple[int, int, int]) -> None:
    cube = np.arange(24.0).reshape(2, 3, 4)
    spare = next(i for i in range(4) if i not in axes)
    array = np.moveaxis(cube[np.newaxis], (1, 2, 3, 0), (*axes, spare))
    order = AxisOrder(axes)
    assert order.shape(array.shape) == (2, 3, 4)
    np.testing.assert_array_equal(order.view(array), cube)


def test_big_endian_floats_become_native(tmp_path: Path) -> None:
    stored = np.arange(12, dtype=">f4").reshape(3, 4)
    window = fits_pixels(tmp_path / "a", stored).read((0, 1, 1), (1, 3, 4))
    assert window.dtype == np.float32
    assert window.dtype.isnative
    np.testing.assert_array_equal(window[0], stored[1:3, 1:4])


def test_integers_are_scaled_and_blank_is_nan(tmp_path: Path) -> None:
    stored = np.array([[0, 10, -1], [32767, -32768, 5]], ">i2")
    source = fits_pixels(tmp_path / "a", stored, bscale=0.5, bzero=3.0, blank=-1, scale=2.0)
    values = source.read((0, 0, 0), (1, 2, 3))[0]
    expected = (stored * 0.5 + 3.0) * 2.0
    expected[0, 2] = np.nan
    np.testing.assert_allclose(values, expected)


@pytest.mark.parametrize("dtype", [">f4", ">i2"])
def test_every_third_row_is_that_of_the_whole(tmp_path: Path, dtype: str) -> None:
    stored = np.arange(60).reshape(3, 5, 4).astype(dtype)
    order = AxisOrder((0, 1, 2))
    for source in (fits_pixels(tmp_path / "a", stored, order=order), ArrayPixels(stored, order)):
        rows = read_rows(source, (1, 1, 0), (3, 5, 3), 3)
        np.testing.assert_array_equal(rows, stored[1:3, 1:5:3, :3])


@pytest.mark.parametrize("dtype", [">f4", ">f8"])
def test_infinite_and_huge_values_are_blank(tmp_path: Path, dtype: str) -> None:
    stored = np.array([[np.inf, -np.inf, np.nan, 1.0]], dtype)
    if dtype == ">f8":
        stored[0, 0] = 1e300
    values = fits_pixels(tmp_path / "a", stored).read((0, 0, 0), (1, 1, 4))
    assert np.isnan(values[0, 0]).tolist() == [True, True, True, False]


def test_a_read_does_not_change_an_array() -> None:
    array = np.array([[np.inf, 2.0]], np.float32)
    source = ArrayPixels(array, PLANE)
    values = source.read((0, 0, 0), (1, 1, 2))
    values[:] = 7
    assert array.tolist() == [[np.inf, 2.0]]
    assert source.shape == (1, 1, 2)


@pytest.mark.parametrize("lo", [(0, -2, 1), (-1, 0, 0), (0, 9, 9), (0, 2, -5)])
@pytest.mark.parametrize("extent", [(1, 1, 1), (2, 3, 4), (1, 9, 9)])
def test_outside_is_blank_and_inside_is_the_image(
    lo: tuple[int, int, int], extent: tuple[int, int, int]
) -> None:
    array = np.arange(1.0, 13.0, dtype=np.float32).reshape(3, 4)
    hi = (lo[0] + extent[0], lo[1] + extent[1], lo[2] + extent[2])
    window = read_padded(ArrayPixels(array, PLANE), lo, hi)
    assert window.shape == extent
    for z, y, x in np.ndindex(*extent):
        place = (z + lo[0], y + lo[1], x + lo[2])
        inside = place[0] == 0 and 0 <= place[1] < 3 and 0 <= place[2] < 4
        expected = array[place[1], place[2]] if inside else np.nan
        np.testing.assert_equal(window[z, y, x], np.float32(expected))


def test_sources_travel_without_the_duty_to_remove(tmp_path: Path) -> None:
    path = tmp_path / "a"
    source = fits_pixels(path, np.ones((2, 2), ">f4"), temporary=TemporaryFile(path))
    copy = pickle.loads(pickle.dumps(source))
    assert copy.temporary is None
    assert copy.read((0, 0, 0), (1, 2, 2)).sum() == 4
    del copy
    assert path.exists()
    del source
    assert not path.exists()


def test_pixels_that_were_let_go_of_are_not_read() -> None:
    with pytest.raises(ValueError, match="let go of"):
        NoPixels((1, 4, 5)).read((0, 0, 0), (1, 2, 2))

"""Views of a cube on averaged pixels are the same in memory, on disk, and read anew."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from skadetect.image import Image, open_image
from skadetect.pixels import ArrayPixels, FitsPixels
from skadetect.resample import block_mean
from skadetect.views import ViewStore, averaged_view
from tests.fits_files import sky_header

COUNT = 4


@pytest.fixture
def image() -> Image:
    pixels = np.random.default_rng(0).normal(size=(7, 37, 50)).astype(np.float32)
    pixels[2:4, 5:9, 8:16] = np.nan
    header = sky_header(50, 37, CTYPE3="FREQ", CRVAL3=1.4e9, CDELT3=2e4, CRPIX3=1.0, CUNIT3="Hz")
    return open_image((pixels, header))


def _views(image: Image, store: ViewStore) -> list[Image]:
    views = [image]
    for level in range(1, COUNT):
        views.append(averaged_view(image, views[-1], level, store=store))
    return views


def _all(view: Image) -> np.ndarray:
    return view.read((0, 0, 0), view.shape)


@pytest.mark.parametrize("kind", [ArrayPixels, FitsPixels])
def test_views_are_block_means_wherever_they_are_kept(image: Image, tmp_path: Path, kind: type) -> None:
    store = ViewStore(1e9) if kind is ArrayPixels else ViewStore(0, tmp_path / "parts")
    read, kept = _views(image, ViewStore()), _views(image, store)
    assert [view.factor for view in read] == [1.0, 2.0, 4.0, 8.0]
    for level, (one, other) in enumerate(zip(read, kept, strict=True)):
        assert isinstance(other.pixels, kind if level else ArrayPixels)
        np.testing.assert_array_equal(_all(one), _all(other))
        expected = block_mean(image, 2**level) if level else image
        assert one.pixel_beam == expected.pixel_beam and one.shape == expected.shape
        inner = ((0, 0, 0), (2, 37 // 2**level, 50 // 2**level))  # without blanks and half blocks
        np.testing.assert_allclose(one.read(*inner), expected.read(*inner), rtol=1e-4, atol=1e-6)


def test_each_pixel_is_read_once(image: Image, tmp_path: Path) -> None:
    class Counting:
        voxels = 0
        shape = image.shape

        def read(self, lo, hi):
            Counting.voxels += int(np.prod(np.subtract(hi, lo)))
            return image.pixels.read(lo, hi)

    views = _views(replace(image, pixels=Counting()), ViewStore(0, tmp_path))
    for view in views[1:]:
        _all(view)
    assert Counting.voxels == np.prod(image.shape)


def test_a_finished_view_is_used_again_by_the_same_run_only(image: Image, tmp_path: Path) -> None:
    store = ViewStore(0, tmp_path, {"image": "a"})
    _views(image, store)
    files = sorted(tmp_path.iterdir())
    assert len(files) == COUNT - 1 and {path.suffix for path in files} == {".f32"}
    files[0].write_bytes(np.zeros(files[0].stat().st_size // 4, np.float32).tobytes())
    assert not _all(_views(image, store)[1]).any()
    expected = _all(_views(image, ViewStore())[1])
    np.testing.assert_array_equal(_all(_views(image, replace(store, key={"image": "b"}))[1]), expected)
    files[0].write_bytes(b"broken")
    np.testing.assert_array_equal(_all(_views(image, store)[1]), expected)


def test_a_disk_without_room_is_left_alone(image: Image, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4 * 4 * 7 * 10 * 13))
    store = ViewStore(0, tmp_path / "not" / "yet")
    shapes = [view.shape for view in _views(image, store)]
    assert [store.keeps(shape) for shape in shapes] == [False, False, True, True]
    assert [store.on_disk(shape) for shape in shapes] == [False, False, True, True]
    assert len(list((tmp_path / "not" / "yet").iterdir())) == 2


def test_a_disk_that_fails_is_done_without(image: Image, tmp_path: Path, caplog) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        views = _views(image, ViewStore(0, tmp_path / "file" / "below"))
    assert "cannot be written" in caplog.text
    np.testing.assert_array_equal(_all(views[2]), _all(_views(image, ViewStore())[2]))

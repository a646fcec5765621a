"""A plan says what detect will do, from the header alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import skadetect
from skadetect.errors import ConfigError, InputError
from skadetect.pixels import FitsPixels
from skadetect.plan import Rates, plan
from tests.fits_files import SDC2, sparse_sdc2

FIELD = Path(__file__).parents[1] / "examples" / "field" / "image.fits"
RATES = Rates(tile=1e-7, background=1e-8, averaging=1e-9, source=1e-5)


@pytest.fixture(scope="module")
def sparse(tmp_path_factory) -> Path:
    """A cube of the whole challenge's shape whose pixels take no place on the disk."""
    return sparse_sdc2(tmp_path_factory.mktemp("cube") / "sky_full_v2.fits")


@pytest.fixture
def no_pixels(monkeypatch):
    def read(*_):
        raise AssertionError("pixels of the file were read")

    monkeypatch.setattr(FitsPixels, "read", read)


def test_a_cube_of_full_size_is_planned_unread(sparse, no_pixels):
    assert sparse.stat().st_blocks * 512 < 1e6
    made = plan(sparse, rates=RATES)
    assert made.levels[0].shape == made.file_shape == SDC2
    assert made.memory <= made.max_memory == 2_000_000_000
    assert made.levels[0].read_voxels > math.prod(SDC2)
    smaller = plan(sparse, rates=RATES, max_memory="1500MB")
    assert smaller.memory <= 1.01 * 1_500_000_000
    assert smaller.levels[0].read_voxels >= made.levels[0].read_voxels


def test_time_follows_the_rates_and_the_disk(sparse):
    made = plan(sparse, rates=RATES, levels=0, disk="500MB")
    (level,) = made.levels
    assert level.tile_seconds == pytest.approx(1e-7 * level.read_voxels)
    assert level.background_seconds == pytest.approx(1e-8 * math.prod(SDC2))
    assert level.reading_seconds == pytest.approx(4 * (math.prod(SDC2) + level.read_voxels) / 5e8)
    # some thousand candidates, each with a window of a million voxels or two, looked at in several ways
    assert 0.3 < level.again_seconds / level.tile_seconds < 3.0
    assert sum(each.again_seconds for each in made.levels) == level.again_seconds
    assert made.seconds == pytest.approx(sum(each.seconds for each in made.levels) + made.catalog_seconds)


def test_tiles_are_those_of_the_run(monkeypatch):
    seen = []
    import skadetect.search as module

    options = {"max_memory": "500MB"}
    with monkeypatch.context() as patching:
        patching.setattr(module, "detect_tiles", lambda job, grid, *_, **__: seen.append(grid) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            skadetect.detect(FIELD, **options)
    level, *coarser = plan(FIELD, rates=RATES, **options).levels
    assert len(coarser) == skadetect.detect(FIELD, **options).meta["levels"] - 1 == 4
    assert level.n_tiles == len(seen[0])
    assert level.read_voxels == sum(math.prod(tile.read_shape) for tile in seen[0])


def test_a_trial_tells_the_speed(no_pixels):
    made = skadetect.plan(FIELD)
    assert 1e-9 < made.levels[0].tile_seconds / made.levels[0].read_voxels < 1e-4
    assert made.seconds > 0


def test_what_cannot_be_is_an_error(sparse):
    with pytest.raises(ConfigError, match="is too little"):
        plan(sparse, rates=RATES, max_memory="450MB")
    with pytest.raises(InputError, match="no such file"):
        plan("absent.fits", rates=RATES)

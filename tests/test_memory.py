"""Memory sizes and the choice of tiles."""

from __future__ import annotations

import math
import platform
import tracemalloc
from functools import partial

import numpy as np
import pytest

from skadetect import arena
from skadetect.beams import PixelBeam
from skadetect.errors import ConfigError
from skadetect.infer import candidates
from skadetect.memory import (
    FIXED_BYTES,
    GOOD_OVERHEAD,
    PIXEL_BYTES,
    PROCESS_BYTES,
    STAGED_BYTES,
    Crew,
    GpuRoom,
    choose_tile_shape,
    parse_memory,
    return_freed_memory,
    tile_bytes,
    trim,
)
from skadetect.nn.backends import cpu
from skadetect.nn.model import Model
from skadetect.tiling import TileGrid
from tests.nn.networks import cube_model, small_model


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2e9), ("512 MB", 5.12e8), ("1GiB", 2**30), ("1.5g", 1.5e9), ("1e9", 1e9), ("300000000", 3e8)],
)
def test_sizes(text: str, size: float) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "much", "2 furlongs", "-1GB", "GB", "1.2.3GB"])
def test_nonsense_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a number with a unit"):
        parse_memory(text)


SHAPES = [(1, 700, 900), (1, 16384, 16384), (300, 200, 200)]


def _overhead(tile: tuple[int, int, int], shape: tuple[int, int, int], model: Model) -> float:
    grid = TileGrid.cover(shape, tile, halo=model.halo, step=model.stride)
    return sum(math.prod(each.read_shape) for each in grid) / math.prod(shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tiles_fit_in_the_memory_and_more_of_it_means_less_read_twice(shape: tuple[int, int, int]) -> None:
    model = small_model() if shape[0] == 1 else cube_model()
    before = math.inf
    for size in (520, 600, 1000, 4000, 64000):
        tile = choose_tile_shape(f"{size}MB", Crew(), model, shape)
        grid = TileGrid.cover(shape, tile, halo=model.halo, step=model.stride)
        assert grid.tile_shape == tile
        if len(grid) < 2000:
            assert max(tile_bytes(each.read_shape, model) for each in grid) <= (size - 420) * 10**6
            overhead = _overhead(tile, shape, model)
            assert overhead <= max(before, GOOD_OVERHEAD) + 1e-9
            before = overhead
    assert before <= GOOD_OVERHEAD


def test_a_process_whose_network_is_on_a_gpu_holds_a_few_planes_of_each_tile() -> None:
    model, gpu = small_model(), GpuRoom(free=1e13, number=2, tiles=3)
    _, y, x = choose_tile_shape("600MB", Crew(), model, (1, 4000, 40000), gpu=gpu)
    planned = (600 - 420) * 10**6 - FIXED_BYTES
    assert 0.5 * planned < 3 * (PIXEL_BYTES + STAGED_BYTES) * y * x < planned


def test_a_long_halo_along_the_spectrum_means_tiles_that_are_long_there() -> None:
    model = cube_model()
    z, y, x = choose_tile_shape("700MB", Crew(), model, (4000, 4000, 4000))
    assert model.halo[0] > model.halo[1] == model.halo[2]
    assert z > y and z > x


def test_slabs_that_wait_beside_a_tile_are_planned_for() -> None:
    assert arena.SPARE <= FIXED_BYTES


def test_workers_share_the_memory() -> None:
    model, shape = small_model(), (1, 8000, 8000)
    alone, shared = (choose_tile_shape("4GB", Crew(workers), model, shape) for workers in (1, 8))
    assert math.prod(shared) <= math.prod(alone)


def test_threads_hold_once_what_each_process_has_to_hold() -> None:
    alone, threads, processes = (Crew(*each).share("4GB", held=1e9) for each in ((1,), (2,), (2, True)))
    assert threads == alone / 2
    assert processes == threads - PROCESS_BYTES - 0.5e9
    assert Crew(1, processes=True).n_processes == Crew(8).n_processes == 1


def test_too_little_is_said_with_what_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"100MB is too little for 4 workers, expected at least 2\.2GB"):
        choose_tile_shape("100MB", Crew(4, processes=True), small_model(), (1, 500, 500))


def test_memory_grows_with_the_tile_and_the_most_that_lives_together() -> None:
    model = small_model()
    assert tile_bytes((1, 256, 256), model) < tile_bytes((1, 512, 512), model)
    # by hand: 5 features, then 6/4 and 8/16: the most is alive while the first convolution runs
    pixels = 4096**2
    assert tile_bytes((1, 4096, 4096), model) - tile_bytes((1, 0, 0), model) == pixels * (8 + 4 * 6.5)


def test_the_network_takes_what_was_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    model, s = cube_model(), np.zeros((48, 160, 160), np.float32)
    run = partial(candidates, model, s, PixelBeam(3.0, 3.0, 0.0), backend=cpu)
    run()  # compiles
    monkeypatch.setattr(arena, "empty", arena.Arena().empty)  # memory kept from before would not be seen
    tracemalloc.start()
    run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    planned = tile_bytes(s.shape, model) - FIXED_BYTES - PIXEL_BYTES * s.size
    # Features are counted whole though they come in slabs, because the arena keeps memory for its next use.
    assert 0.5 * planned < peak < 1.1 * planned


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no such setting")
def test_glibc_takes_the_setting() -> None:
    assert return_freed_memory() and trim()

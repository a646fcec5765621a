"""Tiles of a cube: the same detections whatever the tiles, the workers and what was finished before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skadetect.background import estimate_background
from skadetect.detect_options import DetectOptions
from skadetect.detections import Detections
from skadetect.distribute import Pool
from skadetect.image import Image, open_image
from skadetect.infer import merge
from skadetect.job import MAPPED, MOST_WORKERS, ROUNDS, SLAB, Job, detect_tile, detect_tiles, plan, slabs
from skadetect.ledger import Ledger
from skadetect.memory import Crew
from skadetect.photometry import BLANK_VOXEL, SPATIAL_EDGE, SPECTRAL_EDGE
from skadetect.pixels import ArrayPixels, AxisOrder
from skadetect.resample import block_mean
from skadetect.tiling import Tile
from tests.fits_files import sky_header
from tests.nn.networks import cube_model

SHAPE = (90, 50, 62)
THRESHOLD = 0.4


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Noise with lines of some channels and a blank corner, in a file."""
    rng = np.random.default_rng(3)
    pixels = rng.normal(0.0, 1e-3, SHAPE).astype(np.float32)
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    for _ in range(12):
        centre = rng.uniform(0, SHAPE)
        line = np.exp(-(((z - centre[0]) / 8) ** 2) - ((y - centre[1]) ** 2 + (x - centre[2]) ** 2) / 5)
        pixels += rng.uniform(3e-3, 2e-2) * line.astype(np.float32)
    pixels[:30, :12, :12] = np.nan
    header = sky_header(SHAPE[2], SHAPE[1], CTYPE3="FREQ", CRVAL3=1.4e9, CDELT3=2e4, CRPIX3=1.0, CUNIT3="Hz")
    path = tmp_path_factory.mktemp("cube") / "cube.fits"
    fits.PrimaryHDU(pixels, header).writeto(path)
    return open_image(path)


@pytest.fixture(scope="module")
def job(image: Image) -> Job:
    return Job(image, estimate_background(image), cube_model().folded(), THRESHOLD, "cpu")


def _found(job: Job, **changes: object) -> Detections:
    options = DetectOptions(**changes)  # type: ignore[arg-type]
    grid, crew = plan(job, options)
    rows, seconds = detect_tiles(job, grid, Pool(), crew=crew)
    assert seconds > 0
    return _by_place(merge(rows, job.model))


def _by_place(rows: Detections) -> Detections:
    """Scores that are equal but for rounding may come in either order."""
    return rows.take(np.lexsort(np.round(rows.position, 2).T))


@pytest.fixture(scope="module")
def whole(job: Job) -> Detections:
    grid, _ = plan(job, DetectOptions(tile=200))
    assert len(grid) == 1
    return _found(job, tile=200)


@pytest.mark.parametrize("changes", [{"tile": 16}, {"tile": 40}, {"tile": 24, "workers": 2}], ids=str)
def test_neither_tiles_nor_workers_change_what_is_found(
    changes: dict[str, object], job: Job, whole: Detections
) -> None:
    found = _found(job, **changes)
    assert len(found) == len(whole) > 50
    np.testing.assert_allclose(found.position, whole.position, atol=1e-3)
    np.testing.assert_allclose(found.parameters, whole.parameters, atol=1e-3)
    for name in ("peak", "local_rms", "background", "flags"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))


def test_rows_are_measured_on_their_voxels_and_marked_by_their_boxes(image: Image, whole: Detections) -> None:
    pixels = image.read((0, 0, 0), SHAPE)
    place = np.rint(whole.position).astype(int)
    around = [tuple(slice(max(i - 1, 0), i + 2) for i in each) for each in place]
    highest = np.array([np.nanmax(pixels[each]) for each in around])
    # raised to the top of a parabola; the background of the channel of the peak is not that of the centre
    np.testing.assert_allclose(whole.peak, highest, rtol=0.3, atol=3e-4)
    np.testing.assert_allclose(whole.local_rms, 1e-3, rtol=0.2)
    low, high = whole.boxes[:, 0], whole.boxes[:, 1]
    assert ((whole.flags & SPECTRAL_EDGE > 0) == ((low[:, 0] < 0.5) | (high[:, 0] > SHAPE[0] - 1.5))).all()
    sky_edge = (low[:, 1:] < 0.5).any(axis=1) | (high[:, 1:] > np.array(SHAPE[1:]) - 1.5).any(axis=1)
    assert ((whole.flags & SPATIAL_EDGE > 0) == sky_edge).all()
    blank = (low[:, 0] < 29.5) & (low[:, 1:] < 11.5).all(axis=1)
    assert ((whole.flags & BLANK_VOXEL > 0) == blank).all()
    assert blank.any() and sky_edge.any() and not (blank | sky_edge).all()


def test_as_many_tiles_at_a_time_as_cores_and_memory_allow(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 16)
    many = len(plan(job, DetectOptions(tile=16))[0])
    assert many >= ROUNDS * MOST_WORKERS
    assert plan(job, DetectOptions(tile=16))[1] == Crew(MOST_WORKERS)
    assert plan(job, DetectOptions(tile=16, workers=1))[1] == Crew()
    assert plan(job, DetectOptions(tile=16, workers=7))[1] == Crew(7)
    assert plan(job, DetectOptions(tile=16, scheduler="processes"))[1] == Crew()
    assert plan(job, DetectOptions(tile=200))[1] == Crew()
    voxels = ArrayPixels(np.broadcast_to(np.float32(0), (2000, 2000, 2000)), AxisOrder((0, 1, 2)))
    large = replace(job, image=replace(job.image, pixels=voxels))
    assert plan(large, DetectOptions(max_memory="520MB"))[1] == Crew()  # smaller tiles would read more
    assert plan(large, DetectOptions(max_memory="64GB"))[1] == Crew(MOST_WORKERS)
    monkeypatch.setattr("skadetect.distribute.can_share_kernels", lambda: False)
    assert plan(job, DetectOptions(tile=16))[1] == Crew()
    assert plan(job, DetectOptions(tile=16, workers=2))[1] == Crew(2, processes=True)


def test_a_killed_run_goes_on_from_its_finished_tiles(
    tmp_path: Path, job: Job, whole: Detections, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, calls = DetectOptions(tile=40), []
    grid, _ = plan(job, options)

    def counted(tile: Tile, job: Job) -> tuple[Detections, float]:
        calls.append(tile.index)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return detect_tile(tile, job)

    monkeypatch.setattr("skadetect.job.detect_tile", counted)
    with pytest.raises(KeyboardInterrupt):
        detect_tiles(job, grid, Pool(), ledger=Ledger(tmp_path, {}))
    rows, _ = detect_tiles(job, grid, Pool(), ledger=Ledger(tmp_path, {}))
    assert len(calls) == len(grid) + 1
    assert sorted(set(calls)) == list(range(len(grid)))
    np.testing.assert_allclose(_by_place(merge(rows, job.model)).position, whole.position, atol=1e-3)


def test_a_window_is_read_in_slabs_by_the_pixels_of_the_file(image: Image) -> None:
    window = (90, 50, 62)
    assert list(slabs(window, image)) == [(0, 90)]
    coarse = list(slabs((400, 40, 40), block_mean(image, 32)))
    assert [start for start, _ in coarse[1:]] == [stop for _, stop in coarse[:-1]]
    assert coarse[-1][1] == 400
    width = min(block_mean(image, 32).shape[2], 40 + 2 * MAPPED)
    assert max(stop - start for start, stop in coarse) * 40 * width * 32**2 <= SLAB


def test_levels_of_a_cube_are_tiled_alike(job: Job) -> None:
    view = block_mean(job.image, 2)
    coarse = Job(view, estimate_background(view), job.model, 0.2, "cpu")
    found, again = _found(coarse, tile=200), _found(coarse, tile=16)
    assert len(found) == len(again) > 10
    np.testing.assert_allclose(found.position, again.position, atol=1e-3)
    assert (found.position[:, 1:] < np.array([25, 31])).all()


@pytest.mark.parametrize("tile", [16, 40, 200])
def test_only_what_stands_out_is_looked_at(tile: int, job: Job, whole: Detections, image: Image) -> None:
    least = replace(job, least_peak=7.0)
    found = _found(least, tile=tile)
    assert 3 < len(found) < len(whole)
    s = np.pad(job.background.snr(image.read((0, 0, 0), SHAPE), (0, 0, 0)), 1, constant_values=np.nan)

    def middle(rows: Detections) -> np.ndarray:
        z, y, x = np.floor(rows.position + 1.5).astype(int).T
        return np.fmax.reduce([s[z, y + j, x + i] for j in (-1, 0, 1) for i in (-1, 0, 1)])

    assert (middle(found) >= 7.0).all()
    # what is left out drops no other one any more
    bright = whole.take(middle(whole) >= 7.0)
    assert {tuple(p) for p in np.round(bright.position, 2)} <= {tuple(p) for p in np.round(found.position, 2)}
    grid, _ = plan(least, DetectOptions(tile=tile))
    nothing = replace(job, least_peak=1e9)
    assert [detect_tile(each, nothing)[1] for each in grid] == [0.0] * len(grid)  # the network had a rest

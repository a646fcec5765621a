"""What a detection will take: tiles, memory and time of an image or cube, from its header alone.

The header says which views are searched and in which tiles; how fast this machine is comes from a trial on
noise and point sources as crowded as a deep field, a fraction of a tile large. Pixels of the file are not
read.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from skadetect.background import Background, estimate_background, mesh_shape
from skadetect.beams import FWHM_PER_SIGMA
from skadetect.catalog.build import build_catalog
from skadetect.catalog.cube_build import build_cube_catalog
from skadetect.detect import Detector
from skadetect.detect_options import DetectOptions
from skadetect.detections import Detections
from skadetect.image import Image, Source, open_image
from skadetect.infer import merge
from skadetect.job import Job, detect_tile, given_crew
from skadetect.job import plan as tile_grid
from skadetect.memory import PROCESS_BYTES, parse_memory, tile_bytes
from skadetect.nn.model import Model
from skadetect.orientation import bytes_a_pixel
from skadetect.pixels import ArrayPixels, AxisOrder, Corner
from skadetect.pyramid import count_levels
from skadetect.resample import BlockMeanPixels, block_mean, match_sampling
from skadetect.search import background_options, held_room
from skadetect.second_look import SecondLook, expected_pixels
from skadetect.tiling import TileGrid
from skadetect.views import ViewStore

#: Voxels of a trial: seconds of work, large enough to keep all cores as busy as a tile does.
TRIAL_VOXELS = {2: 1 << 21, 3: 12 << 20}
#: Sources a pixel of an image (SDC1's at 560 MHz and 1000 h), and galaxies a voxel of a cube (SDC2's).
DENSITY = {2: 1 / 280, 3: 2e-8}
#: Bytes of a detection until the catalogue is written.
ROW_BYTES = 300


@dataclass(frozen=True)
class LevelPlan:
    """One search: the image itself, or a view of it on averaged pixels.

    Attributes
    ----------
    shape, tile_shape : (z, y, x)
        Of the view, and of what a tile owns.
    n_tiles : int
    workers : int
        Tiles worked on at a time.
    read_voxels : int
        What all tiles read together, halos included.
    background_seconds, tile_seconds, reading_seconds, again_seconds : float
        Wall time of the background, of the tiles, of reading the file and averaging it, and of looking again
        at as many candidates as there are in a cube like SDC2's.
    """

    shape: Corner
    tile_shape: Corner
    n_tiles: int
    workers: int
    read_voxels: int
    background_seconds: float
    tile_seconds: float
    reading_seconds: float
    again_seconds: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.background_seconds + self.tile_seconds + self.reading_seconds + self.again_seconds


@dataclass(frozen=True)
class Plan:
    """What a detection will take.

    Attributes
    ----------
    name, model : str
        Of the image and of the model.
    file_shape : (z, y, x)
        Of the image as the file has it.
    levels : tuple of LevelPlan
        The searches, finest first.
    catalog_seconds : float
        Merging and cataloguing as many sources as a deep field of this size has.
    memory, max_memory : int
        Expected peak and limit, bytes.
    disk : int
        Bytes of averaged pixels beside the catalogue while the run lasts.
    """

    name: str
    model: str
    file_shape: Corner
    levels: tuple[LevelPlan, ...]
    catalog_seconds: float
    memory: int
    max_memory: int
    disk: int

    @property
    def n_tiles(self) -> int:
        """Of all levels."""
        return sum(level.n_tiles for level in self.levels)

    @property
    def seconds(self) -> float:
        """Expected wall time."""
        return sum(level.seconds for level in self.levels) + self.catalog_seconds


@dataclass(frozen=True)
class Rates:
    """Seconds a voxel on this machine: of a tile, of a background, of averaging, and seconds a source."""

    tile: float
    background: float
    averaging: float
    source: float


def plan(
    image: Source | Image,
    *,
    options: DetectOptions | None = None,
    rates: Rates | None = None,
    disk: str = "1GB",
    folder: str | os.PathLike[str] = ".",
    **changes: Any,
) -> Plan:
    """Estimate what `skadetect.detect` will take.

    Parameters
    ----------
    image : path, (array, header), HDU or Image
        An image or cube; its header is read, its pixels are not (but for a cube without a beam).
    options : DetectOptions, optional
        As for `detect`.
    rates : Rates, optional
        Of this machine; measured by a trial of some seconds by default.
    disk : str
        What the disk reads in a second, such as "500MB".
    folder : path
        Where the catalogue will be written: coarser views of a cube are kept there if it has room.
    **changes
        Options by name.

    Returns
    -------
    Plan

    Raises
    ------
    InputError, ModelError, ConfigError
        As `detect` does, and if the memory is too small for any tile.
    """
    detector = Detector(options=options, **changes)
    given = detector.options
    original = image if isinstance(image, Image) else open_image(image, beam=given.beam)
    model, _ = detector.model_for(original)
    view = match_sampling(original, model.normalization.fwhm_range, model.normalization.channel_range)
    rates = rates or measure_rates(view, model, given)
    views = [view, *(block_mean(view, 2**n) for n in range(1, 1 + count_levels(view, model, given.levels)))]
    file_seconds = 4.0 / parse_memory(disk)
    store = ViewStore(held_room(given.device, given), Path(folder))
    levels = _levels(views, model, given, rates, (store, file_seconds))
    sources = DENSITY[view.ndim] * math.prod(view.shape)
    return Plan(
        name=original.name,
        model=model.name,
        file_shape=original.shape,
        levels=levels,
        catalog_seconds=rates.source * sources,
        memory=_peak(views, levels, model, given, sources),
        max_memory=parse_memory(given.max_memory),
        disk=sum(4 * math.prod(v.shape) for v in views[1:] if store.on_disk(v.shape)),
    )


def measure_rates(view: Image, model: Model, options: DetectOptions) -> Rates:
    """Time the steps of a detection on noise with the beam, the sampling and the unit of an image.

    Parameters
    ----------
    view : Image
        As the network sees it; its pixels are not read.
    model : Model
        With batch norms folded.
    options : DetectOptions
        Tiles as large as theirs, or `TRIAL_VOXELS`, are tried.
    """
    threshold = options.threshold or model.threshold
    job = Job(
        view, _flat(view), model, threshold, options.device, options.precision, options.orientations or 1
    )
    read_shape = tile_grid(job, options)[0][0].read_shape
    z, y, x = (min(n, 64) for n in read_shape)
    _trial(view, model, options, _cut((z, y, x), model))  # compiles
    shape = _cut(read_shape, model)
    _trial(view, model, options, shape)  # touches the memory that later tiles find ready
    return _trial(view, model, options, shape)


def _trial(view: Image, model: Model, options: DetectOptions, shape: Corner) -> Rates:
    """One tile of a made-up image, with all that comes before and after it."""
    field = _made_up(view, shape)
    voxels = math.prod(field.shape)
    background, seconds = _timed(lambda: estimate_background(field, background_options(field)))
    threshold = options.threshold or model.threshold
    job = Job(
        field, background, model, threshold, options.device, options.precision, options.orientations or 1
    )
    grid = TileGrid.cover(field.shape, field.shape, halo=model.halo, step=model.stride)
    (found, _), tile = _timed(lambda: detect_tile(grid[0], job))
    _, averaging = _timed(lambda: BlockMeanPixels(field.pixels, 2, 1.0).read((0, 0, 0), _halved(field.shape)))
    _, finishing = _timed(lambda: _finished(found, field, model))
    return Rates(tile / voxels, seconds / voxels, averaging / voxels, finishing / max(len(found), 1000))


def _finished(found: Detections, field: Image, model: Model) -> object:
    rows = merge(found, model)
    return (
        build_cube_catalog([(rows, field)], model) if field.ndim == 3 else build_catalog(rows, field, model)
    )


def _made_up(view: Image, shape: Corner) -> Image:
    """Noise as the beam correlates it, with point sources or short lines of ten times the noise."""
    rng = np.random.default_rng(0)
    sigma = view.pixel_beam.fwhm / FWHM_PER_SIGMA
    pixels = rng.standard_normal(shape, np.float32)
    count = max(1, round(DENSITY[view.ndim] * math.prod(shape)))
    z, y, x = (rng.integers(0, n, count) for n in shape)
    for step in range(1 if view.ndim == 2 else 8):
        pixels[np.minimum(z + step, shape[0] - 1), y, x] += 10.0 * 4.0 * sigma
    pixels = gaussian_filter(pixels, (0.0, sigma, sigma)) * np.float32(
        2.0 * math.sqrt(math.pi) * sigma * 1e-6
    )
    source = ArrayPixels(pixels.astype(">f4"), AxisOrder((0, 1, 2)))
    return replace(view, pixels=source, name="trial")


def _levels(
    views: list[Image], model: Model, options: DetectOptions, rates: Rates, keeping: tuple[ViewStore, float]
) -> tuple[LevelPlan, ...]:
    """Each view's tiles and times; a coarse one is kept where there is room, else averaged anew."""
    store, file_seconds = keeping
    found: list[LevelPlan] = []
    reading = file_seconds * views[0].factor ** 2 * views[0].factor_z  # seconds a voxel of the view
    for level, view in enumerate(views):
        job = Job(view, _flat(view), model, 0.5, options.device, options.precision, options.orientations or 1)
        grid, crew = tile_grid(job, options, held=4 / 3 * store.memory if level else 0.0)
        voxels, some = math.prod(view.shape), _sampled(grid)
        read = round(sum(math.prod(tile.read_shape) for tile in some) * len(grid) / len(some))
        making = 0.0
        if level:
            reading = 4.0 * (reading + rates.averaging)
            if store.keeps(view.shape):
                making, reading = reading * voxels, file_seconds if store.on_disk(view.shape) else 0.0
        found.append(
            LevelPlan(
                shape=view.shape,
                tile_shape=grid.tile_shape,
                n_tiles=len(grid),
                workers=crew.workers,
                read_voxels=read,
                background_seconds=rates.background * voxels,
                tile_seconds=rates.tile * read,
                reading_seconds=making + reading * (voxels + read),
                again_seconds=rates.tile * _again_voxels(grid, model) if level == 0 else 0.0,
            )
        )
    return tuple(found)


def _again_voxels(grid: TileGrid, model: Model) -> float:
    """What is read once more, for each look, around candidates; few are found on averaged pixels."""
    again = SecondLook.of(model.metadata)
    return 0.0 if again is None else again.orientations * expected_pixels(grid)


def _sampled(grid: TileGrid) -> list[Any]:
    """All tiles of a grid, or some that stand for them: those along its diagonals."""
    if len(grid) <= 4096:
        return list(grid)
    return [grid[int(index)] for index in np.linspace(0, len(grid) - 1, 4096)]


def _peak(
    views: list[Image], levels: tuple[LevelPlan, ...], model: Model, options: DetectOptions, sources: float
) -> int:
    """Peak memory of all processes."""
    processes, tiles = given_crew(options.device, options).n_processes, []
    for level in levels:
        grid = TileGrid.cover(level.shape, level.tile_shape, halo=model.halo, step=model.stride)
        largest = max((t.read_shape for t in _sampled(grid)), key=math.prod)
        beside = bytes_a_pixel(model, options.orientations or 1)
        tiles.append(level.workers * tile_bytes(largest, model, beside=beside))
    mesh = max(2 * _flat(view).level.nbytes for view in views)
    rows = round(ROW_BYTES * sources)
    return processes * (PROCESS_BYTES + mesh) + max(tiles) + rows


def _flat(view: Image) -> Background:
    """A background of the mesh that the view's will have, of one value: it takes no memory itself."""
    mesh: NDArray[np.float64] = np.broadcast_to(np.ones(1), mesh_shape(view, background_options(view)))
    return Background(mesh, mesh, view.shape)


def _cut(shape: Corner, model: Model) -> Corner:
    """A shape of at most `TRIAL_VOXELS`, the same in proportion, in steps of the model's stride."""
    shrink = min(1.0, (TRIAL_VOXELS[model.head.ndim] / math.prod(shape)) ** (1 / model.head.ndim))
    scales = (1.0 if model.head.ndim == 2 else shrink, shrink, shrink)
    z, y, x = (max(s, int(n * k) // s * s) for n, k, s in zip(shape, scales, model.stride, strict=True))
    return z, y, x


def _halved(shape: Corner) -> Corner:
    return shape[0], -(-shape[1] // 2), -(-shape[2] // 2)


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, and its wall seconds."""
    start = time.perf_counter()
    return function(), time.perf_counter() - start

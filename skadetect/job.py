"""One image through the network, tile by tile: what a worker needs, does and hands back."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect import arena, distribute
from skadetect.aperture import Apertures, sum_apertures
from skadetect.background import Background
from skadetect.beams import convolve
from skadetect.detect_options import DetectOptions
from skadetect.detections import Detections
from skadetect.errors import ConfigError, SkadetectError
from skadetect.filling import fill_blanks
from skadetect.image import Image
from skadetect.infer import Stopwatch, candidates, network_input
from skadetect.ledger import Ledger
from skadetect.memory import Crew, GpuRoom, choose_tile_shape, return_freed_memory
from skadetect.moments import weighted_moments
from skadetect.nn.backends.select import get_backend, gpu_count, uses_gpu
from skadetect.nn.model import Model
from skadetect.orientation import bytes_a_pixel
from skadetect.parameters import decode
from skadetect.photometry import REACH, mark_boxes, measure
from skadetect.tiling import Corner, Tile, TileGrid

Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)

#: Tiles that a process has under way on a GPU: one computes while the next is read and the last measured.
OVERLAP = 3
#: Tiles that are worked on at a time by themselves; with more of them, Python's part of each is in the way.
MOST_WORKERS = 4
#: Tiles a worker from which on it is worth having: at the end some have nothing to do.
ROUNDS = 6
#: Cells along each axis of the noise that a GPU is tried on before a run, and the most that it may be off.
TRIAL_CELLS, TRIAL_ERROR = 24, 0.05
#: Flag bit of a blank pixel or border close by, in an image; the catalogue sets the other bits.
EDGE = 1
#: Voxels of the file that are mapped or worked on at a time, where a tile need not be in memory at once.
SLAB = 1 << 21
#: Voxels of a row on each side of the window that the system may map along with it.
MAPPED = 1 << 14


@dataclass(frozen=True)
class Job:
    """What every task needs besides its tile; sent to each worker once.

    `least_peak` is the signal to noise of a pixel that a source has in its middle: without one a tile is
    empty.
    """

    image: Image
    background: Background
    model: Model
    threshold: float
    device: str
    precision: str = "fp16"
    orientations: int = 1
    least_peak: float = -math.inf


def plan(job: Job, options: DetectOptions, *, held: float = 0.0) -> tuple[TileGrid, Crew]:
    """The tiles of a job and who works on them at a time, the best that the memory allows.

    Parameters
    ----------
    job : Job
    options : DetectOptions
        Its side of tiles and number of workers hold, if they are given.
    held : float
        Bytes that each process of workers holds beside the background.
    """
    held += job.background.level.nbytes + job.background.rms.nbytes
    crew = given_crew(job.device, options)
    alone = _grid(job, options, crew, held)
    alone_only = options.scheduler == "processes" or uses_gpu(job.device)
    if options.workers or alone_only or not distribute.can_share_kernels():
        return alone, crew
    for workers in range(min(MOST_WORKERS, numba.config.NUMBA_NUM_THREADS, len(alone) // ROUNDS), 1, -1):
        crew = Crew(workers)
        with contextlib.suppress(ConfigError):  # too little memory for so many
            if _grid(job, options, crew, held).tile_shape == alone.tile_shape:
                return alone, crew
    return alone, Crew()


def given_crew(device: str, options: DetectOptions) -> Crew:
    """The workers that the options ask for; one if they leave the number open.

    Workers are threads, unless Numba's threads cannot share its kernels; those that share GPUs are processes.
    """
    count, scheduler = max(options.workers, 1), options.scheduler
    if scheduler == "auto":
        scheduler = "threads" if distribute.can_share_kernels() else "processes"
    return Crew(count, count > 1 and (scheduler == "processes" or uses_gpu(device)))


def _grid(job: Job, options: DetectOptions, crew: Crew, held: float) -> TileGrid:
    model, side = job.model, options.tile
    if side:
        shape: Corner = (1 if model.head.ndim == 2 else side, side, side)
    else:
        gpu, beside = _gpu_room(job, crew.workers), bytes_a_pixel(model, job.orientations)
        shape = choose_tile_shape(
            options.max_memory, crew, model, job.image.shape, held=held, beside=beside, gpu=gpu
        )
    return TileGrid.cover(job.image.shape, shape, halo=model.halo, step=model.stride)


def _gpu_room(job: Job, workers: int) -> GpuRoom | None:
    """What each tile may take of a GPU's memory; None on the CPU."""
    if not uses_gpu(job.device):
        return None
    backend: Any = get_backend(job.device, job.precision)
    sharing = -(-workers // gpu_count(job.device))
    return GpuRoom(backend.free_bytes() / sharing, backend.bytes_a_number, OVERLAP)


def workers(device: str, options: DetectOptions) -> distribute.Pool:
    """Workers for the tiles of all jobs of an image, on a device."""
    crew, overlap = given_crew(device, options), OVERLAP if uses_gpu(device) else 1
    return distribute.Pool(crew.workers, scheduler="processes" if crew.apart else "threads", overlap=overlap)


def ledger_of(folder: Path, key: Mapping[str, Any], job: Job) -> Ledger:
    """Where the finished tiles of a job are kept, for a later run of the same.

    Parameters
    ----------
    folder : Path
    key : mapping
        Of the pixels, of the model and of the tiles.
    job : Job
        Its threshold, looks and device belong to the key, too.
    """
    settings = {
        "threshold": job.threshold,
        "orientations": job.orientations,
        "device": [job.device, job.precision] if job.device.startswith("cuda") else job.device,
    }
    return Ledger(folder, {**key, **settings})


def detect_tiles(
    job: Job,
    tiles: Sequence[Tile],
    pool: distribute.Pool,
    *,
    crew: Crew | None = None,
    ledger: Ledger | None = None,
    show: Callable[[int, int], None] | None = None,
) -> tuple[Detections, float]:
    """Candidates of all tiles, in the order of the tiles, and the wall seconds of the network alone.

    Parameters
    ----------
    job : Job
        Image, background and model.
    tiles : sequence of Tile
        From `plan`, or windows; each knows its place in the sequence.
    pool : Pool
        From `workers`.
    crew : Crew, optional
        From `plan`; by default the pool's workers.
    ledger : Ledger, optional
        Holds tiles that an earlier run finished, and takes the new ones.
    show : callable, optional
        Called with (tiles done, tiles in all).
    """
    if not tiles:
        return Detections.empty(job.model.head.ndim, len(job.model.parameters)), 0.0
    finished = ledger.finished() if ledger is not None else {}
    todo = [tile for tile in tiles if tile.index not in finished]
    if finished:
        logger.info("%d of %d tiles were finished before", len(finished), len(tiles))
    if pool.overlap > 1 and todo and pool.scheduler == "threads":
        _prepare(job, todo[0])
    workers = crew.workers if crew is not None else pool.workers
    for index, (found, seconds) in pool.map(detect_tile, todo, job, workers=workers):
        finished[todo[index].index] = (found, seconds)
        if ledger is not None:
            ledger.add(todo[index].index, found, seconds)
        if show is not None:
            show(len(finished), len(tiles))
    parts = [finished[index] for index in range(len(tiles))]
    network = sum(seconds for _, seconds in parts) / min(workers, len(tiles))
    return Detections.concatenate([found for found, _ in parts]), network


def detect_tile(tile: Tile, job: Job) -> tuple[Detections, float]:
    """Candidates whose centres a tile owns, measured on its pixels, and the network's seconds.

    A pure function of the image and the tile's place, so that any worker may run it, twice if need be.
    """
    return_freed_memory()  # in each worker
    ndim, model = job.model.head.ndim, job.model
    pixels = _read(tile, job.image)
    own = tuple(slice(a - r, b - r) for a, b, r in zip(tile.own_lo, tile.own_hi, tile.read_lo, strict=True))
    if not any(np.isfinite(plane).any() for plane in pixels[own]):
        return Detections.empty(ndim, len(model.parameters)), 0.0
    watch, s = Stopwatch(), _signal_to_noise(tile, job, pixels)
    if not _stands_out(s, own, job.least_peak):
        return Detections.empty(ndim, len(model.parameters)), 0.0
    found = candidates(
        model,
        s,
        job.image.pixel_beam,
        backend=get_backend(job.device, job.precision, worker=distribute.worker_number()),
        threshold=job.threshold,
        watch=watch,
        orientations=job.orientations,
    )
    # Centres are owned by where they lie, to the half pixel at which two tiles' regions meet.
    corner = found.position + 0.5
    low, high = (np.array([getattr(part, end) for part in own])[-ndim:] for end in ("start", "stop"))
    found = found.take(((corner >= low) & (corner < high)).all(axis=1))
    if job.least_peak > -math.inf:
        found = found.take(_middle(s, _places(found)) >= job.least_peak)
    found = _measured(found, tile, job, pixels)
    origin = np.array(tile.read_lo, float)[-ndim:]
    return found.with_(position=found.position + origin, boxes=found.boxes + origin), watch.network


def _prepare(job: Job, tile: Tile) -> None:
    """Compile the network's kernels for tiles like this one, before threads ask for them, and try them."""
    backend: Any = get_backend(job.device, job.precision)
    _try_gpu(job, backend)
    cells = zip(tile.read_shape, job.model.stride, strict=True)
    shape = tuple(-(-n // step) * step for n, step in cells)
    seen = network_input(job.model, np.broadcast_to(np.float32(0), shape), job.image.pixel_beam)
    backend.prepare(lambda: job.model.network.forward_on(seen, backend))
    backend.release()


def _try_gpu(job: Job, backend: Any) -> None:
    """Hold the network's outputs for some noise against the CPU's: a wrong catalogue must not look like one.

    Raises
    ------
    SkadetectError
        If they differ by more than rounding can explain.
    """
    network = job.model.network
    shape = [step * (TRIAL_CELLS if step > 1 else 1) for step in network.stride]
    noise = np.random.default_rng(0).standard_normal(shape, np.float32)
    seen = network_input(job.model, noise, job.image.pixel_beam)
    here, there = (network.forward(seen, each) for each in (get_backend("cpu"), backend))
    error = float(np.linalg.norm(there - here) / np.linalg.norm(here))
    logger.debug("outputs of the GPU differ from the CPU's by %.1e", error)
    if not error < TRIAL_ERROR:
        raise SkadetectError(
            f"device {job.device}: outputs differ from the CPU's by {error:.1e} of their size, expected less "
            f"than {TRIAL_ERROR}; use --device cpu, and please report this with the GPU's name"
        )


def _read(tile: Tile, image: Image) -> NDArray[np.float32]:
    """The tile's pixels, few planes at a time: neither maps of the file nor finer pixels fill the memory."""
    pixels = arena.empty(tile.read_shape)
    (z, *low), (_, *high) = tile.read_lo, tile.read_hi
    for start, stop in slabs(tile.read_shape, image):
        pixels[start:stop] = image.read((z + start, low[0], low[1]), (z + stop, high[0], high[1]))
    return pixels


def slabs(shape: Corner, image: Image) -> Iterator[tuple[int, int]]:
    """Ranges of planes of a window that may be mapped, or worked on, at a time.

    Parameters
    ----------
    shape : (z, y, x)
        Of the window.
    image : Image
        Its width says how much of a row is mapped beside the window, its factor how many pixels of the file
        make one of its own.
    """
    row = min(image.shape[2], shape[2] + 2 * MAPPED)
    planes = max(1, int(SLAB / (shape[1] * row * max(image.factor, 1.0) ** 2)))
    for start in range(0, shape[0], planes):
        yield start, min(start + planes, shape[0])


def _signal_to_noise(tile: Tile, job: Job, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Signal to noise of the tile; background and noise are worked out a slab at a time."""
    s = arena.empty(pixels.shape)
    for start, stop in slabs(tile.read_shape, job.image):
        z, y, x = tile.read_lo
        job.background.snr(pixels[start:stop], (z + start, y, x), out=s[start:stop])
    if job.model.head.ndim == 3:
        fill_blanks(s, pixels, job.image.pixel_beam, low=tile.read_lo, high=job.image.shape)
    return s


def _stands_out(s: NDArray[np.float32], own: tuple[slice, ...], least: float) -> bool:
    """Whether a source whose middle is as bright as that may have its centre in the owned part."""
    if least == -math.inf:
        return True
    around = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in own)
    return bool((s[around] >= least).any())  # NaN is not


def _middle(s: NDArray[np.float32], place: Floats) -> Floats:
    """Highest finite pixel of the nine around each position (z, y, x) in its plane; -inf if none is."""
    z, y, x = np.floor(place + 0.5).astype(np.int64).T
    highest = np.full(len(place), -np.inf)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            rows, columns = np.clip(y + dy, 0, s.shape[1] - 1), np.clip(x + dx, 0, s.shape[2] - 1)
            highest = np.fmax(highest, s[np.clip(z, 0, s.shape[0] - 1), rows, columns])
    return highest


def _measured(found: Detections, tile: Tile, job: Job, pixels: NDArray[np.float32]) -> Detections:
    """Add peak, noise, background and the marks of edges, read off the tile's pixels."""
    peak, local_rms, background = (np.full(len(found), np.nan) for _ in range(3))
    flags, cut = np.zeros(len(found), np.int32), np.zeros(len(found))
    place = _places(found)
    plane = np.floor(place[:, 0] + 0.5)
    depth, z = tile.read_shape[0], tile.read_lo[0]
    for start, stop in slabs(tile.read_shape, job.image):
        rows = (plane >= start) & (plane < stop)
        if rows.any():
            first, last = max(start - 1, 0), min(stop + 1, depth)  # the peak may be a channel away
            where = place[rows] - [first, 0, 0]
            low, high = (z + first, *tile.read_lo[1:]), (z + last, *tile.read_hi[1:])
            maps = job.background.near(low, high, where, reach=REACH)
            measured = measure(pixels[first:last], *maps, where)
            peak[rows], local_rms[rows] = measured.peak, measured.local_rms
            background[rows], flags[rows] = measured.background, np.where(measured.blank, EDGE, 0)
    if found.ndim == 3:
        shape, reach = job.image.shape, job.model.halo
        flags, cut = mark_boxes(pixels, found.boxes, low=tile.read_lo, shape=shape, reach=reach)
    found = found.with_(peak=peak, local_rms=local_rms, background=background, flags=flags, cut=cut)
    # A box on blank pixels alone is an edge effect, not a source.
    found = found.take(np.isfinite(found.peak))
    fwhm = job.image.pixel_beam.fwhm
    shapes = decode(job.model.parameters, found.parameters, anchor=found.anchor, beam_fwhm=fwhm)
    return _with_moments(_summed(found, shapes, tile, job, pixels), shapes, job, pixels)


def _summed(
    found: Detections, shapes: Mapping[str, Floats], tile: Tile, job: Job, pixels: NDArray[np.float32]
) -> Detections:
    """Add the flux of the pixels of each measured source."""
    beam, model = job.image.pixel_beam, job.model
    apertures = Apertures.of(shapes, beam, snr=found.peak / found.local_rms)
    if apertures is None:
        unknown = np.full(len(found), np.nan)
        return found.with_(aperture=unknown, aperture_error=unknown)
    window = {"low": tile.read_lo, "reach": model.halo}
    flux, error = sum_apertures(pixels, job.background, _places(found), apertures, beam, **window)
    return found.with_(aperture=flux, aperture_error=error)


def _with_moments(
    found: Detections, shapes: Mapping[str, Floats], job: Job, pixels: NDArray[np.float32]
) -> Detections:
    """Add where the pixels of each source in an image have their centre, and how far they spread."""
    if found.ndim == 3 or not {"bmaj", "bmin", "theta"} <= shapes.keys():
        return found
    beam, reach = job.image.pixel_beam, float(job.model.halo[-1] - 1)
    seen = convolve(shapes["bmaj"], shapes["bmin"], shapes["theta"], beam)
    centre, spread = weighted_moments(
        pixels[0], found.position, seen, background=found.background, reach=reach
    )
    return found.with_(centre=centre / beam.fwhm, spread=spread / beam.fwhm**2)


def _places(found: Detections) -> Floats:
    """Positions (z, y, x); z is 0 in an image."""
    place = np.zeros((len(found), 3))
    place[:, 3 - found.ndim :] = found.position
    return place

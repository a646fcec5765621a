"""Detect sources in an image of any size: tiles through the network, boxes merged, one catalogue."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from skadetect import __version__, distribute
from skadetect.background import Background, estimate_background
from skadetect.catalog.build import build_catalog
from skadetect.catalog.catalog import Catalog
from skadetect.detections import Detections
from skadetect.errors import ConfigError, InputError
from skadetect.image import BeamLike, Image, Source, open_image
from skadetect.infer import Stopwatch, candidates, merge
from skadetect.ledger import Ledger, file_identity
from skadetect.memory import choose_tile
from skadetect.nn.backends.select import get_backend
from skadetect.nn.model import Model
from skadetect.photometry import measure
from skadetect.resample import match_sampling
from skadetect.tiling import Tile, TileGrid

logger = logging.getLogger(__name__)

#: Flag bit of a blank pixel or border close by; the catalogue sets the other bits.
EDGE = 1


@dataclass(frozen=True)
class DetectOptions:
    """How to detect.

    Attributes
    ----------
    model : str
        Name of a shipped model, or a .safetensors file.
    tile : int
        Side of the tiles in pixels; 0 takes the largest that the memory allows. Results do not depend on it.
    workers : int
        Worker processes that share the tiles; 1 runs all cores in this process.
    max_memory : str
        Upper limit on memory, all workers together, such as "2GB".
    threshold : float or None
        Lowest score (0 to 1) of a detection; the model's own if None.
    device : str
        "auto", "cpu" or "reference".
    beam : tuple of float or None
        Beam as (bmaj, bmin, pa) in arcsec, arcsec and degrees east of north, instead of the header's.
    primary_beam : str or None
        FITS image of the primary beam, kept for formats that want corrected fluxes.
    scheduler : str
        What a worker is: "processes" or "threads".
    progress : bool
        Show a progress bar.
    """

    model: str = "continuum"
    tile: int = 0
    workers: int = 1
    max_memory: str = "2GB"
    threshold: float | None = None
    device: str = "auto"
    beam: tuple[float, float, float] | None = None
    primary_beam: str | None = None
    scheduler: str = "processes"
    progress: bool = False

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.0 < self.threshold < 1.0:
            raise ConfigError(f"threshold is {self.threshold}, expected a score between 0 and 1")
        if self.tile < 0 or self.workers < 1:
            raise ConfigError(
                f"tile is {self.tile} and workers {self.workers}, expected tile >= 0 and workers >= 1"
            )


@dataclass(frozen=True)
class Job:
    """What every task needs besides its tile; sent to each worker once."""

    image: Image
    background: Background
    model: Model
    threshold: float
    device: str


def detect(image: Source | Image, *, options: DetectOptions | None = None, **changes: Any) -> Catalog:
    """Find and measure the sources of an image.

    Parameters
    ----------
    image : path, (array, header), HDU or Image
        A radio image; see `skadetect.open_image`.
    options : DetectOptions, optional
        How to detect.
    **changes
        Options by name, as an alternative: ``detect("a.fits", workers=4)``.

    Returns
    -------
    Catalog
        One row a source, brightest first; no rows if there are none.

    Raises
    ------
    InputError, ModelError, ConfigError
        If the image, the model or an option cannot be used.
    """
    return Detector(options=_changed(options, changes)).detect(image)


class Detector:
    """A loaded model, ready for many images.

    Parameters
    ----------
    model : str or Model, optional
        Instead of the options' model.
    options : DetectOptions, optional
        How to detect.
    **changes
        Options by name.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Model | None = None,
        *,
        options: DetectOptions | None = None,
        **changes: Any,
    ) -> None:
        self.options = _changed(options, changes)
        given = model if model is not None else self.options.model
        loaded = given if isinstance(given, Model) else Model.load(given)
        self.digest = loaded.digest  # of the weights as they are stored, not folded
        self.model = loaded.folded()

    def detect(
        self,
        image: Source | Image,
        *,
        beam: BeamLike | None = None,
        resume_folder: str | os.PathLike[str] | None = None,
    ) -> Catalog:
        """Find and measure the sources of one image; see `skadetect.detect`.

        Parameters
        ----------
        image : path, (array, header), HDU or Image
            A radio image.
        beam : radio_beam.Beam, (bmaj, bmin, pa) or float, optional
            Restoring beam in arcsec and degrees, instead of the header's and the options'.
        resume_folder : path, optional
            Keeps the tiles that are finished, so that the same call goes on from them after a crash; remove
            it once the catalogue is safe. Only for images in files.
        """
        started = time.perf_counter()
        options = self.options
        beam = beam if beam is not None else options.beam
        original = image if isinstance(image, Image) else open_image(image, beam=beam)
        self._check_rank(original)
        view = match_sampling(original, self.model.normalization.fwhm_range)
        threshold = self.model.threshold if options.threshold is None else options.threshold
        with _bar(options.progress, "background") as show:
            background = estimate_background(view, progress=show)
        job = Job(view, background, self.model, threshold, options.device)
        ledger = None if resume_folder is None else self._ledger(resume_folder, image, job)
        kept, network_seconds = detect_tiles(job, options, ledger)
        kept = _to_original(merge(kept, self.model), view)
        extra = {
            "thresh": threshold,
            "modelsha": self.digest,
            "network_seconds": round(network_seconds, 3),
            "wall_seconds": round(time.perf_counter() - started, 3),
        }
        logger.info("%s: %d sources in %.1f s", original.name, len(kept), extra["wall_seconds"])
        return build_catalog(
            kept, _as_seen(original, view), self.model, meta=extra | {"resampled": view.factor}
        )

    def _check_rank(self, image: Image) -> None:
        """Raise InputError for a cube given to a model of images, or the other way round."""
        wanted = self.model.head.ndim
        if image.ndim != wanted:
            raise InputError(
                f"{image.name} has {image.ndim} axes beside degenerate ones, shape {image.shape}; "
                f"the model {self.model.name!r} expects {wanted}"
            )

    def _ledger(self, folder: str | os.PathLike[str], image: Source | Image, job: Job) -> Ledger | None:
        """Where finished tiles are kept, if the image is a file that a later run can know again."""
        if not isinstance(image, (str, os.PathLike)):
            return None
        beam = job.image.pixel_beam
        run = {
            "image": file_identity(image),
            "model": self.digest,
            "threshold": job.threshold,
            "tile": _tile_side(job, self.options),
            "beam": [beam.bmaj, beam.bmin, beam.theta],
            "device": job.device,
            "version": __version__,
        }
        return Ledger(folder, run)


def detect_tiles(job: Job, options: DetectOptions, ledger: Ledger | None = None) -> tuple[Detections, float]:
    """Candidates of all tiles, in the order of the tiles, and the network's own seconds summed over workers.

    Parameters
    ----------
    job : Job
        Image, background and model.
    options : DetectOptions
        Tile size, memory, workers.
    ledger : Ledger, optional
        Holds tiles that an earlier run finished, and takes the new ones.
    """
    side = _tile_side(job, options)
    shape = (1, side, side) if job.model.head.ndim == 2 else (side, side, side)
    grid = TileGrid.cover(job.image.shape, shape, halo=job.model.halo, step=job.model.stride)
    finished = ledger.finished() if ledger is not None else {}
    todo = [tile for tile in grid if tile.index not in finished]
    if finished:
        logger.info("%d of %d tiles were finished before", len(finished), len(grid))
    work = distribute.map_tasks(detect_tile, todo, job, workers=options.workers, scheduler=options.scheduler)
    with _bar(options.progress, "tiles") as show:
        for index, (found, seconds) in work:
            finished[todo[index].index] = (found, seconds)
            if ledger is not None:
                ledger.add(todo[index].index, found, seconds)
            show(len(finished), len(grid))
    parts = [finished[index] for index in range(len(grid))]
    return Detections.concatenate([found for found, _ in parts]), sum(seconds for _, seconds in parts)


def _tile_side(job: Job, options: DetectOptions) -> int:
    return options.tile or choose_tile(options.max_memory, options.workers, job.model)


def detect_tile(tile: Tile, job: Job) -> tuple[Detections, float]:
    """Candidates whose centres a tile owns, measured on its pixels, and the network's seconds.

    A pure function of the image and the tile's place, so that any worker may run it, twice if need be.
    """
    ndim, model = job.model.head.ndim, job.model
    pixels = job.image.read(tile.read_lo, tile.read_hi)
    own = tuple(slice(a - r, b - r) for a, b, r in zip(tile.own_lo, tile.own_hi, tile.read_lo, strict=True))
    if not np.isfinite(pixels[own]).any():
        return Detections.empty(ndim, len(model.parameters)), 0.0
    level, rms = job.background.at(tile.read_lo, tile.read_hi)
    s = model.normalization.snr(pixels, level, rms)
    watch = Stopwatch()
    backend = get_backend(job.device)
    inside = tuple((-low, extent - low) for low, extent in zip(tile.read_lo, job.image.shape, strict=True))
    found = candidates(
        model,
        s,
        job.image.pixel_beam,
        backend=backend,
        threshold=job.threshold,
        watch=watch,
        inside=inside,
    )
    # Centres are owned by where they lie, to the half pixel at which two tiles' regions meet.
    corner = found.position + 0.5
    low = np.array([o.start for o in own])[-ndim:]
    high = np.array([o.stop for o in own])[-ndim:]
    found = found.take(((corner >= low) & (corner < high)).all(axis=1))
    found = _measured(found, pixels, level, rms)
    origin = np.array(tile.read_lo, float)[-ndim:]
    return found.with_(position=found.position + origin, boxes=found.boxes + origin), watch.network


def _measured(found: Detections, pixels: Any, level: Any, rms: Any) -> Detections:
    """Add peak, noise, background and the edge flag, read off the tile's pixels."""
    measured = measure(pixels[0], level[0], rms[0], found.position[:, -2:])
    found = found.with_(
        peak=measured.peak,
        local_rms=measured.local_rms,
        background=measured.background,
        flags=np.where(measured.blank, EDGE, 0),
    )
    # A box on blank pixels alone is an edge effect, not a source.
    return found.take(np.isfinite(found.peak))


def _as_seen(original: Image, view: Image) -> Image:
    """The file's pixels with the beam that the network saw: sizes and fluxes are ratios to that one."""
    beam = view.pixel_beam.scaled(view.factor)
    return replace(original, beam=view.beam, pixel_beam=beam, repairs=view.repairs)


def _to_original(rows: Detections, view: Image) -> Detections:
    """The same rows in pixels of the file, if the image was resampled."""
    return rows.with_(position=view.to_original(rows.position), boxes=view.to_original(rows.boxes))


def _changed(options: DetectOptions | None, changes: dict[str, Any]) -> DetectOptions:
    known = {field.name for field in fields(DetectOptions)}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise ConfigError(f"unknown option {unknown[0]!r}, expected one of {', '.join(sorted(known))}")
    return replace(options or DetectOptions(), **changes)


class _bar:
    """A progress bar in the form of a callback (done, total)."""

    def __init__(self, shown: bool, text: str) -> None:
        self._bar = tqdm(desc=text, unit=" done", disable=not shown)

    def __enter__(self) -> Any:
        return partial(_advance, self._bar)

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def _advance(bar: Any, done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)

"""Search one view of an image: background, tiles, a second look at the candidates, one row a source."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from skadetect import arena
from skadetect.alternatives import Candidates, best_alternatives
from skadetect.background import Background, BackgroundOptions, estimate_background
from skadetect.blanking import blank, find_bad_channels
from skadetect.catalog.assemble import chunks
from skadetect.catalog.cube_build import cube_probabilities
from skadetect.catalog.evidence import Taken, coarse_probabilities, image_probabilities
from skadetect.catalog.shapes import measured
from skadetect.deblend import LEAST_DOUBTFUL, in_doubt
from skadetect.detect_options import DetectOptions
from skadetect.detections import Detections
from skadetect.distribute import Pool
from skadetect.image import Image, Source
from skadetect.infer import merge
from skadetect.job import Job, detect_tiles, given_crew, ledger_of, plan
from skadetect.memory import Crew, trim
from skadetect.nn.model import Model
from skadetect.pixels import NoPixels
from skadetect.second_look import SecondLook, near, windows
from skadetect.sky_model import SkyModel
from skadetect.tiling import Tile, TileGrid
from skadetect.views import ViewStore, view_key

logger = logging.getLogger(__name__)

#: Pixels of a cell of a channel that are looked at: there are many channels, and a median over neighbours.
CUBE_SAMPLES = 1600
#: Share of the memory that a view at a coarser level may take.
HELD_SHARE = 0.15
#: Signal to noise of a pixel in the middle of what is found in a smoothed image.
COARSE_PEAK = 4.5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Search:
    """One image and what it is searched with.

    Attributes
    ----------
    source : object
        What was given: a path can be known again by a later run.
    image : Image
        As it was opened.
    model : Model
        Batch norms folded, calibrated for the looks that the options ask for.
    first : Model
        The same, calibrated for one look: it says what is looked at again.
    digest : str
        Of the weights as they are stored.
    options : DetectOptions
    device : str
        What the options' device stands for.
    folder : Path or None
        Where finished tiles are kept for a later run.
    """

    source: Source | Image
    image: Image
    model: Model
    first: Model
    digest: str
    options: DetectOptions
    device: str
    folder: Path | None = None

    @property
    def again(self) -> SecondLook | None:
        """How candidates are looked at again; None if they are not."""
        return SecondLook.of(self.model.metadata)

    @property
    def threshold(self) -> float:
        """Least score of a source, or probability if the model is calibrated."""
        given = self.options.threshold
        return self.model.threshold if given is None else given

    @property
    def least_again(self) -> float:
        """Probability after one look from which on something is looked at again."""
        least = self.again.least if self.again is not None else 1.0
        given = self.options.threshold
        return least if given is None else min(least, given)

    def least_kept(self, view: Image, level: int) -> float:
        """Probability of a row that is kept until all views have been searched.

        What is taken out of an image before it is smoothed does not hang on the threshold that is asked for,
        so that a higher one leaves fewer of the same rows.
        """
        if view.ndim == 3:
            return self.threshold
        return min(self.threshold, LEAST_DOUBTFUL if level else self.model.threshold)

    def least_score(self, model: Model) -> float:
        """Score from which on boxes are looked at: of a calibrated model, all that may be probable enough."""
        known = model.metadata.get("reliability")
        if known is not None:
            return min(known["least_score"], self.threshold)
        return self.threshold if self.image.ndim == 3 else min(self.threshold, model.threshold)

    def view_store(self, view: Image) -> ViewStore:
        """Where coarser views are kept: those of a file beside its finished tiles, if memory is too small."""
        key = view_key(self.source, view)
        folder = self.folder if key is not None else None
        return ViewStore(held_room(self.device, self.options), folder, key or {})


@dataclass(frozen=True)
class Part:
    """What was found in one view of an image.

    Attributes
    ----------
    rows : Detections
        In pixels of the view.
    view : Image
    background : Background
        Of the view.
    seconds : float
        Wall seconds of the network.
    level : int
        How often the resolution was halved.
    """

    rows: Detections
    view: Image
    background: Background
    seconds: float
    level: int = 0

    @property
    def smoothed(self) -> bool:
        """Whether it is a smoothed view of an image, without what was found in finer ones."""
        return self.level > 0 and self.view.ndim == 2

    def without_pixels(self) -> Part:
        """The same once nothing will be read any more: pixels in memory are let go of."""
        return replace(self, view=replace(self.view, pixels=NoPixels(self.view.shape)))


def search_view(run: Search, view: Image, pool: Pool, *, level: int = 0, taken: Sequence[Taken] = ()) -> Part:
    """Merged detections in one view of an image.

    Parameters
    ----------
    run : Search
    view : Image
        The image as the network sees it, or a coarser view of it.
    pool : Pool
        From `skadetect.job.workers`.
    level : int
        How often the resolution was halved; see `skadetect.pyramid`.
    taken : sequence of Taken
        Of a smoothed view of an image: the sources that were found in finer views and are not in it any more.
    """
    options = run.options
    with bar(options.progress, "background" + _of(level)) as show:
        background = estimate_background(view, background_options(view), progress=show)
    view = _without_bad_channels(view, background)
    model, looks = (run.model, options.orientations or 1) if run.again is None else (run.first, 1)
    least_peak = COARSE_PEAK if taken else -math.inf
    job = Job(
        view, background, model, run.least_score(model), run.device, options.precision, looks, least_peak
    )
    second = _second_look(run, job, level)  # planned now, so that too little memory shows before hours
    rows, seconds = _tiles(run, job, pool, level, taken)
    if view.ndim == 2:  # no more tiles: millions of rows have their memory now
        arena.release()
        trim()
    rows = merge(rows, run.model)
    if second is not None:
        rows, more = _look_again(run, *second, rows, pool, level)
        seconds += more
    found = Part(rows, view, background, seconds, level)
    rows = _judged(found, run.model, taken)
    kept = rows.confidence >= np.float32(run.least_kept(view, level))
    if view.ndim == 2 and not level:  # what is bright is there, one way or another
        kept |= in_doubt(rows)
    return replace(found, rows=rows.take(kept))


def sky_model(found: Part, model: Model) -> SkyModel:
    """What was surely found in an image, as network and pixels together see it, in pixels of the view."""
    parts, beam = [], found.view.pixel_beam
    for rows in chunks(probable(found.rows, model.threshold)):
        centre, flux, bmaj, bmin, theta = _seen(rows, found, model)
        noise = rows.local_rms.astype(np.float64)
        parts.append(SkyModel.of(centre, flux, (bmaj, bmin, theta), beam=beam, noise=noise))
    return SkyModel.joined(parts)


def probable(rows: Detections, least: float) -> Detections:
    """The rows that are probable enough, or of a high enough score if that is all that is known."""
    return rows.take(rows.confidence >= np.float32(least))


def background_options(view: Image) -> BackgroundOptions | None:
    """How the background of a view is estimated; None for the usual way."""
    return BackgroundOptions(samples=CUBE_SAMPLES) if view.ndim == 3 else None


def held_room(device: str, options: DetectOptions) -> float:
    """Bytes for a view that is held in memory; none where each worker would have a copy."""
    return 0.0 if given_crew(device, options).apart else HELD_SHARE * Crew().share(options.max_memory)


class bar:
    """A progress bar in the form of a callback (done, total)."""

    def __init__(self, shown: bool, text: str) -> None:
        self._bar = tqdm(desc=text, unit=" done", disable=not shown)

    def __enter__(self) -> Callable[[int, int], None]:
        return partial(_advance, self._bar)

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def with_alternatives(parts: Sequence[Part], model: Model) -> list[Part]:
    """The same, the best row of each emission as probable as it is that one of all views' is right.

    Parameters
    ----------
    parts : sequence of Part
        Of an image and its smoothed views.
    model : Model
        Its threshold says which rows were taken out of coarser views.
    """
    smoothed = [part for part in parts if part.smoothed and "coarse_reliability" in model.metadata]
    if not smoothed:
        return list(parts)
    rows = Candidates.joined([_candidates(part, model) for part in smoothed])
    index, prob = best_alternatives(rows, model.threshold)
    known = rows.prob.copy()
    known[index] = prob
    ends = np.cumsum([len(part.rows) for part in smoothed])[:-1]
    better = [
        replace(part, rows=part.rows.with_(prob=some))
        for part, some in zip(smoothed, np.split(known, ends), strict=True)
    ]
    return [*(part for part in parts if not part.smoothed), *better]


def _candidates(part: Part, model: Model) -> Candidates:
    """Rows of a smoothed view in pixels of the file."""
    position, flux, bmaj, bmin, _ = _seen(part.rows, part, model)
    return Candidates(
        position=part.view.to_original(position),
        radius=0.5 * part.view.factor * np.sqrt(bmaj * bmin),
        int_flux=flux,
        prob=part.rows.prob.astype(np.float64),
        level=np.full(len(part.rows), part.level),
        kept=part.rows.prob >= np.float32(model.threshold),
    )


def _seen(rows: Detections, part: Part, model: Model) -> tuple[Floats, ...]:
    """Places, fluxes and ellipses through the beam."""
    shapes, rows, _ = measured(rows, part.view, model, cleaned=part.smoothed)
    return rows.position, shapes.int_flux, *shapes.convolved


def _tiles(run: Search, job: Job, pool: Pool, level: int, taken: Sequence[Taken]) -> tuple[Detections, float]:
    """Candidates of all of a view."""
    grid, crew = plan(job, run.options, held=_held(run, level))
    key: dict[str, Any] = {"tile": list(grid.tile_shape)}
    if taken:
        key["without"] = taken[-1].sources.digest
    ledger = _ledger(run, job, f"level-{level}", key)
    with bar(run.options.progress, "tiles" + _of(level)) as show:
        return detect_tiles(job, grid, pool, crew=crew, ledger=ledger, show=show)


def _second_look(run: Search, job: Job, level: int) -> tuple[Job, tuple[TileGrid, Crew]] | None:
    """The job and the plan of looking again, if anything is looked at again."""
    if run.again is None:
        return None
    job = replace(job, orientations=run.again.orientations, threshold=run.least_score(run.model))
    return job, plan(job, run.options, held=_held(run, level))


def _look_again(
    run: Search, job: Job, planned: tuple[TileGrid, Crew], rows: Detections, pool: Pool, level: int
) -> tuple[Detections, float]:
    """What is there where one look found something plausible, by the mean of several looks."""
    rows = _with_prob(rows, cube_probabilities(rows, job.image, run.first, level=level))
    centres = probable(rows, run.least_again).position
    grid, crew = planned
    tiles = windows(centres, grid, most=grid.most_read)
    logger.debug("%d candidates are looked at again in %d windows", len(centres), len(tiles))
    ledger = _ledger(run, job, f"level-{level}-again", {"windows": _digest(tiles)})
    with bar(run.options.progress, "second look" + _of(level)) as show:
        found, seconds = detect_tiles(job, tiles, pool, crew=crew, ledger=ledger, show=show)
    return merge(found.take(near(found.position, centres, grid)), run.model), seconds


def _ledger(run: Search, job: Job, name: str, tiles: Mapping[str, Any]) -> Any:
    """Where finished tiles are kept, if they are."""
    key = view_key(run.source, job.image)
    if run.folder is None or key is None:
        return None
    return ledger_of(run.folder / name, {**key, "model": run.digest, **tiles}, job)


def _of(level: int) -> str:
    """Which level a progress bar is of, where there are several."""
    return f" of level {level}" if level else ""


def _held(run: Search, level: int) -> float:
    """Bytes that views are held in: each is a quarter of the one before."""
    return 4 / 3 * held_room(run.device, run.options) if level else 0.0


def _judged(found: Part, model: Model, taken: Sequence[Taken]) -> Detections:
    """Rows with their probabilities, if the model knows them."""
    rows, view, covered = found.rows, found.view, found.background.covered
    if view.ndim == 3:
        return _with_prob(rows, cube_probabilities(rows, view, model, level=found.level))
    if taken:
        return _with_prob(rows, coarse_probabilities(rows, view, model, taken, covered=covered))
    return _with_prob(rows, image_probabilities(rows, view, model, covered=covered))


def _with_prob(rows: Detections, known: Floats | None) -> Detections:
    return rows if known is None else rows.with_(prob=known)


def _without_bad_channels(view: Image, background: Background) -> Image:
    """A cube without the channels whose noise stands out of their neighbours'."""
    channels = find_bad_channels(background) if view.ndim == 3 else ()
    if channels:
        logger.info("%s: channels left out for their noise: %s", view.name, channels)
    return blank(view, channels=channels)


def _digest(tiles: Sequence[Tile]) -> str:
    """What tells one set of windows from another."""
    corners: NDArray[np.int64] = np.array([(tile.own_lo, tile.own_hi) for tile in tiles], np.int64)
    return hashlib.sha256(corners.tobytes()).hexdigest()[:16]


def _advance(bar: Any, done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)

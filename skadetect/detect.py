"""Detect sources in an image or cube of any size: tiles through the network, boxes merged, one catalogue."""

from __future__ import annotations

import logging
import math
import os
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from skadetect import arena
from skadetect.blanking import blank
from skadetect.catalog.build import build_catalog
from skadetect.catalog.catalog import Catalog
from skadetect.catalog.coarser import Coarser
from skadetect.catalog.cube_build import build_cube_catalog
from skadetect.catalog.evidence import Taken
from skadetect.deblend import deblended
from skadetect.detect_options import MODELS, DetectOptions, parse_channels, parse_flux
from skadetect.detections import Detections
from skadetect.distribute import Pool
from skadetect.errors import ConfigError, InputError
from skadetect.image import BeamLike, Image, Source, open_image
from skadetect.job import workers
from skadetect.memory import return_freed_memory
from skadetect.nn.backends.select import resolve
from skadetect.nn.model import Model, shipped_models
from skadetect.pyramid import count_levels, judge_beside, merge_levels
from skadetect.resample import match_sampling
from skadetect.residual import residual_view
from skadetect.search import Part, Search, bar, probable, search_view, sky_model, with_alternatives
from skadetect.second_look import AGAIN
from skadetect.views import averaged_view

__all__ = ["DetectOptions", "Detector", "detect"]

logger = logging.getLogger(__name__)

#: Sources a beam below which noise may be a good part of what a shipped model of crowded fields finds.
SPARSE = 1 / 500
#: Pixels of an image that surely has several tiles: its workers start at once.
MANY_PIXELS = 1 << 24


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
        self._device = resolve(self.options.device)
        self._given = model if model is not None else self.options.model
        self._loaded: dict[str, tuple[Model, str]] = {}
        if self._given != "auto":
            self._load(self._given)  # what is wrong with it should show before an image is read

    def detect(
        self,
        image: Source | Image,
        *,
        beam: BeamLike | None = None,
        resume_folder: str | os.PathLike[str] | None = None,
        products: str | os.PathLike[str] | None = None,
    ) -> Catalog:
        """Find and measure the sources of one image or cube; see `skadetect.detect`.

        Parameters
        ----------
        image : path, (array, header), HDU or Image
            A radio image or cube.
        beam : radio_beam.Beam, (bmaj, bmin, pa) or float, optional
            Restoring beam in arcsec and degrees, instead of the header's and the options'.
        resume_folder : path, optional
            Keeps the tiles that are finished, so that the same call goes on from them after a crash; remove
            it once the catalogue is safe. Only for images in files.
        products : path, optional
            Folder for products (`write_products`), instead of the options'.
        """
        started = time.perf_counter()
        return_freed_memory()
        beam = beam if beam is not None else self.options.beam
        original = image if isinstance(image, Image) else open_image(image, beam=beam)
        folder = products if products is not None else self.options.products
        original = _without_flagged(original, self.options)
        run = self._search(image, original, resume_folder)
        normalization = run.model.normalization
        view = match_sampling(original, normalization.fwhm_range, normalization.channel_range)
        count = 1 + count_levels(view, run.model, self.options.levels)
        with arena.run(), workers(self._device, self.options) as pool:
            if math.prod(view.shape) >= MANY_PIXELS:
                pool.start()  # while the background is estimated
            parts = _search_levels(run, view, pool, count)
        meta = {
            "thresh": run.threshold,
            "modelsha": run.digest,
            "resampled": view.factor,
            "levels": count,
            "network_seconds": round(sum(part.seconds for part in parts), 3),
        }
        catalog = _catalog(run, parts, meta)
        catalog.meta["wall_seconds"] = wall = round(time.perf_counter() - started, 3)
        logger.info("%s: %d sources in %.1f s", original.name, len(catalog), wall)
        crowded = original.ndim == 2 and "reliability" not in run.model.metadata
        if crowded and self.options.threshold is None and run.model.name in shipped_models():
            _warn_if_sparse(view, len(catalog), run.model.name)  # of others' thresholds nothing is known
        if folder is not None:
            self.write_products(catalog, original, folder)
        return catalog

    def write_products(
        self,
        catalog: Catalog,
        image: Source | Image,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
    ) -> None:
        """Write the maps of an image, or the products of each galaxy of a cube; see `skadetect.products`.

        Parameters
        ----------
        catalog : Catalog
            Of the image or cube.
        image : path, (array, header), HDU or Image
            The image or cube.
        folder : path
            Where to; it is made if it is not there.
        overwrite : bool
            Replace files there that are of something else.

        Raises
        ------
        OutputError
            If a file cannot be written.
        """
        from skadetect.products import ProductOptions, write_maps, write_products  # imports for a second

        options = self.options
        opened = image if isinstance(image, Image) else open_image(image, beam=options.beam)
        with bar(options.progress, "products") as show:
            if opened.ndim == 2:
                write_maps(catalog, opened, folder, overwrite=overwrite, progress=show)
                return
            workers = max(options.workers, 1)
            how = ProductOptions.for_memory(options.max_memory, workers=workers, overwrite=overwrite)
            write_products(catalog, opened, folder, options=how, progress=show)

    def model_for(self, image: Image) -> tuple[Model, str]:
        """The model for an image of its rank, batch norms folded, and the digest of its weights.

        Raises
        ------
        InputError
            For a cube given to a model of images, or the other way round.
        ConfigError
            If the model knows no probabilities for so many orientations.
        """
        base, digest = self._base(image)
        return base.looking(self._looks(base)), digest

    def _search(
        self, source: Source | Image, image: Image, resume_folder: str | os.PathLike[str] | None
    ) -> Search:
        base, digest = self._base(image)
        return Search(
            source=source,
            image=image,
            model=base.looking(self._looks(base)),
            first=base,
            digest=digest,
            options=self.options,
            device=self._device,
            folder=None if resume_folder is None else Path(resume_folder),
        )

    def _base(self, image: Image) -> tuple[Model, str]:
        """The model for an image as it is calibrated for one look, and its digest."""
        given = self._given
        if given == "auto":
            given = MODELS[image.ndim]
            if given not in shipped_models():
                raise InputError(f"{_described(image)}; no shipped model reads that, give one by --model")
        model, digest = self._load(given)
        if image.ndim != model.head.ndim:
            raise InputError(f"{_described(image)}; the model {model.name!r} expects {model.head.ndim}")
        return model, digest

    def _looks(self, model: Model) -> int | str:
        """How an image is looked at: so many times, or once and again at what was found."""
        looks, known = self.options.orientations, model.metadata.get("looks", {})
        if looks is None:
            return AGAIN if AGAIN in known else 1
        numbers = sorted({1, *(int(key) for key in known if key != AGAIN)})
        if looks not in numbers and "reliability" in model.metadata:
            raise ConfigError(
                f"orientations is {looks}, expected {' or '.join(map(str, numbers))}: for others the model "
                f"{model.name!r} knows no probabilities"
            )
        return looks

    def _load(self, given: str | os.PathLike[str] | Model) -> tuple[Model, str]:
        key = given.name if isinstance(given, Model) else os.fspath(given)
        if key not in self._loaded:
            model = given if isinstance(given, Model) else Model.load(given)
            self._loaded[key] = model.folded(), model.digest
        return self._loaded[key]


def _described(image: Image) -> str:
    return f"{image.name} has {image.ndim} axes beside degenerate ones, shape {image.shape}"


def _warn_if_sparse(view: Image, found: int, model: str) -> None:
    """Say that a field has so few sources that noise may be a good part of them."""
    beams = math.prod(view.shape) / max(view.pixel_beam.area, 1.0)
    if 0 < found < SPARSE * beams:
        logger.warning(
            "%s: %d sources in %.3g beams. The model %r is for crowded fields: in one as sparse as that most "
            "of the faint rows may be noise. --model continuum knows how probable each row is",
            view.name,
            found,
            beams,
            model,
        )


def _without_flagged(image: Image, options: DetectOptions) -> Image:
    """The image without what the options leave out."""
    return blank(
        image,
        continuum=options.continuum,
        limit=parse_flux(options.continuum_limit),
        channels=parse_channels(options.flag_channels),
    )


def _search_levels(run: Search, view: Image, pool: Pool, count: int) -> list[Part]:
    """What is found in an image, and in coarser views of it."""
    store, parts, taken = run.view_store(view), [_settled(run, search_view(run, view, pool))], []
    seen = view
    for level in range(1, count):
        if view.ndim == 3:
            seen = averaged_view(view, seen, level, store=store)
        else:
            taken.append(Taken(sky_model(parts[-1], run.model), seen))
            sources = taken[-1].sources
            seen = store.keep(residual_view(seen, sources), level, without=sources.digest)
        parts.append(search_view(run, seen, pool, level=level, taken=taken))
    return with_alternatives([part.without_pixels() for part in parts], run.model)


def _settled(run: Search, found: Part) -> Part:
    """What was found in an image, blends taken apart if it is known how probable rows are."""
    if found.view.ndim == 3 or not run.options.blends:
        return found
    with bar(run.options.progress, "blends") as show:
        return replace(found, rows=deblended(found.rows, found.view, run.model, progress=show))


def _catalog(run: Search, parts: list[Part], meta: dict[str, Any]) -> Catalog:
    """The catalogue of an image or of a cube; the parts of an image are let go of."""
    if run.image.ndim == 3:
        levels = merge_levels([(part.rows, part.view) for part in parts], run.model)
        return build_cube_catalog(judge_beside(levels, run.model, run.threshold), run.model, meta=meta)
    first, *others = [replace(part, rows=probable(part.rows, run.threshold)) for part in parts]
    parts.clear()  # millions of rows
    image = _as_seen(run.image, first.view)
    rows = _to_original(first.rows, first.view)
    coarser = [_coarser(part, first) for part in others]
    return build_catalog(rows, image, run.model, coarser=coarser, meta=meta)


def _coarser(part: Part, first: Part) -> Coarser:
    """What was found in a smoothed view, with the noise of the image at its place."""
    position = (part.view.to_original(part.rows.position) + 0.5) / first.view.factor - 0.5
    shape = np.array(first.view.shape[1:])
    where = np.clip(np.floor(position + 0.5), 0, shape - 1).astype(np.int64)
    level, rms = first.background.spectra(np.zeros(len(where), np.int64), 1, where)
    return Coarser(part.rows, part.view, rms[:, 0], level[:, 0])


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

"""The same image on pixels two, four, ... times as large, in memory or on disk so that it is read once."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect import __version__
from skadetect.image import Image
from skadetect.job import SLAB, slabs
from skadetect.ledger import file_identity
from skadetect.pixels import ArrayPixels, AxisOrder, Corner, FitsPixels, PixelSource
from skadetect.resample import BlockMeanPixels, block_mean

logger = logging.getLogger(__name__)

#: Share of the free disk that one view may take.
DISK_SHARE = 0.25
_ORDER = AxisOrder((0, 1, 2))


def view_key(source: object, view: Image) -> dict[str, Any] | None:
    """What decides the pixels of a view, if it is of a file that a later run can know again; else None.

    Parameters
    ----------
    source : object
        What was given to be opened.
    view : Image
    """
    if not isinstance(source, (str, os.PathLike)):
        return None
    beam = view.pixel_beam
    return {
        "image": file_identity(source),
        "beam": [beam.bmaj, beam.bmin, beam.theta],
        "repairs": list(view.repairs),
        "version": __version__,
    }


@dataclass(frozen=True)
class ViewStore:
    """Where views on averaged pixels are kept.

    Attributes
    ----------
    memory : float
        Bytes that a view may take to be held in memory.
    folder : Path or None
        Where a larger one is written, if it takes at most a quarter of the free disk; None to average the
        file's pixels again whenever they are read.
    key : mapping
        All that decides what a view shows, plain JSON values: a view that an earlier run wrote is used again
        if its key is the same.
    """

    memory: float = 0.0
    folder: Path | None = None
    key: Mapping[str, Any] = field(default_factory=dict)

    def keeps(self, shape: tuple[int, ...]) -> bool:
        """Whether a view of this shape will be made once only."""
        return _bytes(shape) <= self.memory or self.on_disk(shape)

    def on_disk(self, shape: tuple[int, ...]) -> bool:
        """Whether a view of this shape will be written to a file."""
        return _bytes(shape) > self.memory and self._has_disk(shape)

    def keep(self, view: Image, level: int, *, without: str = "") -> Image:
        """The same view with its pixels in memory or in a file, or as it is where there is no room.

        Parameters
        ----------
        view : Image
        level : int
            How often its resolution was halved.
        without : str
            Digest of the sources that were taken out of it.
        """
        if _bytes(view.shape) <= self.memory:
            pixels = np.empty(view.shape, np.float32)
            _fill(pixels, view)
            return replace(view, pixels=ArrayPixels(pixels, _ORDER))
        path = self._path(level, without)
        if path is None or not (path.exists() or self._has_disk(view.shape)):
            return view
        try:
            _write(path, view)
        except OSError as error:
            reason = error.strerror or error
            logger.warning(
                "%s: %s cannot be written (%s); the file is read again instead", view.name, path, reason
            )
            return view
        return replace(view, pixels=FitsPixels(path, 0, np.dtype(np.float32).str, view.shape, _ORDER))

    def _path(self, level: int, without: str) -> Path | None:
        """The file of a level; another key has another name."""
        if self.folder is None:
            return None
        key = {**self.key, **({"without": without} if without else {})}
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / f"view-{level}-{digest}.f32"

    def _has_disk(self, shape: tuple[int, ...]) -> bool:
        if self.folder is None:
            return False
        place = next((p for p in (self.folder, *self.folder.absolute().parents) if p.exists()), None)
        return place is not None and _bytes(shape) <= DISK_SHARE * shutil.disk_usage(place).free


def averaged_view(first: Image, before: Image, level: int, *, store: ViewStore) -> Image:
    """Means of 2 x 2 pixels of a view of a cube, in each channel.

    Parameters
    ----------
    first, before : Image
        The cube, and its view on the level before.
    level : int
        Of the new view, from 1.
    store : ViewStore
        Keeps it, so that its search need not read the whole file again and again; what it shows does not
        depend on that.
    """
    view = block_mean(first, 2**level)
    raised = before.pixel_beam.area * 4.0 ** (level - 1) / first.pixel_beam.area
    gain = view.pixel_beam.area * 4.0**level / first.pixel_beam.area
    pixels: PixelSource = BlockMeanPixels(before.pixels, 2, gain / raised)
    return store.keep(replace(view, pixels=pixels), level)


def _bytes(shape: tuple[int, ...]) -> int:
    return 4 * math.prod(shape)


def pieces(view: Image) -> Iterator[tuple[Corner, Corner]]:
    """Windows (low, high) of whole rows that follow each other in a file, none of them large."""
    depth, height, width = view.shape
    if depth > 1:
        yield from (((start, 0, 0), (stop, height, width)) for start, stop in slabs(view.shape, view))
        return
    rows = max(1, int(SLAB / (width * max(view.factor, 1.0) ** 2)))
    for start in range(0, height, rows):
        yield (0, start, 0), (1, min(start + rows, height), width)


def _fill(pixels: NDArray[np.float32], view: Image) -> None:
    """Read a view, a piece at a time."""
    for low, high in pieces(view):
        pixels[low[0] : high[0], low[1] : high[1]] = view.read(low, high)


def _write(path: Path, view: Image) -> None:
    """Make the file of a view, unless it is there; under its name only once it is complete."""
    if path.exists() and path.stat().st_size == _bytes(view.shape):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    logger.info("%s: coarser pixels are kept in %s (%.3g GB)", view.name, path, _bytes(view.shape) / 1e9)
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            for low, high in pieces(view):
                view.read(low, high).tofile(file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

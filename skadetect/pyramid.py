"""Galaxies larger than the network's own range: the same cube at half the resolution, and again.

Each level is a view of spatial block means in which a galaxy is half as large as on the level before. A level
keeps the boxes whose size it is good at, and what two levels say of one galaxy becomes one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skadetect.boxes import nms
from skadetect.detections import Detections
from skadetect.image import Image
from skadetect.infer import INNER_HALF
from skadetect.nn.model import Model
from skadetect.parameters import decode

#: Pixels along the shorter side that a level has at least.
LEAST_SIDE = 8
#: Longer side (y or x) of the boxes that a level keeps, in its pixels, where a level below or above has the
#: others; twice the low end is below the high end, so that a galaxy at the limit is kept by one of them.
SIZE_RANGE = (7.0, 16.0)
#: A box of a coarser level is the blur of a galaxy inside it that has this share of its flux times score.
ECHO_SHARE = 0.6
#: Plain DIoU above which boxes of two levels, neither inside the other, are one galaxy.
SAME_OVERLAP = 0.0


@dataclass(frozen=True)
class Boxes:
    """Rows of all levels in one place.

    Attributes
    ----------
    boxes : array (n, 2, 3)
        Corners in pixels of the file.
    level : array (n,), int
        The level that each was found on, 0 the finest.
    score : array (n,)
        Confidence of the network, 0 to 1.
    flux : array (n,)
        Integrated flux, on one scale for all levels.
    """

    boxes: NDArray[np.float64]
    level: NDArray[np.int64]
    score: NDArray[np.float64]
    flux: NDArray[np.float64]

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Boxes:
        """Some of the rows."""
        return Boxes(self.boxes[index], self.level[index], self.score[index], self.flux[index])


def count_levels(image: Image, model: Model, wanted: int | None) -> int:
    """How many coarser levels a search takes.

    Parameters
    ----------
    image : Image
        As the network sees it on the finest level.
    model : Model
        Its metadata's entry "pyramid" says whether it was trained for such views.
    wanted : int or None
        At most so many; None for as many as make sense if the model is made for it, and none else.
    """
    if image.ndim == 2 or (wanted is None and not model.metadata.get("pyramid", False)):
        return 0
    possible, side = 0, min(image.shape[1:])
    while side // 2 ** (possible + 1) >= LEAST_SIDE:
        possible += 1
    return possible if wanted is None else min(wanted, possible)


def fits_level(boxes: NDArray[np.float64], level: int, last: int) -> NDArray[np.bool_]:
    """Which boxes a level keeps for their size.

    Parameters
    ----------
    boxes : array (n, 2, 3)
        Corners in pixels of the level.
    level, last : int
        The level and the coarsest one.
    """
    side = (boxes[:, 1, 1:] - boxes[:, 0, 1:]).max(axis=1, initial=0.0)
    low, high = SIZE_RANGE
    return (side >= (low if level else 0.0)) & (side <= (high if level < last else np.inf))


def merge_levels(parts: Sequence[tuple[Detections, Image]], model: Model) -> list[tuple[Detections, Image]]:
    """One row a galaxy, of what all levels found.

    Parameters
    ----------
    parts : sequence of (Detections, Image)
        Per level its rows, in pixels of its view.
    model : Model
        Decodes their fluxes.
    """
    if len(parts) == 1:
        return list(parts)
    fitting = [
        rows.take(fits_level(rows.boxes, level, len(parts) - 1)) for level, (rows, _) in enumerate(parts)
    ]
    kept = np.zeros(sum(map(len, fitting)), bool)
    kept[one_row_a_galaxy(_in_file(fitting, [view for _, view in parts], model))] = True
    ends = np.cumsum([len(rows) for rows in fitting])[:-1]
    masks = np.split(kept, ends)
    return [(rows.take(mask), view) for rows, mask, (_, view) in zip(fitting, masks, parts, strict=True)]


def one_row_a_galaxy(rows: Boxes) -> NDArray[np.int64]:
    """Indices of the rows that remain, rising.

    From the finest level to the coarsest, each level's boxes meet what remains of the finer ones:

    * a box is the blur of a compact galaxy, and goes, if a finer one inside it has most of its flux times
      score: a faint or doubtful large box must not swallow a bright compact galaxy;
    * else the finer boxes inside it are its pieces, and go.

    Inside means with the centre and more than half of the volume. Boxes that overlap otherwise are decided
    by `nms`, by score.
    """
    alive = np.zeros(len(rows.level), bool)
    for level in np.unique(rows.level):
        finer, coarser = np.flatnonzero(alive), np.flatnonzero(rows.level == level)
        inner, outer = pairs_inside(rows.boxes[finer], rows.boxes[coarser])
        weight = rows.flux * rows.score
        blurred = weight[finer[inner]] >= ECHO_SHARE * weight[coarser[outer]]
        echo = np.zeros(len(coarser), bool)
        echo[outer[blurred]] = True
        alive[finer[inner[~echo[outer]]]] = False
        alive[coarser[~echo]] = True
    left = np.flatnonzero(alive)
    for overlap, limit in (("diou", SAME_OVERLAP), ("inner", INNER_HALF)):
        left = left[np.sort(nms(rows.boxes[left], rows.score[left], threshold=limit, overlap=overlap))]
    return left


def pairs_inside(
    fine: NDArray[np.float64], coarse: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which boxes lie in which others, with the centre and more than half of the volume.

    Parameters
    ----------
    fine, coarse : array (n, 2, 3) and (m, 2, 3)
        Corners, in one unit.

    Returns
    -------
    inner, outer : array (k,), int64
        Indices into `fine` and `coarse`, one of each a pair.
    """
    centre = fine.mean(axis=1)
    order = np.argsort(centre[:, 0], kind="stable")
    first, last = (np.searchsorted(centre[order, 0], coarse[:, end, 0]) for end in (0, 1))
    inner = []
    for around, start, stop in zip(coarse, first, last, strict=True):
        near = order[start:stop]
        near = near[((centre[near] >= around[0]) & (centre[near] <= around[1])).all(axis=1)]
        low, high = fine[near, 0], fine[near, 1]
        common = np.clip(np.minimum(high, around[1]) - np.maximum(low, around[0]), 0.0, None).prod(axis=1)
        inner.append(near[common > 0.5 * (high - low).prod(axis=1)])
    outer = np.repeat(np.arange(len(coarse)), [len(rows) for rows in inner])
    return np.concatenate([np.empty(0, np.int64), *inner]), outer


def _in_file(parts: Sequence[Detections], views: Sequence[Image], model: Model) -> Boxes:
    """The rows of all levels in pixels of the file, their fluxes in image units times beam times channel."""
    flux = []
    for rows, view in zip(parts, views, strict=True):
        fwhm = view.pixel_beam.fwhm
        values = decode(model.parameters, rows.parameters, anchor=rows.anchor, beam_fwhm=fwhm)
        flux.append(values.get("line_flux", np.ones(len(rows))) * rows.local_rms)
    return Boxes(
        boxes=np.concatenate([view.to_original(rows.boxes) for rows, view in zip(parts, views, strict=True)]),
        level=np.repeat(np.arange(len(parts)), [len(rows) for rows in parts]),
        score=np.concatenate([rows.score for rows in parts]).astype(np.float64),
        flux=np.concatenate(flux),
    )

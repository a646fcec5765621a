"""Galaxies larger than the network's own range: the same cube at half the resolution, and again.

Each level is a view of spatial block means in which a galaxy is half as large as on the level before. A level
measures the sizes it is good at best, and what several levels say of one galaxy becomes one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from skadetect._numba import PARALLEL
from skadetect.detections import Detections
from skadetect.image import Image
from skadetect.nn.model import Model
from skadetect.overlaps import measure_of, overlap_of
from skadetect.parameters import decode

#: Pixels along the shorter side that a level has at least.
LEAST_SIDE = 8
#: Beams and pixels along the shorter side that a smoothed view of an image has at least, and how often it is
#: smoothed at most: emission beyond some hundred beams is the interferometer's blind side.
LEAST_BEAMS, LEAST_PIXELS, MOST_SMOOTHINGS = 6.0, 24, 6
#: Longer side (y or x) of the boxes that a level measures well, in its pixels; twice the low end is below the
#: high end, so that every galaxy is within the range of some level.
SIZE_RANGE = (7.0, 16.0)
#: What an octave beyond that range counts, in score, where levels compete for a galaxy.
OCTAVE_COST = 0.3
#: DIoU (squared distance) above which two boxes are one galaxy.
SAME_OVERLAP = 0.0
#: Two boxes, one in the other, are one galaxy if the lesser one has this share of the flux, or of the side.
SAME_FLUX, SAME_SIDE = 0.3, 0.5
#: A centre is deep in a box if it is at most this share of each side off the middle.
DEEP = 0.25


@dataclass(frozen=True)
class Boxes:
    """Rows of all levels in one place.

    Attributes
    ----------
    boxes : array (n, 2, 3)
        Corners in pixels of the file.
    rank : array (n,)
        Which one is to be kept of those of one galaxy: the highest.
    flux : array (n,)
        Integrated flux, on one scale for all levels.
    """

    boxes: NDArray[np.float64]
    rank: NDArray[np.float64]
    flux: NDArray[np.float64]

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Boxes:
        """Some of the rows."""
        return Boxes(self.boxes[index], self.rank[index], self.flux[index])


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
    if wanted is None and not model.metadata.get("pyramid", False):
        return 0
    least = LEAST_SIDE if image.ndim == 3 else max(LEAST_PIXELS, LEAST_BEAMS * image.pixel_beam.fwhm)
    possible, side = 0, min(image.shape[1:])
    while side // 2 ** (possible + 1) >= least and (image.ndim == 3 or possible < MOST_SMOOTHINGS):
        possible += 1
    return possible if wanted is None else min(wanted, possible)


def octaves_beyond(side: ArrayLike, level: int) -> NDArray[np.float64]:
    """How far boxes are from the sizes that a level measures well, in octaves; 0 within.

    Parameters
    ----------
    side : array (n,)
        Longer side (y or x), in pixels of the level.
    level : int
        0 is the finest, for which none is too small.
    """
    octave = np.log2(np.maximum(np.asarray(side, np.float64), 1e-3))
    low, high = np.log2(SIZE_RANGE)
    return np.maximum(np.maximum(low - octave if level else 0.0, octave - high), 0.0)


def longer_sides(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Longer side in y and x of boxes (n, 2, 3)."""
    return np.asarray((boxes[:, 1, 1:] - boxes[:, 0, 1:]).max(axis=1, initial=0.0))


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
    kept = np.zeros(sum(len(rows) for rows, _ in parts), bool)
    kept[one_row_a_galaxy(_in_file(parts, model))] = True
    return [(rows.take(mask), view) for (rows, view), mask in zip(parts, _split(kept, parts), strict=True)]


def judge_beside(
    parts: Sequence[tuple[Detections, Image]], model: Model, least: float
) -> list[tuple[Detections, Image]]:
    """The rows that are probable enough once it is known which ones lie beside a brighter one.

    Parameters
    ----------
    parts : sequence of (Detections, Image)
        Per level its rows, in pixels of its view, with their probabilities: one row a galaxy.
    model : Model
        Decodes their fluxes; if it is calibrated, with a slope of "beside", that changes probabilities.
    least : float
        Least probability.
    """
    slope = (model.metadata.get("reliability") or {}).get("slopes", {}).get("beside", 0.0)
    if not slope:
        return list(parts)
    rows = _in_file(parts, model)
    marks = _split(beside_brighter(rows.boxes, rows.flux), parts)
    judged = [
        (found.with_(prob=expit(logit(found.prob.astype(np.float64)) + slope * mark)), view)
        for (found, view), mark in zip(parts, marks, strict=True)
    ]
    return [(found.take(found.prob >= np.float32(least)), view) for found, view in judged]


def beside_brighter(
    boxes: NDArray[np.float64], flux: NDArray[np.float64], sure: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Whether each box (n, 2, 3) has volume in common with one of higher flux (n,), which is sure (n,)."""
    first, second = meeting_pairs(boxes)
    faint = flux[first] < flux[second]
    fainter, brighter = np.where(faint, first, second), np.where(faint, second, first)
    beside = np.zeros(len(boxes), bool)
    beside[fainter if sure is None else fainter[sure[brighter]]] = True
    return beside


def one_row_a_galaxy(rows: Boxes) -> NDArray[np.int64]:
    """Indices of the rows that remain, rising: of those that are one galaxy the one of the highest rank.

    Two boxes are one galaxy if they overlap well, or if the smaller one lies in the larger one, with its
    centre and more than half of its volume, and is not much less than that: a galaxy seen on two levels is
    about as bright and as large on both. What is much fainter and smaller is a galaxy of its own, close to
    the large one or before it.
    """
    first, second = meeting_pairs(rows.boxes)
    same = _same_galaxy(rows.take(first), rows.take(second))
    first, second = first[same], second[same]
    corners = rows.boxes.reshape(len(rows.boxes), 6)
    order = np.lexsort((*corners.T, -rows.rank))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    better = np.where(place[first] < place[second], first, second)
    worse = np.where(place[first] < place[second], second, first)
    by_better = np.argsort(place[better], kind="stable")
    kept = np.ones(len(order), bool)
    for winner, loser in zip(better[by_better].tolist(), worse[by_better].tolist(), strict=True):
        if kept[winner]:  # settled: all that could drop it came before
            kept[loser] = False
    return np.flatnonzero(kept)


def meeting_pairs(boxes: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of boxes (n, 2, 3) that have volume in common, each once: indices (k,) of both."""
    order = np.argsort(boxes[:, 0, 0], kind="stable")
    stops = np.searchsorted(boxes[order, 0, 0], boxes[order, 1, 0])
    first, second = [], []
    for place, (row, stop) in enumerate(zip(order, stops, strict=True)):
        near = order[place + 1 : stop]
        meets = (boxes[near, 1] > boxes[row, 0]) & (boxes[near, 0] < boxes[row, 1])
        near = near[meets.all(axis=1)]
        first.append(np.full(len(near), row))
        second.append(near)
    none = np.empty(0, np.int64)
    return np.concatenate([none, *first]), np.concatenate([none, *second])


def _split(marks: NDArray[np.bool_], parts: Sequence[tuple[Detections, Image]]) -> list[NDArray[np.bool_]]:
    """Marks of all rows, by levels."""
    return np.split(marks, np.cumsum([len(rows) for rows, _ in parts])[:-1])


def _same_galaxy(a: Boxes, b: Boxes) -> NDArray[np.bool_]:
    """Whether each box of `a` and its partner in `b`, which it meets, are one galaxy."""
    sides = np.stack([each.boxes[:, 1] - each.boxes[:, 0] for each in (a, b)])
    volumes = sides.prod(axis=2)
    ends = np.minimum(a.boxes[:, 1], b.boxes[:, 1]) - np.maximum(a.boxes[:, 0], b.boxes[:, 0])
    common = ends.prod(axis=1)
    larger = np.where((volumes[0] >= volumes[1])[:, None], sides[0], sides[1])
    off = np.abs(a.boxes.mean(axis=1) - b.boxes.mean(axis=1)) / larger
    flux = np.minimum(a.flux, b.flux) >= SAME_FLUX * np.maximum(a.flux, b.flux)
    plane = sides[..., 1:].max(axis=2)
    side = plane.min(axis=0) >= SAME_SIDE * plane.max(axis=0)
    inside = (off <= 0.5).all(axis=1) & (common > 0.5 * volumes.min(axis=0))
    deep = (off <= DEEP).all(axis=1)
    overlap = np.empty(len(common))
    _overlaps(measure_of("diou_squared"), a.boxes, b.boxes, overlap)
    return (overlap > SAME_OVERLAP) | (inside & (flux | side)) | (deep & side)


@njit(**PARALLEL)
def _overlaps(kind: int, a: NDArray[np.float64], b: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    for pair in prange(len(out)):
        out[pair] = overlap_of(kind, a[pair], b[pair])


def _in_file(parts: Sequence[tuple[Detections, Image]], model: Model) -> Boxes:
    """The rows of all levels in pixels of the file, their fluxes in image units times beam times channel."""
    flux, rank = [], []
    for level, (rows, view) in enumerate(parts):
        fwhm = view.pixel_beam.fwhm
        values = decode(model.parameters, rows.parameters, anchor=rows.anchor, beam_fwhm=fwhm)
        flux.append(values.get("line_flux", np.ones(len(rows))) * rows.local_rms)
        rank.append(rows.score - OCTAVE_COST * octaves_beyond(longer_sides(rows.boxes), level))
    boxes = [view.to_original(rows.boxes) for rows, view in parts]
    return Boxes(np.concatenate(boxes), np.concatenate(rank), np.concatenate(flux))

"""Run a model on a signal-to-noise map: features, network, boxes. Knows no files, no tiles, no sky."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.beams import PixelBeam
from skadetect.boxes import nms
from skadetect.detections import Detections
from skadetect.nn.anchor import anchor_map
from skadetect.nn.backends.base import Backend
from skadetect.nn.head import decode
from skadetect.nn.model import Model
from skadetect.nn.slabs import Slabs
from skadetect.orientation import mean_outputs

#: Depth in a better box, 1 at its centre and 0 at its surface, beyond which a box is the same galaxy again.
INNER_HALF = 0.5


@dataclass
class Stopwatch:
    """Seconds spent in the network, and in making its features, for reports of what else a run takes."""

    network: float = field(default=0.0)
    features: float = field(default=0.0)


def candidates(
    model: Model,
    s: NDArray[np.float32],
    beam: PixelBeam,
    *,
    backend: Backend,
    threshold: float | None = None,
    watch: Stopwatch | None = None,
    orientations: int = 1,
) -> Detections:
    """All boxes above a threshold, overlapping ones included.

    Parameters
    ----------
    model : Model
        With batch norms folded, if it is to be fast.
    s : ndarray, shape (z, y, x)
        Signal to noise, dimensionless, float32.
    beam : PixelBeam
        Beam of the map, pixels.
    backend : Backend
        Operations to run on.
    threshold : float, optional
        Lowest score; the model's own by default.
    watch : Stopwatch, optional
        Gains the seconds that the network took.
    orientations : int
        In how many ways the map is looked at, see `skadetect.orientation`.

    Returns
    -------
    Detections
        In pixels of the map (0-based, integers are centres); pixel measurements are zero.
    """
    padded = _pad(s, model.stride)
    watch = watch or Stopwatch()
    forward = model.network.forward_on if orientations == 1 else model.network.forward

    def look(shown: NDArray[np.float32], shown_beam: PixelBeam) -> Any:
        return forward(network_input(model, shown, shown_beam, watch=watch), backend)

    start, made = time.perf_counter(), watch.features
    outputs = mean_outputs(model, padded, beam, look, count=orientations)
    found = decode(outputs, model.head, threshold=model.threshold if threshold is None else threshold)
    watch.network += time.perf_counter() - start - (watch.features - made)
    anchors = anchor_map(padded, model.stride).reshape(-1)
    rows = Detections.from_columns(
        position=found.position - 0.5,
        boxes=found.boxes - 0.5,
        score=found.score,
        prior=found.prior,
        class_index=found.class_index,
        parameters=found.parameters,
        anchor=anchors[found.cell],
    )
    limits = np.array(s.shape[-model.head.ndim :])
    within = ((rows.position >= -0.5) & (rows.position < limits - 0.5)).all(axis=1)
    return rows.take(within)


def infer(
    model: Model,
    s: NDArray[np.float32],
    beam: PixelBeam,
    *,
    backend: Backend,
    threshold: float | None = None,
) -> Detections:
    """Detections of a whole map at once: `candidates`, then overlapping boxes merged.

    Parameters and return value are those of `candidates`.
    """
    return merge(candidates(model, s, beam, backend=backend, threshold=threshold), model)


def merge(rows: Detections, model: Model) -> Detections:
    """Keep the best of each group of overlapping boxes (greedy, by score, then position).

    The boxes of all tiles go in together, so that the result cannot depend on where the tiles' edges are. In
    a cube, where one galaxy may be boxed with very different extents along the spectrum, a box also goes
    whose centre lies in the inner half of a better one on every axis.
    """
    if not len(rows):
        return rows
    kept = rows.take(nms(rows.boxes, rows.score, threshold=model.nms_overlap))
    if kept.ndim == 2:
        return kept
    return kept.take(nms(kept.boxes, kept.score, threshold=INNER_HALF, overlap="inner"))


def network_input(
    model: Model, s: NDArray[np.float32], beam: PixelBeam, *, watch: Stopwatch | None = None
) -> Slabs:
    """What a model's network sees of a map, made where and when it is wanted.

    Parameters
    ----------
    model, s, beam
        As for `candidates`; the extents of the map are multiples of the model's stride.
    watch : Stopwatch, optional
        Gains the seconds that making it takes here, which are not the network's.
    """
    watch = watch or Stopwatch()

    def make(start: int, stop: int) -> NDArray[np.float32]:
        begun = time.perf_counter()
        part = s[start:stop] if len(s) > 1 else s[:, start:stop]
        made = model.normalization.varying(part)[None]
        watch.features += time.perf_counter() - begun
        return made

    constants = model.normalization.constants(beam)
    stretched = s[None], model.normalization.rows
    return Slabs((1, *s.shape, model.normalization.features), make, constants, stretched)


def _pad(s: NDArray[np.float32], stride: tuple[int, int, int]) -> NDArray[np.float32]:
    extra = [(0, -n % step) for n, step in zip(s.shape, stride, strict=True)]
    if not any(after for _, after in extra):
        return s
    return np.pad(s, extra)

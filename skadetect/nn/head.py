"""The YOLO head: what the planes of the last layer mean, and how they become boxes.

Each output cell predicts ``len(priors)`` boxes, one after another along the feature axis; a box holds, in
this order, ndim positions and ndim sizes (array axis order), probability P, objectness O, the classes and the
parameters. All are raw: P, O and classes are logits. Inside this module and the loss, coordinates are *edge*
coordinates, u = pixel + 0.5, so that the cell of u is floor(u / stride).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, prange

from skadetect._numba import JIT, PARALLEL
from skadetect.errors import ModelError
from skadetect.formulas import logit, sigmoid
from skadetect.matching import decode_box


@dataclass(frozen=True)
class HeadSpec:
    """Layout and geometry of the outputs.

    Parameters
    ----------
    priors : tuple of tuple of float
        Per box of a cell its prior sides in pixels, ndim each, array axis order.
    stride : tuple of int, length 3
        Pixels a cell along (z, y, x); 1 along z in 2D.
    ndim : int
        Image axes that boxes have: 2 or 3.
    classes, parameters : int
        Number of classes and of regressed quantities.
    position_scale : float
        1 keeps a centre inside its cell (YOLO-CIANNA); above 1, sigmoid * scale - (scale - 1) / 2 reaches
        beyond both edges, so that a source on a border needs no infinite logit.
    size_clip : tuple of float
        Limits of log(side / prior).

    Raises
    ------
    ModelError
        If a value is out of range or the priors do not have ndim sides.
    """

    priors: tuple[tuple[float, ...], ...]
    stride: tuple[int, int, int] = (1, 4, 4)
    ndim: int = 2
    classes: int = 0
    parameters: int = 0
    position_scale: float = 1.0
    size_clip: tuple[float, float] = (-6.0, 6.0)

    def __post_init__(self) -> None:
        priors = tuple(tuple(float(side) for side in prior) for prior in self.priors)
        object.__setattr__(self, "priors", priors)
        object.__setattr__(self, "stride", tuple(int(step) for step in self.stride))
        object.__setattr__(self, "size_clip", tuple(float(limit) for limit in self.size_clip))
        if self.ndim not in (2, 3):
            raise ModelError(f"head ndim is {self.ndim}, expected 2 or 3")
        if not self.priors or any(len(p) != self.ndim or min(p) <= 0 for p in self.priors):
            raise ModelError(f"head priors are {self.priors}, expected {self.ndim} positive sides each")
        if len(self.stride) != 3 or min(self.stride) < 1:
            raise ModelError(f"head stride is {self.stride}, expected three positive integers (z, y, x)")
        if self.position_scale < 1:
            raise ModelError(f"head position_scale is {self.position_scale}, expected 1 or more")

    @property
    def n_boxes(self) -> int:
        """Boxes a cell."""
        return len(self.priors)

    @property
    def box_width(self) -> int:
        """Output planes a box."""
        return 2 * self.ndim + 2 + self.classes + self.parameters

    @property
    def n_outputs(self) -> int:
        """Output planes in all."""
        return self.n_boxes * self.box_width

    @property
    def prior_array(self) -> np.ndarray:
        """Priors in pixels, shape (n_boxes, ndim), float64."""
        return np.array(self.priors, dtype=np.float64)

    @property
    def geometry(self) -> np.ndarray:
        """For the kernels, float64: stride along the ndim axes, position_scale and the two size limits."""
        return np.array([*self.stride[3 - self.ndim :], self.position_scale, *self.size_clip], dtype="f8")

    def check(self, outputs: np.ndarray) -> None:
        """Raise ModelError unless `outputs` is (B, Z, Y, X, n_outputs), with Z = 1 in 2D."""
        flat = self.ndim == 3 or outputs.ndim != 5 or outputs.shape[1] == 1
        if outputs.ndim != 5 or outputs.shape[-1] != self.n_outputs or not flat:
            planes = "1" if self.ndim == 2 else "Z"
            raise ModelError(
                f"network output has shape {outputs.shape}, expected (B, {planes}, Y, X, {self.n_outputs})"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a model file's header."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> HeadSpec:
        """Inverse of `to_dict`; lists may stand for tuples."""
        return cls(**data)


@dataclass(frozen=True)
class Decoded:
    """Boxes above threshold, ordered by cell, then prior.

    Parameters
    ----------
    cell : ndarray, shape (n,), int64
        Flat index of the cell in (Z, Y, X).
    prior, class_index : ndarray, shape (n,), int32
        Box of the cell; class of largest output (0 without classes).
    position : ndarray, shape (n, ndim), float64
        Centres in edge coordinates, pixels.
    boxes : ndarray, shape (n, 2, ndim), float64
        Corners in edge coordinates, pixels.
    score, probability : ndarray, shape (n,), float32
        Sigmoid of O and of P.
    parameters : ndarray, shape (n, P), float32
        Regressed quantities, encoded.
    """

    cell: np.ndarray
    prior: np.ndarray
    class_index: np.ndarray
    position: np.ndarray
    boxes: np.ndarray
    score: np.ndarray
    probability: np.ndarray
    parameters: np.ndarray

    def __len__(self) -> int:
        return len(self.cell)


def decode(outputs: np.ndarray, head: HeadSpec, *, threshold: float | Sequence[float]) -> Decoded:
    """Boxes whose objectness reaches the threshold.

    Parameters
    ----------
    outputs : ndarray or device array, shape (1, Z, Y, X, n_outputs), float32
        Raw planes of the last layer for one tile. Of what is on a device only the boxes above threshold are
        copied from it.
    head : HeadSpec
        Their layout.
    threshold : float or sequence of float
        Lowest objectness in [0, 1], one for all or one per prior.

    Raises
    ------
    ModelError
        If the outputs or the thresholds do not fit the head.
    """
    head.check(outputs)
    raw_limits = _raw_limits(threshold, head)
    if not isinstance(outputs, np.ndarray):
        return _decode_selected(outputs, head, raw_limits)
    planes = np.ascontiguousarray(outputs, dtype=np.float32).reshape(-1, outputs.shape[3], head.n_outputs)
    counts = np.zeros(len(planes) + 1, dtype=np.int64)
    _count(planes, raw_limits, head.box_width, 2 * head.ndim + 1, counts[1:])
    start = np.cumsum(counts)
    out = _allocate(int(start[-1]), head)
    _fill(planes, raw_limits, head.prior_array, head.geometry, _layout(outputs, head), start, out)
    return Decoded(*out)


def _decode_selected(outputs: Any, head: HeadSpec, raw_limits: np.ndarray) -> Decoded:
    """The same of a device array, which selects the boxes where it is."""
    index, rows = outputs.select(raw_limits, width=head.box_width, place=2 * head.ndim + 1)
    out = _allocate(len(index), head)
    shape = np.array(outputs.shape[1:4], dtype=np.int64)
    _fill_selected(index, rows, head.prior_array, head.geometry, shape, (head.classes, head.parameters), out)
    return Decoded(*out)


def _raw_limits(threshold: float | Sequence[float], head: HeadSpec) -> np.ndarray:
    """Lowest raw objectness of each prior, float64."""
    limits = np.asarray(threshold, dtype=np.float64).ravel()
    if limits.size not in (1, head.n_boxes):
        raise ModelError(f"{limits.size} thresholds given, expected 1 or {head.n_boxes} (one per prior)")
    return np.array([logit(float(limit)) for limit in np.broadcast_to(limits, head.n_boxes)])


def _layout(outputs: np.ndarray, head: HeadSpec) -> tuple[int, int, int]:
    """Rows a plane of cells, classes, parameters."""
    return outputs.shape[2], head.classes, head.parameters


def _allocate(n: int, head: HeadSpec) -> tuple[np.ndarray, ...]:
    """Columns of `Decoded`, in its order."""
    return (
        np.empty(n, dtype=np.int64),
        np.empty(n, dtype=np.int32),
        np.zeros(n, dtype=np.int32),
        np.empty((n, head.ndim)),
        np.empty((n, 2, head.ndim)),
        np.empty(n, dtype=np.float32),
        np.empty(n, dtype=np.float32),
        np.empty((n, head.parameters), dtype=np.float32),
    )


@njit(**PARALLEL)
def _count(planes: np.ndarray, limits: np.ndarray, width: int, objectness: int, counts: np.ndarray) -> None:
    """Boxes above the limits in each row of cells."""
    for row in prange(planes.shape[0]):
        found = 0
        for x in range(planes.shape[1]):
            for b in range(len(limits)):
                if planes[row, x, b * width + objectness] >= limits[b]:
                    found += 1
        counts[row] = found


@njit(**PARALLEL)
def _fill(
    planes: np.ndarray,
    limits: np.ndarray,
    priors: np.ndarray,
    geometry: np.ndarray,
    layout: tuple[int, int, int],
    start: np.ndarray,
    out: Any,
) -> None:
    """Decode the boxes of each row of cells into the columns from start[row] on."""
    for row in prange(planes.shape[0]):
        _fill_row(planes[row], limits, priors, geometry, layout, row, start[row], out)


@njit(**JIT)
def _fill_row(
    raw: np.ndarray,
    limits: np.ndarray,
    priors: np.ndarray,
    geometry: np.ndarray,
    layout: tuple[int, int, int],
    row: int,
    slot: int,
    out: Any,
) -> None:
    """Decode one row of cells."""
    cells = out[0]
    rows, classes, n_parameters = layout
    n_boxes, ndim = priors.shape
    width = 2 * ndim + 2 + classes + n_parameters
    cell = np.empty(ndim, dtype=np.int64)
    for x in range(raw.shape[0]):
        cell[ndim - 1], cell[ndim - 2] = x, row % rows
        if ndim == 3:
            cell[0] = row // rows
        for b in range(n_boxes):
            values = raw[x, b * width : (b + 1) * width]
            if values[2 * ndim + 1] >= limits[b]:
                cells[slot] = row * raw.shape[0] + x
                _fill_box(values, cell, b, priors, geometry, (classes, n_parameters), slot, out)
                slot += 1


@njit(**JIT)
def _fill_box(
    values: np.ndarray,
    cell: np.ndarray,
    b: int,
    priors: np.ndarray,
    geometry: np.ndarray,
    layout: tuple[int, int],
    slot: int,
    out: Any,
) -> None:
    """Decode the raw numbers of one box of a cell into a row of the columns."""
    _, prior, class_index, position, boxes, score, probability, parameters = out
    classes, n_parameters = layout
    ndim = priors.shape[1]
    prior[slot] = b
    decode_box(values, cell, priors[b], geometry, boxes[slot])
    for k in range(ndim):
        position[slot, k] = 0.5 * (boxes[slot, 0, k] + boxes[slot, 1, k])
    probability[slot] = sigmoid(values[2 * ndim])
    score[slot] = sigmoid(values[2 * ndim + 1])
    for c in range(1, classes):
        if values[2 * ndim + 2 + c] > values[2 * ndim + 2 + class_index[slot]]:
            class_index[slot] = c
    for p in range(n_parameters):
        parameters[slot, p] = values[2 * ndim + 2 + classes + p]


@njit(**JIT)
def _fill_selected(
    index: np.ndarray,
    rows: np.ndarray,
    priors: np.ndarray,
    geometry: np.ndarray,
    shape: np.ndarray,
    layout: tuple[int, int],
    out: Any,
) -> None:
    """Decode boxes by their flat index of (cell, box)."""
    n_boxes, ndim = priors.shape
    cell = np.empty(ndim, dtype=np.int64)
    for slot in range(len(index)):
        flat = index[slot] // n_boxes
        out[0][slot] = flat
        for k in range(ndim):
            size = shape[3 - 1 - k]
            cell[ndim - 1 - k] = flat % size
            flat //= size
        _fill_box(rows[slot], cell, index[slot] % n_boxes, priors, geometry, layout, slot, out)

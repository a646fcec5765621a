"""Detections: one row a detected box, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

_ROW_TYPES = {
    "position": np.float64,
    "boxes": np.float64,
    "score": np.float32,
    "prior": np.int32,
    "class_index": np.int32,
    "parameters": np.float32,
    "anchor": np.float32,
    "peak": np.float32,
    "local_rms": np.float32,
    "background": np.float32,
    "aperture": np.float32,
    "aperture_error": np.float32,
    "centre": np.float32,
    "spread": np.float32,
    "flags": np.int32,
    "cut": np.float32,
    "prob": np.float32,
}


@dataclass(frozen=True)
class Detections:
    """Columns of equal length, one row a box.

    Parameters
    ----------
    position : ndarray, shape (n, ndim), float64
        Centres in pixels, array order ((y, x) or (z, y, x)), 0-based, an integer is a pixel's centre.
    boxes : ndarray, shape (n, 2, ndim), float64
        Low and high corners, in the same pixels.
    score : ndarray, shape (n,), float32
        Objectness in [0, 1].
    prior, class_index : ndarray, shape (n,), int32
        Which prior predicted the box; most probable class (0 where the model has none).
    parameters : ndarray, shape (n, P), float32
        Regressed quantities, still encoded (see `skadetect.parameters`).
    anchor : ndarray, shape (n,), float32
        Signal to noise that scales the encoded flux.
    peak, local_rms, background : ndarray, shape (n,), float32
        Measured at the position, in the image's unit.
    aperture, aperture_error : ndarray, shape (n,), float32
        Flux summed on the pixels and its noise, in the image's unit times beams (and channels in a cube), see
        `skadetect.aperture`; NaN if it is not known.
    centre : ndarray, shape (n, 2), float32
        (y, x) of the pixels' centroid beyond the position, in beams (geometric mean of the FWHM), see
        `skadetect.moments`; NaN if it is not known.
    spread : ndarray, shape (n, 3), float32
        Second moments xx, yy, xy of the pixels, in squared beams; NaN if they are not known.
    flags : ndarray, shape (n,), int32
        Bits of the catalogue's flag table.
    cut : ndarray, shape (n,), float32
        Share of the box, as far as it lies in the cube, that is blank; 0 in an image.
    prob : ndarray, shape (n,), float32
        Probability that the row is real; NaN if it is not known.

    Raises
    ------
    ValueError
        If the columns differ in length or a column has the wrong rank.
    """

    position: np.ndarray
    boxes: np.ndarray
    score: np.ndarray
    prior: np.ndarray
    class_index: np.ndarray
    parameters: np.ndarray
    anchor: np.ndarray
    peak: np.ndarray
    local_rms: np.ndarray
    background: np.ndarray
    aperture: np.ndarray
    aperture_error: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    flags: np.ndarray
    cut: np.ndarray
    prob: np.ndarray

    def __post_init__(self) -> None:
        for name, dtype in _ROW_TYPES.items():
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=dtype))
        n, ndim = self.position.shape
        expected: dict[str, tuple[int, ...]] = dict.fromkeys(_ROW_TYPES, (n,))
        expected |= {"position": (n, ndim), "boxes": (n, 2, ndim)}
        expected |= {"centre": (n, 2), "spread": (n, 3)}
        expected |= {"parameters": (n, self.parameters.shape[-1])}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"Detections.{name} has shape {getattr(self, name).shape}, expected {shape}")

    def __len__(self) -> int:
        return len(self.position)

    @property
    def ndim(self) -> int:
        """Number of image axes, 2 or 3."""
        return self.position.shape[1]

    @property
    def confidence(self) -> np.ndarray:
        """Probability that each row is real; its score where that is not known."""
        return np.where(np.isnan(self.prob), self.score, self.prob)

    @classmethod
    def empty(cls, ndim: int, n_parameters: int) -> Detections:
        """No rows, with the given ranks."""
        return cls.from_columns(
            position=np.empty((0, ndim)), boxes=np.empty((0, 2, ndim)), parameters=np.empty((0, n_parameters))
        )

    @classmethod
    def from_columns(cls, *, position: np.ndarray, boxes: np.ndarray, **columns: Any) -> Detections:
        """Build from some columns; others are zero, `prob` and sums NaN; `parameters` has no columns."""
        n = len(position)
        unknown = {name: np.full(n, np.nan) for name in ("prob", "aperture", "aperture_error")}
        unknown |= {"centre": np.full((n, 2), np.nan), "spread": np.full((n, 3), np.nan)}
        columns = {"parameters": np.empty((n, 0)), **unknown, **columns}
        columns |= {"position": position, "boxes": boxes}
        return cls(**{name: columns.get(name, np.zeros(n)) for name in _ROW_TYPES})

    @classmethod
    def concatenate(cls, parts: Sequence[Detections]) -> Detections:
        """All rows of the parts, in order.

        Raises
        ------
        ValueError
            If there are no parts, or they differ in rank or number of parameters.
        """
        if not parts:
            raise ValueError("Detections.concatenate needs at least one part; use Detections.empty for none")
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in _ROW_TYPES})

    def take(self, index: Any) -> Detections:
        """Rows chosen by an integer array, a boolean mask or a slice."""
        return Detections(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def changed(self, index: np.ndarray, rows: Detections, more: Detections) -> Detections:
        """The same rows, other ones at some indices, and more of them behind."""
        columns = {}
        for name in _ROW_TYPES:
            columns[name] = np.concatenate([getattr(self, name), getattr(more, name)])
            columns[name][index] = getattr(rows, name)
        return Detections(**columns)

    def with_(self, **columns: Any) -> Detections:
        """The same rows with some columns replaced."""
        return replace(self, **columns)

    def sorted(self) -> Detections:
        """Rows by falling score, then rising position, then the rest: the order they came in has no say."""
        corners = self.boxes.reshape(len(self), 2 * self.ndim)
        keys = [-self.score, *self.position.T, *corners.T, self.prior, self.class_index]
        keys += [*self.parameters.T, self.anchor, self.peak]
        return self.take(np.lexsort(keys[::-1]))

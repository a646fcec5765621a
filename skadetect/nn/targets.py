"""True boxes of a batch of patches: what the outputs of a network are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Targets:
    """True boxes of a batch of patches, one patch after another.

    Parameters
    ----------
    boxes : ndarray, shape (N, 2, ndim), float64
        Low and high corners in edge coordinates of their patch, pixels.
    parameters : ndarray, shape (N, P), float32
        Encoded quantities; NaN = unknown, no loss.
    class_index : ndarray, shape (N,), int64
        True class; negative = unknown, no loss.
    weight : ndarray, shape (N,), float32
        Factor on the loss of the objectness and the probability where this target is matched.
    difficult : ndarray, shape (N,), bool
        Targets that should be neither learned nor counted as background.
    start : ndarray, shape (B + 1,), int64
        Targets start[b] to start[b + 1] are those of patch b. Within a patch the order is the rank: first
        comes first under the "order" rule, so sort by falling signal to noise.

    Raises
    ------
    ValueError
        If the shapes do not agree.
    """

    boxes: np.ndarray
    parameters: np.ndarray
    class_index: np.ndarray
    weight: np.ndarray
    difficult: np.ndarray
    start: np.ndarray

    def __post_init__(self) -> None:
        types = {
            "boxes": "f8",
            "parameters": "f4",
            "class_index": "i8",
            "weight": "f4",
            "difficult": "?",
            "start": "i8",
        }
        for name, dtype in types.items():
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=dtype))
        lengths = {name: len(getattr(self, name)) for name in types if name != "start"}
        if len(set(lengths.values())) != 1 or self.start[0] != 0 or self.start[-1] != len(self):
            raise ValueError(
                f"Targets columns have lengths {lengths} and start {self.start}; expected one length"
            )

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def n_patches(self) -> int:
        """Patches in the batch."""
        return len(self.start) - 1

    @classmethod
    def of_patch(cls, boxes: np.ndarray, parameters: np.ndarray | None = None, **columns: Any) -> Targets:
        """Targets of one patch; columns not given are: no parameters, class 0, weight 1, not difficult."""
        n = len(boxes)
        defaults = {"class_index": np.zeros(n), "weight": np.ones(n), "difficult": np.zeros(n)}
        known = np.empty((n, 0)) if parameters is None else parameters
        return cls(boxes=boxes, parameters=known, start=np.array([0, n]), **{**defaults, **columns})

    @classmethod
    def concatenate(cls, parts: Sequence[Targets]) -> Targets:
        """One batch of all the parts' patches, in order."""
        columns = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name != "start"
        }
        counts = np.concatenate([[0], *(np.diff(part.start) for part in parts)])
        return cls(start=np.cumsum(counts), **columns)

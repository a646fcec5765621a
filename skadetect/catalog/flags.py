"""The bits of a catalogue's `flags` column: one table, from which the column describes itself."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntFlag
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skadetect._numba import JIT


class Flag(IntFlag):
    """Bits of the `flags` column; `FLAGS` says what each one means."""

    EDGE = 1
    RESOLVED = 2
    BLENDED = 4
    ARTEFACT = 8
    SIZE_LIMIT = 16
    NO_PEAK = 32
    SPLIT = 64


class FlagBit(NamedTuple):
    """One row of the flag table."""

    bit: IntFlag
    name: str
    description: str


FLAGS: tuple[FlagBit, ...] = (
    FlagBit(Flag.EDGE, "edge", "blank pixels or the border of the image lie within a few pixels"),
    FlagBit(Flag.RESOLVED, "resolved", "significantly larger than the beam"),
    FlagBit(Flag.BLENDED, "blended", "its box overlaps the box of another source"),
    FlagBit(Flag.ARTEFACT, "artefact", "faint beside a very bright source: it may be a sidelobe of that"),
    FlagBit(
        Flag.SIZE_LIMIT, "size_limit", "an intrinsic axis is the smallest the model can say: an upper limit"
    ),
    FlagBit(Flag.NO_PEAK, "no_peak", "no positive peak in the pixels at its position"),
    FlagBit(Flag.SPLIT, "split", "one of two points that explain the pixels better than one source"),
)


def flag_summary(table: Sequence[FlagBit] = FLAGS) -> str:
    """One line that names every bit: the description of the column."""
    return "bits: " + ", ".join(f"{row.bit.value} {row.name}" for row in table)


def flag_names(value: int, table: Sequence[FlagBit] = FLAGS) -> tuple[str, ...]:
    """Names of the bits that are set in one value."""
    return tuple(row.name for row in table if value & row.bit)


def blended(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each box overlaps another one with more than its rim.

    Parameters
    ----------
    boxes : array (n, 2, ndim)
        Low and high corners, pixels.

    Returns
    -------
    array (n,), bool
    """
    order = np.argsort(boxes[:, 0, -1], kind="stable")
    found = np.zeros(len(boxes), np.bool_)
    _sweep(np.ascontiguousarray(boxes[order], np.float64), order, found)
    return found


def beside_bright(
    position: NDArray[np.float64],
    peak: NDArray[np.float64],
    *,
    bright: NDArray[np.bool_],
    radius: float,
    ratio: float,
) -> NDArray[np.bool_]:
    """Whether each source is within `radius` of a bright one and fainter than `ratio` times its peak.

    Parameters
    ----------
    position : array (n, ndim)
        Pixels.
    peak : array (n,)
        Peaks, any unit.
    bright : array (n,), bool
        Which sources are bright enough to have visible sidelobes.
    radius : float
        Pixels.
    ratio : float
        Level of the sidelobes.

    Returns
    -------
    array (n,), bool
    """
    suspect = np.zeros(len(position), np.bool_)
    if not bright.any():
        return suspect
    near = cKDTree(position).query_ball_point(position[bright], radius)
    for rows, height in zip(near, peak[bright]):
        suspect[rows] |= peak[rows] < ratio * height
    return suspect


@numba.njit(**JIT)
def _sweep(boxes, order, found):  # type: ignore[no-untyped-def]
    """Mark overlapping pairs; boxes are sorted by their low corner on the last axis."""
    n, _, ndim = boxes.shape
    for i in range(n):
        for j in range(i + 1, n):
            if boxes[j, 0, ndim - 1] >= boxes[i, 1, ndim - 1]:
                break
            apart = False
            for axis in range(ndim - 1):
                if boxes[j, 0, axis] >= boxes[i, 1, axis] or boxes[i, 0, axis] >= boxes[j, 1, axis]:
                    apart = True
            if not apart:
                found[order[i]] = found[order[j]] = True

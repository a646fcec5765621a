"""Look again at what one look found: the windows of an image around its candidates.

Looking in several ways (`skadetect.orientation`) finds and measures better and costs as many looks. Where
sources are few that need not be paid for the emptiness between them: one look says where they may be, and
windows around those places are looked at again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skadetect.tiling import Corner, Tile, TileGrid, read_region, tile_of

Floats = NDArray[np.float64]

#: What a calibration for this is called in a model's metadata, among its "looks".
AGAIN = "again"
#: Cells of the network, on each side along each axis, by which a source may move from look to look.
VICINITY = 2
#: Candidates a voxel of an SDC2-like cube, half of them noise: 113 in twelve cubes of 1024 x 256 x 256.
CANDIDATES = 1.5e-7


@dataclass(frozen=True)
class SecondLook:
    """How a model's candidates are looked at again.

    Attributes
    ----------
    orientations : int
        In how many ways.
    least : float
        Probability, after one look, of those that are.
    """

    orientations: int
    least: float

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> SecondLook | None:
        """What a model looking "again" (`skadetect.nn.model.Model.looking`) is calibrated for; else None."""
        found = metadata.get("second_look")
        return None if found is None else cls(**found)


def windows(centres: Floats, grid: TileGrid, *, most: int) -> list[Tile]:
    """Tiles that own the vicinities of all candidates, without overlap, and read little beside.

    A box around all of them is halved for as long as it reads too much, and then between vicinities for as
    long as that saves reading.

    Parameters
    ----------
    centres : array (n, 3)
        Candidates (z, y, x), pixels of the image.
    grid : TileGrid
        Of the image: its shape, halo and step.
    most : int
        Pixels that a window may read, at least those of the least tile.

    Returns
    -------
    list of Tile
        The largest first.
    """
    if not len(centres):
        return []
    step, shape = np.array(grid.step), np.array(grid.shape)
    reach = VICINITY * step
    low = np.maximum((np.floor((centres - reach) / step) * step).astype(np.int64), 0)
    high = np.minimum((np.ceil((centres + reach + 1) / step) * step).astype(np.int64), shape)
    parts = sorted(_divided(low, high, grid, most), key=lambda part: -float(_read(part[0], part[1], grid)))
    return [tile_of(index, _corner(a), _corner(b), grid) for index, (a, b) in enumerate(parts)]


def expected_pixels(grid: TileGrid) -> float:
    """Pixels that windows of an SDC2-like cube are expected to read, where only its size is known."""
    step, shape = np.array(grid.step), np.array(grid.shape)
    middle = np.maximum(shape // 2 // step, VICINITY) * step
    each = _read(middle - VICINITY * step, middle + (VICINITY + 1) * step, grid)
    return float(CANDIDATES * np.prod(shape, dtype=np.float64) * each)


def near(positions: Floats, centres: Floats, grid: TileGrid) -> NDArray[np.bool_]:
    """Which positions (n, 3) lie in the vicinity of a candidate: they do not depend on the windows."""
    if not len(centres):
        return np.zeros(len(positions), bool)
    reach = VICINITY * np.array(grid.step, np.float64)
    distance, _ = cKDTree(centres / reach).query(positions / reach, p=np.inf)
    return np.asarray(distance <= 1.0)


def _divided(
    low: NDArray[np.int64], high: NDArray[np.int64], grid: TileGrid, most: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Boxes around the vicinities low <= pixel < high (n, 3), halved for as long as it helps."""
    waiting = [(low, high)]
    while waiting:
        low, high = waiting.pop()
        start, stop = low.min(axis=0), high.max(axis=0)
        cost, cells = _read(start, stop, grid), -(-(stop - start) // np.array(grid.step))
        if cost > most and (cells > 1).any():
            waiting += _halves(low, high, *_middle(start, stop, grid))
            continue
        least, axis, place = min(_cuts(low, high, grid), default=(math.inf, 0, 0))
        if least < cost:
            waiting += _halves(low, high, axis, place)
        else:
            yield start, stop


def _cuts(
    low: NDArray[np.int64], high: NDArray[np.int64], grid: TileGrid
) -> Iterator[tuple[float, int, int]]:
    """What both halves would read, the axis and the place of the best cut between vicinities of each axis."""
    for axis in range(3):
        order = np.argsort(low[:, axis], kind="stable")
        a, b = low[order], high[order]
        left_hi, right_lo = np.maximum.accumulate(b), np.minimum.accumulate(a[::-1])[::-1]
        left_lo, right_hi = np.minimum.accumulate(a), np.maximum.accumulate(b[::-1])[::-1]
        free = np.flatnonzero(left_hi[:-1, axis] <= a[1:, axis])
        if len(free):
            cost = _read(left_lo[free], left_hi[free], grid) + _read(
                right_lo[free + 1], right_hi[free + 1], grid
            )
            best = int(np.argmin(cost))
            yield float(cost[best]), axis, int(a[free[best] + 1, axis])


def _halves(
    low: NDArray[np.int64], high: NDArray[np.int64], axis: int, place: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The vicinities below a place and those from there on; one that it cuts is shared out."""
    below, above = low[:, axis] < place, high[:, axis] > place
    a, b = low[above].copy(), high[below].copy()
    np.maximum(a[:, axis], place, out=a[:, axis])
    np.minimum(b[:, axis], place, out=b[:, axis])
    yield low[below], b
    yield a, high[above]


def _middle(start: NDArray[np.int64], stop: NDArray[np.int64], grid: TileGrid) -> tuple[int, int]:
    """The axis along which a box is longest, in halos, and the cell in its middle."""
    step = np.array(grid.step)
    cells = -(-(stop - start) // step)
    axis = int(np.argmax(np.where(cells > 1, (stop - start) / np.maximum(grid.halo, 1), -1.0)))
    return axis, int(start[axis] + cells[axis] // 2 * step[axis])


def _read(start: NDArray[np.int64], stop: NDArray[np.int64], grid: TileGrid) -> Floats:
    """Pixels that boxes (..., 3) read, halos included."""
    low, high = read_region(start, stop, grid)
    return np.prod(high - low, axis=-1, dtype=np.float64)


def _corner(values: NDArray[np.int64]) -> Corner:
    z, y, x = (int(value) for value in values)
    return z, y, x

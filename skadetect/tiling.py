"""Tiles: what part of an image each unit of work owns, and what it must read to get that part right.

Owned regions share the image out without gap or overlap. A read region is the owned one widened by a halo on
each side, but for what lies beyond the image: there the network pads, as it did at the edges of a patch in
training. Both begin on multiples of the network's stride, so that output cells of all tiles lie on one grid,
and a read region ends at the end of the image's last cell at most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from skadetect.errors import ConfigError

Corner = tuple[int, int, int]


@dataclass(frozen=True)
class Tile:
    """One unit of work; corners are (z, y, x) pixel indices, lo <= index < hi.

    Attributes
    ----------
    index : int
        Of the tile in its grid.
    own_lo, own_hi : (z, y, x)
        The part of the image whose sources are this tile's.
    read_lo, read_hi : (z, y, x)
        What the network must see for that.
    """

    index: int
    own_lo: Corner
    own_hi: Corner
    read_lo: Corner
    read_hi: Corner

    @property
    def read_shape(self) -> Corner:
        """Extents of the read region."""
        return _difference(self.read_hi, self.read_lo)


@dataclass(frozen=True)
class TileGrid(Sequence[Tile]):
    """Tiles that cover an image; a sequence that makes each tile when it is asked for.

    Attributes
    ----------
    shape : (z, y, x)
        Of the image.
    tile_shape : (z, y, x)
        Of the owned region of a tile away from the upper border; a multiple of `step`.
    halo : (z, y, x)
        By how much at least a read region is wider than the owned one, on each side that has image left.
    step : (z, y, x)
        Stride of the network.
    """

    shape: Corner
    tile_shape: Corner
    halo: Corner
    step: Corner

    @classmethod
    def cover(cls, shape: Corner, tile_shape: Corner, *, halo: Corner, step: Corner) -> TileGrid:
        """Tiles of about `tile_shape`, no larger than the image needs.

        Raises
        ------
        ConfigError
            If an extent or step is not positive, or a halo negative.
        """
        if min(*shape, *tile_shape, *step) < 1 or min(halo) < 0:
            raise ConfigError(f"tiles of {tile_shape}, halo {halo}, step {step} on an image of {shape}")
        sizes = zip(shape, tile_shape, step, strict=True)
        return cls(shape, _corner([_round_up(min(n, tile), stride) for n, tile, stride in sizes]), halo, step)

    @property
    def counts(self) -> Corner:
        """Tiles along z, y and x."""
        z, y, x = (math.ceil(n / t) for n, t in zip(self.shape, self.tile_shape, strict=True))
        return z, y, x

    @property
    def most_read(self) -> int:
        """Pixels that the largest tile reads."""
        counts, extents = self.counts, []
        for axis, count in enumerate(counts):
            apart = math.prod(counts[axis + 1 :])  # of neighbours along the axis, in index
            extents.append(max(self[place * apart].read_shape[axis] for place in range(count)))
        return math.prod(extents)

    def __len__(self) -> int:
        return math.prod(self.counts)

    @overload
    def __getitem__(self, index: int) -> Tile: ...

    @overload
    def __getitem__(self, index: slice) -> list[Tile]: ...

    def __getitem__(self, index: int | slice) -> Tile | list[Tile]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(f"tile {index} of {len(self)}")
        place = np.unravel_index(index, self.counts)
        lo = [int(i) * t for i, t in zip(place, self.tile_shape, strict=True)]
        hi = [min(a + t, n) for a, t, n in zip(lo, self.tile_shape, self.shape, strict=True)]
        return tile_of(index, _corner(lo), _corner(hi), self)

    def owner(self, position: NDArray[np.float64]) -> NDArray[np.int64]:
        """Index of the tile that owns each position; positions outside the image go to the nearest tile.

        Parameters
        ----------
        position : (n, 2) or (n, 3) array
            (y, x) or (z, y, x) in pixels, integers are pixel centres.

        Returns
        -------
        (n,) int64
        """
        place = np.zeros((len(position), 3), np.int64)
        ndim = position.shape[1]
        pixel = np.floor(np.asarray(position, np.float64) + 0.5)
        place[:, 3 - ndim :] = np.clip(pixel, 0, np.array(self.shape[3 - ndim :]) - 1)
        place //= np.array(self.tile_shape)
        return np.ravel_multi_index((place[:, 0], place[:, 1], place[:, 2]), self.counts).astype(np.int64)


def tile_of(index: int, lo: Corner, hi: Corner, grid: TileGrid) -> Tile:
    """The tile that owns lo <= pixel < hi of a grid's image, and reads a halo more.

    Parameters
    ----------
    index : int
        Its number.
    lo, hi : (z, y, x)
        Within the image; `lo` in multiples of the step.
    grid : TileGrid
        Its shape, halo and step.
    """
    read_lo, read_hi = read_region(np.array(lo), np.array(hi), grid)
    return Tile(index, lo, hi, _corner(read_lo.tolist()), _corner(read_hi.tolist()))


def read_region(
    lo: NDArray[np.int64], hi: NDArray[np.int64], grid: TileGrid
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First pixels and ends of what the network must see of regions lo <= pixel < hi, all (..., 3).

    Parameters
    ----------
    lo, hi : array (..., 3)
        Within the grid's image; `lo` in multiples of the step.
    grid : TileGrid
        Its shape, halo and step.
    """
    shape, halo, step = np.array(grid.shape), np.array(grid.halo), np.array(grid.step)
    return np.maximum(lo - _round_up(halo, step), 0), _round_up(np.minimum(hi + halo, shape), step)


def _round_up(value: Any, step: Any) -> Any:
    """The least multiple of a step that is not below a value."""
    return -(-value // step) * step


def _difference(a: Corner, b: Corner) -> Corner:
    """Element by element."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _corner(values: list[int]) -> Corner:
    """Three numbers as a tuple."""
    z, y, x = values
    return z, y, x

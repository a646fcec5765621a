"""Where an image's pixels come from: a FITS file read by offset, or an array; both as float32 (z, y, x).

A source is a small picklable description; a file is opened and closed in each read, so that memory does not
grow and any worker can read.
"""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect import arena
from skadetect._numba import JIT, PARALLEL

Corner = tuple[int, int, int]
Pixels = NDArray[np.float32]
#: As FITS stores most images.
_FILE_FLOAT = np.dtype(">f4")


class PixelSource(Protocol):
    """Anything that gives windows of a (z, y, x) array."""

    @property
    def shape(self) -> Corner:
        """(z, y, x)."""

    def read(self, lo: Corner, hi: Corner) -> Pixels:
        """Pixels lo <= index < hi, inside the array."""


class TemporaryFile:
    """Removes a file when the last reference in the process that made it is gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._finalizer = weakref.finalize(self, _remove, path, os.getpid())


@dataclass(frozen=True)
class AxisOrder:
    """Array axes of (z, y, x), None for one that the array lacks; every other axis is taken at 0."""

    axes: tuple[int | None, int, int]

    def shape(self, array_shape: tuple[int, ...]) -> Corner:
        """Shape of the (z, y, x) view."""
        z, y, x = self.axes
        return (1 if z is None else array_shape[z], array_shape[y], array_shape[x])

    def view(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array as (z, y, x), without a copy."""
        kept = [axis for axis in self.axes if axis is not None]
        index = tuple(slice(None) if axis in kept else 0 for axis in range(array.ndim))
        order = [sorted(kept).index(axis) for axis in kept]
        view = array[index].transpose(order)
        return view if len(kept) == 3 else view[np.newaxis]


@dataclass(frozen=True)
class ArrayPixels:
    """Pixels of an array in memory, times `scale`."""

    array: NDArray[Any]
    order: AxisOrder
    scale: float = 1.0

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Of the array, in its own axes."""
        return self.array.shape

    @property
    def shape(self) -> Corner:
        """(z, y, x)."""
        return self.order.shape(self.array_shape)

    def read(self, lo: Corner, hi: Corner) -> Pixels:
        """Pixels lo <= index < hi, inside the array."""
        return _converted(_window(self.order.view(self.array), lo, hi), scale=self.scale)


@dataclass(frozen=True)
class FitsPixels:
    """Pixels of an uncompressed FITS file: big-endian numbers of `dtype` at `offset`.

    Values are (stored * bscale + bzero) * scale; stored == blank is NaN (integers only).
    """

    path: Path
    offset: int
    dtype: str
    array_shape: tuple[int, ...]
    order: AxisOrder
    bscale: float = 1.0
    bzero: float = 0.0
    blank: int | None = None
    scale: float = 1.0
    temporary: TemporaryFile | None = field(default=None, compare=False, repr=False)

    @property
    def shape(self) -> Corner:
        """(z, y, x)."""
        return self.order.shape(self.array_shape)

    def read(self, lo: Corner, hi: Corner) -> Pixels:
        """Pixels lo <= index < hi, inside the array."""
        return self.read_rows(lo, hi, 1)

    def read_rows(self, lo: Corner, hi: Corner, step: int) -> Pixels:
        """Every step-th row of the pixels lo <= index < hi, inside the array."""
        array = np.memmap(self.path, self.dtype, "r", offset=self.offset, shape=self.array_shape)
        window = _window(self.order.view(array), lo, hi)[:, ::step]
        return _converted(window, scale=self.scale, bscale=self.bscale, bzero=self.bzero, blank=self.blank)

    def __getstate__(self) -> dict[str, Any]:
        # Only the process that made a temporary file removes it.
        return {**self.__dict__, "temporary": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


@dataclass(frozen=True, eq=False)
class ChannelScaledPixels:
    """Pixels of a source, each channel times its own number of `gains` (z,)."""

    source: PixelSource
    gains: NDArray[np.float64]

    @property
    def shape(self) -> Corner:
        """(z, y, x)."""
        return self.source.shape

    def read(self, lo: Corner, hi: Corner) -> Pixels:
        """Pixels lo <= index < hi, inside the array."""
        out = self.source.read(lo, hi)
        out *= self.gains[lo[0] : hi[0], np.newaxis, np.newaxis].astype(np.float32)
        return out


@dataclass(frozen=True)
class NoPixels:
    """Where pixels were that are no longer needed: a view of an image that still says where it lies."""

    shape: Corner

    def read(self, lo: Corner, hi: Corner) -> Pixels:
        """Pixels lo <= index < hi: there are none.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(f"pixels {lo} to {hi} were let go of")


def read_padded(source: PixelSource, lo: Corner, hi: Corner) -> Pixels:
    """Pixels lo <= index < hi of a source; what lies outside it is NaN."""
    inner_lo = tuple(min(max(a, 0), n) for a, n in zip(lo, source.shape, strict=True))
    inner_hi = tuple(max(min(b, n), a) for b, n, a in zip(hi, source.shape, inner_lo, strict=True))
    if inner_lo == tuple(lo) and inner_hi == tuple(hi):
        return source.read(lo, hi)
    out = np.full([max(b - a, 0) for a, b in zip(lo, hi, strict=True)], np.nan, np.float32)
    if all(b > a for a, b in zip(inner_lo, inner_hi, strict=True)):
        place = tuple(slice(a - c, b - c) for a, b, c in zip(inner_lo, inner_hi, lo, strict=True))
        z, y, x = inner_lo
        out[place] = source.read((z, y, x), (inner_hi[0], inner_hi[1], inner_hi[2]))
    return out


def read_rows(source: PixelSource, lo: Corner, hi: Corner, step: int) -> Pixels:
    """Every step-th row of the pixels lo <= index < hi, inside a source; of a file no other is touched."""
    if isinstance(source, FitsPixels):
        return source.read_rows(lo, hi, step)
    return source.read(lo, hi)[:, ::step]


def _window(view: NDArray[Any], lo: Corner, hi: Corner) -> NDArray[Any]:
    """The part lo <= index < hi of a (z, y, x) array."""
    return view[lo[0] : hi[0], lo[1] : hi[1], lo[2] : hi[2]]


def _converted(
    stored: NDArray[Any],
    *,
    scale: float,
    bscale: float = 1.0,
    bzero: float = 0.0,
    blank: int | None = None,
) -> Pixels:
    """Stored numbers as finite float32 or NaN, in a new array."""
    gain, zero = bscale * scale, bzero * scale
    if stored.dtype == _FILE_FLOAT and not stored.dtype.isnative and gain == 1.0 and zero == 0.0:
        out = arena.empty(stored.shape)
        _swapped(np.asarray(stored).view(np.uint32), out.view(np.uint32))
        return out
    if stored.dtype.kind == "f" and gain == 1.0 and zero == 0.0:
        out = arena.empty(stored.shape)
        with np.errstate(over="ignore"):  # a double beyond float32 is infinite, and then blank
            out[...] = stored
    else:
        with np.errstate(over="ignore"):
            out = np.ascontiguousarray(stored.astype(np.float64) * gain + zero, np.float32)
    if blank is not None and stored.dtype.kind in "iu":
        out[stored == blank] = np.nan
    _blank_infinities(out.reshape(-1))
    return out


@numba.njit(**PARALLEL)
def _swapped(stored: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
    """The bits of big-endian float32 in the machine's order, infinite ones as NaN, for arrays (z, y, x)."""
    exponent, nan = np.uint32(0x7F800000), np.uint32(0x7FC00000)
    rows = stored.shape[1]
    for row in numba.prange(stored.shape[0] * rows):
        line, made = stored[row // rows, row % rows], out[row // rows, row % rows]
        for x in range(line.size):
            bits = line[x]
            bits = (
                (bits << np.uint32(24))
                | ((bits & np.uint32(0xFF00)) << np.uint32(8))
                | ((bits >> np.uint32(8)) & np.uint32(0xFF00))
                | (bits >> np.uint32(24))
            )
            made[x] = nan if bits & exponent == exponent else bits


@numba.njit(**JIT)
def _blank_infinities(values: NDArray[np.float32]) -> None:
    """Make every infinite value NaN, in place."""
    for i in range(values.size):
        if not np.isfinite(values[i]):
            values[i] = np.nan


def _remove(path: Path, owner: int) -> None:
    """Remove a file, in the process that owns it only."""
    if os.getpid() == owner:
        path.unlink(missing_ok=True)

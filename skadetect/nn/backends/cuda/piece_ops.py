"""A training's batches, made on a device of pieces of the arrays that it holds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.typing import NDArray

from skadetect.nn.backends.base import Array
from skadetect.nn.backends.cuda import kernels
from skadetect.nn.backends.cuda.context import Context
from skadetect.nn.backends.cuda.pieces import COMPOSED, PIECE, STAMP, WHITE
from skadetect.nn.backends.cuda.tensor import Pool, Tensor
from skadetect.nn.backends.pieces import Composition, Piece, Stamp
from skadetect.nn.backends.splitmix import mixed_seed

#: Share of a device's free memory that arrays may be held in: the layers of a training want the rest.
HELD_SHARE = 0.5
#: Bytes that what is held starts at multiples of.
GRAIN = 16


class Holdings:
    """Arrays that a device holds, one after another, beside those in NumPy's memory that they are copies of.

    Parameters
    ----------
    context : Context
        The device.
    arrays : sequence of array
        float32 or float16, C-contiguous (others are not held); the first ones, as many as there is room for.
    """

    def __init__(self, context: Context, arrays: Sequence[Array]) -> None:
        stream = context.stream  # selects the device
        arrays = [a for a in arrays if a.dtype in (np.float32, np.float16) and a.flags.c_contiguous]
        ends = np.cumsum([_whole(array.nbytes) for array in arrays])
        count = int(np.searchsorted(ends, HELD_SHARE * context.free_bytes(), side="right"))
        # By address, which says of which one a view is; they stay where they are while they are kept here.
        self.arrays = sorted(arrays[:count], key=lambda array: byte_bounds(array)[0])
        self._starts = [byte_bounds(array)[0] for array in self.arrays]
        self._places = np.cumsum([0, *(_whole(array.nbytes) for array in self.arrays)])
        size = max(GRAIN, int(self._places[-1]))
        self._block = Pool().take(size)
        self.data: Any = self._block.data[:size].view(np.float32)
        for array, first in zip(self.arrays, self._places):
            stored = array.reshape(-1).view(np.uint8)
            self._block.data[first : first + array.nbytes].copy_to_device(stored, stream=stream)
        context.synchronize()

    def place(self, view: Array) -> int | None:
        """Where the first number of a view is, in numbers of its kind; None if it is of no array held."""
        low, high = byte_bounds(view)
        index = bisect_right(self._starts, low) - 1
        if index < 0 or high > self._starts[index] + self.arrays[index].nbytes:
            return None
        return (int(self._places[index]) + _address(view) - self._starts[index]) // view.itemsize


def batch(context: Context, holdings: Holdings, pieces: Sequence[Piece]) -> Tensor:
    """See `skadetect.nn.backends.base.Backend.batch`."""
    shape = pieces[0].pixels.shape
    made = context.empty((len(pieces), *shape), "fp32")
    each = made.size // len(pieces)
    composed = each * sum(piece.composition is not None for piece in pieces)
    parcel = Parcel(holdings, each=each, room=composed)
    for piece in pieces:
        parcel.add(piece)
    sent, tables = parcel.send(context)
    noises = each * parcel.noises
    white = context.empty((max(1, noises),), "fp32")
    given = [tables[WHITE], white, each, shape[1] * shape[2], noises]
    context.walk(kernels.white_noise_recipe(), given, noises)
    given = [holdings.data, sent, white, tables[COMPOSED], tables[STAMP], *shape, composed]
    context.walk(kernels.compositions_recipe(), given, composed)
    given = [holdings.data, sent, white, tables[PIECE], made, *shape, made.size]
    context.walk(kernels.batch_recipe(), given, made.size)
    return made


class Parcel:
    """What goes to a device for a batch, in one array: numbers, and behind them tables of where they are.

    Parameters
    ----------
    holdings : Holdings
        What need not be sent.
    each, room : int
        Pixels of a piece, and numbers that are left free at the start for cubes that are made there.
    """

    def __init__(self, holdings: Holdings, *, each: int, room: int) -> None:
        self._holdings, self._each, self._room, self._end = holdings, each, room, room
        self._parts: list[NDArray[np.float32]] = []
        self._rows: dict[int, list[list[int]]] = {WHITE: [], PIECE: [], COMPOSED: [], STAMP: []}

    @property
    def noises(self) -> int:
        """Cubes of white noise."""
        return len(self._rows[WHITE])

    def add(self, piece: Piece) -> None:
        """A part of what is held, or of a cube that is made there, or pixels that are sent."""
        view, place = piece.pixels, self._holdings.place(piece.pixels)
        if piece.composition is not None:
            within = _address(view) - _address(piece.composition.space)
            place = -1 - self._compose(piece.composition) - within // view.itemsize
        elif place is None:
            view = np.ascontiguousarray(view, np.float32)
            place = -1 - self._put(view)
        steps = [step // view.itemsize for step in view.strides]
        noise = [-1, 0, 0, 0] if piece.kernel is None else self._noise(piece.kernel, piece.seed, False)
        self._rows[PIECE].append([place, *steps, *noise, self._put(np.array([piece.gain]))])

    def send(self, context: Context) -> tuple[Tensor, dict[int, Any]]:
        """Everything on the device, and of that the tables by the length of their rows."""
        self._put(np.zeros(self._end % 2))  # tables are aligned to 8 bytes
        tables = [np.array(rows or [[0] * length], np.int64) for length, rows in self._rows.items()]
        ends = self._end + 2 * np.cumsum([0, *(table.size for table in tables)])
        sent = context.empty((int(ends[-1]),), "fp32")
        data: Any = sent.data
        words = [table.reshape(-1).view(np.float32) for table in tables]
        context.send(np.concatenate([*self._parts, *words]), data[self._room :])
        slices = zip(self._rows, ends, ends[1:])
        return sent, {length: data[start:end].view(np.int64) for length, start, end in slices}

    def _compose(self, parts: Composition) -> int:
        """A cube that is made on the device; where."""
        stamps, space = self._rows[STAMP], self._each * len(self._rows[COMPOSED])
        first = len(stamps)
        stamps += [self._stamp(stamp) for stamp in parts.stamps]
        noise = self._noise(parts.kernel, parts.seed, parts.smooth)
        numbers = [self._put(part) for part in (parts.gain, parts.level)]
        patterns = [len(parts.curves), self._put(parts.curves), self._put(parts.planes)]
        self._rows[COMPOSED].append([*noise, *numbers, *patterns, first, len(stamps), space])
        return space

    def _stamp(self, stamp: Stamp) -> list[int]:
        """Of its pixels place and strides, in 16 bits; where it goes, its extents, its factor."""
        view, place = stamp.pixels, self._holdings.place(stamp.pixels)
        if place is None:
            view = np.ascontiguousarray(view, np.float16)
            even = np.zeros(view.size + view.size % 2, np.float16)
            even[: view.size] = view.reshape(-1)
            place = -1 - 2 * self._put(even.view(np.float32))
        steps = [step // view.itemsize for step in view.strides]
        return [place, *steps, *stamp.corner, *view.shape, self._put(np.array([stamp.factor]))]

    def _noise(self, kernel: Array, seed: int, smooth: bool) -> list[int]:
        """Where white noise starts, where its kernel is, and how far that reaches."""
        start = int(np.array(mixed_seed(seed), np.uint64).view(np.int64))
        self._rows[WHITE].append([start, int(smooth)])
        return [(self.noises - 1) * self._each, self._put(kernel), *(extent // 2 for extent in kernel.shape)]

    def _put(self, numbers: Array) -> int:
        """Where numbers are that are sent."""
        self._parts.append(np.asarray(numbers, np.float32).reshape(-1))
        self._end += numbers.size
        return self._end - numbers.size


def _address(view: Array) -> int:
    """Of the first number of a view."""
    return int(view.__array_interface__["data"][0])


def _whole(size: int) -> int:
    return -(-size // GRAIN) * GRAIN

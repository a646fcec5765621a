"""A training's batches, made on a device of pieces of the arrays that it holds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.typing import NDArray

from skadetect.nn.backends.base import Array, Piece
from skadetect.nn.backends.cuda import kernels
from skadetect.nn.backends.cuda.context import Context
from skadetect.nn.backends.cuda.numbers import mixed_seed
from skadetect.nn.backends.cuda.pieces import ROW
from skadetect.nn.backends.cuda.tensor import Pool, Tensor

#: Share of a device's free memory that arrays may be held in: the layers of a training want the rest.
HELD_SHARE = 0.5
#: Bytes of a number.
SIZE = 4


class Holdings:
    """Arrays that a device holds, one after another, beside those in NumPy's memory that they are copies of.

    Parameters
    ----------
    context : Context
        The device.
    arrays : sequence of array
        float32, C-contiguous (others are not held); the first ones, as many as there is room for.
    """

    def __init__(self, context: Context, arrays: Sequence[Array]) -> None:
        stream = context.stream  # selects the device
        arrays = [array for array in arrays if array.dtype == np.float32 and array.flags.c_contiguous]
        ends = np.cumsum([array.nbytes for array in arrays])
        count = int(np.searchsorted(ends, HELD_SHARE * context.free_bytes(), side="right"))
        # By address, which says of which one a view is; they stay where they are while they are kept here.
        self.arrays = sorted(arrays[:count], key=lambda array: byte_bounds(array)[0])
        self._starts = [byte_bounds(array)[0] for array in self.arrays]
        self._places = np.cumsum([0, *(array.size for array in self.arrays)])
        self._block = Pool().take(int(self._places[-1]) * SIZE)
        self.data: Any = self._block.data[: max(1, int(self._places[-1])) * SIZE].view(np.float32)
        for array, first in zip(self.arrays, self._places):
            self.data[first : first + array.size].copy_to_device(array.reshape(-1), stream=stream)
        context.synchronize()

    def place(self, view: Array) -> int | None:
        """Where the first number of a view is; None if it is not one of an array held."""
        low, high = byte_bounds(view)
        index = bisect_right(self._starts, low) - 1
        if index < 0 or high > self._starts[index] + self.arrays[index].nbytes:
            return None
        address = view.__array_interface__["data"][0]
        return int(self._places[index]) + (address - self._starts[index]) // SIZE


def batch(context: Context, holdings: Holdings, pieces: Sequence[Piece]) -> Tensor:
    """See `skadetect.nn.backends.base.Backend.batch`."""
    shape = pieces[0].pixels.shape
    made = context.empty((len(pieces), *shape), "fp32")
    words, given, noisy = _described(holdings, pieces)
    sent = context.upload(np.concatenate([words.view(np.float32), given]), "fp32")
    numbers: Any = sent.data
    table = numbers[: 2 * len(words)].view(np.int64)
    seeds, each = table[len(pieces) * ROW :], made.size // len(pieces)
    white = context.empty((max(1, noisy * each),), "fp32")
    context.walk(kernels.white_noise_recipe(), [seeds, white, each, noisy * each], noisy * each)
    extents = [*shape, 2 * len(words), made.size]
    context.walk(kernels.batch_recipe(), [holdings.data, table, sent, white, made, *extents], made.size)
    return made


def _described(
    holdings: Holdings, pieces: Sequence[Piece]
) -> tuple[NDArray[np.int64], NDArray[np.float32], int]:
    """The table of pieces and then seeds; gains, kernels and what is not held; how many pieces have noise."""
    seeds = [mixed_seed(piece.seed) for piece in pieces if piece.kernel is not None]
    words = np.zeros(len(pieces) * ROW + max(1, len(seeds)), np.int64)
    words[len(pieces) * ROW :][: len(seeds)] = np.array(seeds, np.uint64).view(np.int64)
    parts = [np.array([piece.gain for piece in pieces], np.float32)]
    end, white = 2 * len(words) + len(pieces), 0
    each = pieces[0].pixels.size
    for row, piece in zip(words[: len(pieces) * ROW].reshape(-1, ROW), pieces):
        pixels, place = piece.pixels, holdings.place(piece.pixels)
        if place is None:
            pixels = np.ascontiguousarray(pixels, np.float32)
            place, end = -1 - end, end + pixels.size
            parts.append(pixels.reshape(-1))
        row[:5] = place, *(step // SIZE for step in pixels.strides), -1
        if piece.kernel is not None:
            row[4:] = white, end, *(extent // 2 for extent in piece.kernel.shape)
            white, end = white + each, end + piece.kernel.size
            parts.append(np.asarray(piece.kernel, np.float32).reshape(-1))
    return words, np.concatenate(parts), len(seeds)

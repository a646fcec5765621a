"""Samples cut out of arrays on the device: any strides, a factor, correlated noise."""

from __future__ import annotations

from typing import Any

from skadetect.formulas import normal_size32
from skadetect.nn.backends.cuda.device import float32, inlined, int32, ops, uint32, uint64
from skadetect.nn.backends.cuda.elementwise import GOLDEN, first_index, mixed, stride
from skadetect.nn.backends.cuda.gather import split

#: Numbers that say what a piece is, each an int64: where its first pixel is, from 0 on in what is held and
#: from -1 down in what is given; its strides along z, y, x; where its white noise is, or -1; where its kernel
#: is; and how far that reaches along y and x.
ROW = 8

_size = inlined(normal_size32)


def make_white_noise() -> Any:
    """Kernel: (seeds, white, each, count) standard normal numbers, `each` of a seed; see
    `reference.white_noise`.
    """

    def white_noise(seeds: Any, white: Any, each: Any, count: Any) -> None:
        for i in range(first_index(), count, stride()):
            place, row = split(i, each)
            word = mixed(uint64(place + 1) * uint64(GOLDEN) + uint64(seeds[row]))
            chance = (float32(uint32(word >> uint64(33))) + float32(0.5)) * float32(2.0**-31)
            size = float32(_size(chance))
            white[i] = -size if word & uint64(1) else size

    return white_noise


@inlined
def _number(start: Any, index: Any) -> Any:
    """Of an array that no kernel under way writes, at an index from 0 on."""
    return ops.float_of_word(ops.load_const_word(start + uint64(index) * uint64(4)))


@inlined
def _noise(white: Any, kernel: Any, reach: Any, place: Any, plane: Any) -> Any:
    """White noise of a plane that starts at an address, summed with a kernel's weights round a place."""
    (down, along), (y, x), (height, width) = reach, place, plane
    total, weight = float32(0), int32(0)
    for j in range(int32(-down), int32(down + 1)):
        row = int32(y + j)
        row = int32(row + height) if row < 0 else (int32(row - height) if row >= height else row)
        first = white + uint64(int32(row * width)) * uint64(4)
        for k in range(int32(-along), int32(along + 1)):
            column = int32(x + k)
            column = int32(column + width) if column < 0 else column
            column = int32(column - width) if column >= width else column
            total += _number(kernel, weight) * _number(first, column)
            weight = int32(weight + 1)
    return total


def make_batch() -> Any:
    """Kernel: (held, table, given, white, batch, depth, height, width, gains, count), one thread a pixel.

    The table has a row for each sample; `given` has what is not held: gains from `gains` on, kernels, pixels.
    """

    def batch(
        held: Any,
        table: Any,
        given: Any,
        white: Any,
        batch: Any,
        depth: Any,
        height: Any,
        width: Any,
        gains: Any,
        count: Any,
    ) -> None:
        kept, sent, noise = ops.address(held), ops.address(given), ops.address(white)
        for i in range(first_index(), count, stride()):
            x, rest = split(i, width)
            y, rest = split(rest, height)
            z, sample = split(rest, depth)
            row = int32(sample * ROW)
            first, start = table[row], table[row + 4]
            place = table[row + 1] * z + table[row + 2] * y + table[row + 3] * x
            value = _number(kept, first + place) if first >= 0 else _number(sent, place - first - 1)
            made = value * _number(sent, int32(gains + sample))
            if start >= 0 and value != float32(0):
                reach = int32(table[row + 6]), int32(table[row + 7])
                plane = noise + uint64(start + int32(int32(z * height) * width)) * uint64(4)
                kernel = sent + uint64(table[row + 5]) * uint64(4)
                made += _noise(plane, kernel, reach, (y, x), (height, width))
            batch[i] = made

    return batch

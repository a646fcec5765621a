"""Samples cut out of arrays on the device, or made there: any strides, a factor, correlated noise, galaxies.

What is not held on the device comes in one array of float32, `sent`; places in it count from -1 down, those
in what is held from 0 on. Tables are of int64.
"""

from __future__ import annotations

from typing import Any

from skadetect.formulas import normal_size32
from skadetect.nn.backends.cuda.device import float32, inlined, int32, ops, uint32, uint64
from skadetect.nn.backends.cuda.elementwise import GOLDEN, first_index, mixed, stride
from skadetect.nn.backends.cuda.gather import split
from skadetect.nn.backends.pieces import HANNING

#: What a table says of white noise: where its words start, and whether it is smoothed along z.
WHITE = 2
#: Of a piece: its first pixel's place, its strides along z, y, x; where its white noise starts, or -1; where
#: its kernel is, and how far that reaches along y and x; where its gain is.
PIECE = 9
#: Of a composition: the white noise and the kernel in the same way, where gains and levels of the planes are,
#: how many patterns, where their curves and planes are, which stamps, and where it goes.
COMPOSED = 12
#: Of a stamp: its first pixel's place, its strides, its first corner and the one behind its last, its factor.
STAMP = 11

_size = inlined(normal_size32)


@inlined
def _normal(start: Any, place: Any) -> Any:
    """A standard normal number; see `skadetect.nn.backends.pieces.white_noise`."""
    word = mixed(uint64(place + 1) * uint64(GOLDEN) + uint64(start))
    chance = (float32(uint32(word >> uint64(33))) + float32(0.5)) * float32(2.0**-31)
    size = float32(_size(chance))
    return -size if word & uint64(1) else size


def make_white_noise() -> Any:
    """Kernel: (table, white, each, plane, count) normal numbers, `each` of a row, `plane` of them a plane."""
    outer, inner = HANNING

    def white_noise(table: Any, white: Any, each: Any, plane: Any, count: Any) -> None:
        for i in range(first_index(), count, stride()):
            place, row = split(i, each)
            start = table[row * WHITE]
            if table[row * WHITE + 1]:
                ends = _normal(start, place) + _normal(start, place + 2 * plane)
                white[i] = float32(outer) * ends + float32(inner) * _normal(start, place + plane)
            else:
                white[i] = _normal(start, place)

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
    """Kernel: (held, sent, white, table, batch, depth, height, width, count), one thread a pixel."""

    def batch(
        held: Any,
        sent: Any,
        white: Any,
        table: Any,
        batch: Any,
        depth: Any,
        height: Any,
        width: Any,
        count: Any,
    ) -> None:
        kept, given, noise = ops.address(held), ops.address(sent), ops.address(white)
        for i in range(first_index(), count, stride()):
            x, rest = split(i, width)
            y, rest = split(rest, height)
            z, sample = split(rest, depth)
            row = int32(sample * PIECE)
            first, start = table[row], table[row + 4]
            place = table[row + 1] * z + table[row + 2] * y + table[row + 3] * x
            value = _number(kept, first + place) if first >= 0 else _number(given, place - first - 1)
            made = value * _number(given, table[row + 8])
            if start >= 0 and value != float32(0):
                reach = int32(table[row + 6]), int32(table[row + 7])
                plane = noise + uint64(start + int32(int32(z * height) * width)) * uint64(4)
                kernel = given + uint64(table[row + 5]) * uint64(4)
                made += _noise(plane, kernel, reach, (y, x), (height, width))
            batch[i] = made

    return batch


@inlined
def _stamped(held: Any, sent: Any, stamps: Any, row: Any, place: Any) -> Any:
    """What a stamp adds at a place."""
    z, y, x = place
    z, y, x = z - stamps[row + 4], y - stamps[row + 5], x - stamps[row + 6]
    inside = (z >= 0) & (y >= 0) & (x >= 0) & (z < stamps[row + 7]) & (y < stamps[row + 8])
    value = float32(0)
    if inside & (x < stamps[row + 9]):
        first = stamps[row]
        index = stamps[row + 1] * z + stamps[row + 2] * y + stamps[row + 3] * x
        start, index = (held, first + index) if first >= 0 else (sent, index - first - 1)
        stored = ops.load_const_half(start + uint64(index) * uint64(2))
        value = ops.float_of_fp16(stored) * _number(sent, stamps[row + 10])
    return value


def make_compositions() -> Any:
    """Kernel: (held, sent, white, table, stamps, depth, height, width, count), one thread a voxel.

    The cubes go before what came in `sent`; places of stamps count in numbers of 16 bits.
    """

    def compositions(
        held: Any,
        sent: Any,
        white: Any,
        table: Any,
        stamps: Any,
        depth: Any,
        height: Any,
        width: Any,
        count: Any,
    ) -> None:
        kept, given, noise = ops.address(held), ops.address(sent), ops.address(white)
        for i in range(first_index(), count, stride()):
            x, rest = split(i, width)
            y, rest = split(rest, height)
            z, sample = split(rest, depth)
            row = int32(sample * COMPOSED)
            plane = noise + uint64(table[row] + int32(int32(z * height) * width)) * uint64(4)
            reach = int32(table[row + 2]), int32(table[row + 3])
            made = _noise(plane, given + uint64(table[row + 1]) * uint64(4), reach, (y, x), (height, width))
            made = made * _number(given, table[row + 4] + z) + _number(given, table[row + 5] + z)
            for n in range(int32(table[row + 6])):
                curve = _number(given, table[row + 7] + int32(int32(n * depth) + z))
                pixel = int32(int32(int32(int32(n * height) + y) * width) + x)
                made += curve * _number(given, table[row + 8] + pixel)
            for n in range(int32(table[row + 9]), int32(table[row + 10])):
                made += _stamped(kept, given, stamps, int32(n * STAMP), (z, y, x))
            inside = int32(int32(int32(int32(z * height) + y) * width) + x)
            sent[table[row + 11] + inside] = made

    return compositions

"""The end of a convolution: bias, activation, residual and storage of what the warps have summed."""

from __future__ import annotations

from typing import Any

from skadetect.nn.backends.cuda.device import cuda, float32, inlined, int32, int64, ops, uint32, uint64
from skadetect.nn.backends.cuda.gather import split
from skadetect.nn.backends.cuda.numbers import eight_reader, eight_writer, reader, writer

#: Bits of a convolution's flags: a residual is added; rows of the output are aligned to 16 bytes.
RESIDUAL, ALIGNED = 1, 2


def make_epilogue(columns: int, precision: str, *, scattered: bool) -> Any:
    """Device function: finish and store sixteen rows of a warp out of shared memory.

    Each lane takes eight features of a pixel and stores them at once.

    Parameters
    ----------
    columns : int
        Features of the warp.
    precision : str
        Of what is stored.
    scattered : bool
        Rows are not the pixels of the output in their order, but those of a coarser grid within it.
    """
    width = columns + 4  # floats of a row: four more, so that rows begin in different banks
    parts = columns // 8
    passes = 16 * parts // 32
    add_eight, write_eight = eight_reader(precision), eight_writer(precision)
    read, write = reader(precision), writer(precision)
    place_of = _scattered() if scattered else _straight()

    def finish(shared: Any, lane: Any, row: Any, column: Any, target: Any, how: Any) -> None:
        bias, residual, output, place = target
        rows, features, pitch, offset, flags, slope = how
        values = cuda.local.array(8, float32)
        for step in range(passes):
            index = int32(lane + 32 * step)
            r = int32(index // parts)
            c = int32((index - r * parts) * 8)
            if (row + r < rows) & (column + c < features):
                _gather(values, shared + uint32((r * width + c) * 4), bias, column + c, slope)
                start = place_of(row + r, place) * int64(pitch) + int64(offset + column + c)
                whole = ((flags & ALIGNED) != 0) & (column + c + 8 <= features)
                if whole:
                    if (flags & RESIDUAL) != 0:
                        add_eight(residual, start, values)
                    write_eight(output, start, values)
                else:
                    for e in range(8):
                        if column + c + e < features:
                            value = values[e]
                            if (flags & RESIDUAL) != 0:
                                value += read(residual, start + e)
                            write(output, start + e, value)

    return inlined(finish)


def make_stash(columns: int, band: int) -> Any:
    """Device function: put sixteen rows of sums, spread over the lanes as mma leaves them, in shared memory.

    Parameters
    ----------
    columns : int
        Features of the warp.
    band : int
        Which rows, in sixteens. It is fixed, so that the sums stay in registers.
    """
    width, first = columns + 4, band * columns // 2

    def stash(sums: Any, shared: Any, lane: Any) -> None:
        g, q = lane >> 2, lane & 3
        for j in range(columns // 8):
            at = shared + uint32((g * width + j * 8 + q * 2) * 4)
            k = first + j * 4
            ops.store_shared_pair(at, sums[k], sums[k + 1])
            ops.store_shared_pair(at + uint32(8 * width * 4), sums[k + 2], sums[k + 3])

    return inlined(stash)


@inlined
def _gather(values: Any, shared: Any, bias: Any, column: Any, slope: Any) -> None:
    """Eight sums out of shared memory, with bias and activation; the bias is padded to whole eights."""
    for half in range(2):
        sums = ops.load_shared_floats(shared + uint32(16 * half))
        words = ops.load_const_words(bias + uint64(column + 4 * half) * uint64(4))
        for e in range(4):
            value = sums[e] + ops.float_of_word(words[e])
            values[4 * half + e] = value if value > float32(0) else value * slope


def _straight() -> Any:
    def pixel(row: Any, place: Any) -> Any:
        return int64(row)

    return inlined(pixel)


def _scattered() -> Any:
    def pixel(row: Any, place: Any) -> Any:
        """Row of a grid (z, y, x) at a step and start within the output's."""
        x, rest = split(row, place[2])
        y, rest = split(rest, place[1])
        z, sample = split(rest, place[0])
        z, y, x = z * place[6] + place[9], y * place[7] + place[10], x * place[8] + place[11]
        return ((int64(sample) * place[3] + z) * place[4] + y) * place[5] + x

    return inlined(pixel)

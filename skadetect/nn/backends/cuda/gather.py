"""How a convolution's operands come into shared memory: rows of 16-byte parts, swizzled, in the background.

The summed axis is (tap, input feature) in one, cut into parts of 16 bytes. A table says of each part (or,
where a part would span taps, of each number) its offset from an output pixel's first tap, and that tap's (z,
y, x): so any extents, strides and numbers of features go through one kernel, and what lies outside the image,
beyond the last tap or beyond the last feature is filled with zeros and takes no memory traffic.
"""

from __future__ import annotations

from typing import Any

from skadetect.nn.backends.cuda.device import cuda, inlined, int32, ops, uint32, uint64
from skadetect.nn.backends.cuda.tiles import Tile, element_bytes

OUTSIDE = -(1 << 20)  # a coordinate that no tap brings into an image


@inlined
def split(index: Any, size: Any) -> Any:
    """Remainder and quotient of what is not negative, in 32 bits."""
    quotient = int32(ops.divide(uint32(index), uint32(size)))
    return int32(index - quotient * size), quotient


def make_rows(tile: Tile) -> Any:
    """Device function: where the first taps of this thread's rows are: offsets and (z, y, x)."""
    parts = tile.row_bytes // 16
    step = tile.threads // parts
    count = tile.rows // step

    def rows(thread: Any, first: Any, last: Any, shape: Any, pitch: Any, places: Any) -> None:
        depth, height, width, out_z, out_y, out_x, sz, sy, sx, pz, py, px = shape
        for i in range(count):
            row = int32(first + (thread // parts + i * step))
            inside = row < last
            row = row if inside else int32(0)
            x, rest = split(row, out_x)
            y, rest = split(rest, out_y)
            z, sample = split(rest, out_z)
            z, y, x = int32(z * sz - pz), int32(y * sy - py), int32(x * sx - px)
            places[4 * i] = int32((((sample * depth + z) * height + y) * width + x) * pitch)
            places[4 * i + 1] = z
            places[4 * i + 2] = y if inside else int32(OUTSIDE)
            places[4 * i + 3] = x

    return inlined(rows)


def make_loader(tile: Tile, precision: str, *, whole: bool) -> Any:
    """Device function: begin to load one part of the sum, pixels and filters, into a stage.

    Parameters
    ----------
    tile : Tile
        Of the block.
    precision : str
        Of the operands.
    whole : bool
        Parts of 16 bytes are of one tap, aligned; else pixels are loaded number by number.
    """
    parts, size = tile.row_bytes // 16, element_bytes(precision)
    step = tile.threads // parts
    filter_rounds = -(-tile.columns // step)
    filters_at = tile.rows * tile.row_bytes
    columns, row_bytes = tile.columns, tile.row_bytes
    load_pixels = _whole(tile, size) if whole else _single(tile, size)
    swizzle = make_swizzle(row_bytes)

    def load(
        stage: Any, k: Any, thread: Any, x: Any, w: Any, table: Any, places: Any, shape: Any, bounds: Any
    ) -> None:
        first, features, pitch = bounds
        part, row = thread & (parts - 1), int32(thread // parts)
        target = stage + uint32(row * row_bytes) + (swizzle(row, part) << uint32(4))
        load_pixels(target, k * parts + part, x, table, places, shape)
        for i in range(filter_rounds):
            column = int32(row + i * step)
            if column < columns:
                inside = int32(first + column) < features
                place = int32(int32(first + column) * pitch + (k * parts + part) * (16 // size))
                source = w + uint64(place) * uint64(size) if inside else w
                ops.copy_async(
                    target + uint32(filters_at + i * step * row_bytes),
                    source,
                    uint32(16) if inside else uint32(0),
                )

    return inlined(load)


def make_swizzle(row_bytes: int) -> Any:
    """Device function: where a 16-byte part of a row is, so that eight rows meet all banks (wgmma's own for
    128).
    """
    if row_bytes == 128:

        def wide(row: Any, part: Any) -> Any:
            return uint32(part ^ (row & 7))

        return inlined(wide)

    def narrow(row: Any, part: Any) -> Any:
        return uint32(part ^ ((row >> 1) & 3))

    return inlined(narrow)


def _whole(tile: Tile, size: int) -> Any:
    parts = tile.row_bytes // 16
    step = tile.threads // parts
    count, jump = tile.rows // step, step * tile.row_bytes

    def load(target: Any, entry: Any, x: Any, table: Any, places: Any, shape: Any) -> None:
        depth, height, width = shape[0], shape[1], shape[2]
        tap = ops.load_const_words(table + uint64(entry) * uint64(16))
        offset, tz, ty, tx = int32(tap[0]), int32(tap[1]), int32(tap[2]), int32(tap[3])
        for i in range(count):
            z, y = int32(places[4 * i + 1] + tz), int32(places[4 * i + 2] + ty)
            c = int32(places[4 * i + 3] + tx)
            inside = (z >= 0) & (z < depth) & (y >= 0) & (y < height) & (c >= 0) & (c < width)
            source = x + uint64(int32(places[4 * i] + offset)) * uint64(size) if inside else x
            ops.copy_async(target + uint32(i * jump), source, uint32(16) if inside else uint32(0))

    return inlined(load)


def _single(tile: Tile, size: int) -> Any:
    parts, each = tile.row_bytes // 16, 16 // size
    step = tile.threads // parts
    count, jump = tile.rows // step, step * tile.row_bytes
    fetch = ops.load_const_half if size == 2 else ops.load_const_word
    packed, shift = each // 4, 16  # numbers of a word

    def load(target: Any, entry: Any, x: Any, table: Any, places: Any, shape: Any) -> None:
        depth, height, width = shape[0], shape[1], shape[2]
        for i in range(count):
            words = cuda.local.array(4, uint32)
            for e in range(each):
                tap = ops.load_const_words(table + uint64(entry * each + e) * uint64(16))
                z, y = int32(places[4 * i + 1] + int32(tap[1])), int32(places[4 * i + 2] + int32(tap[2]))
                c = int32(places[4 * i + 3] + int32(tap[3]))
                word = uint32(0)
                if (z >= 0) & (z < depth) & (y >= 0) & (y < height) & (c >= 0) & (c < width):
                    word = fetch(x + uint64(int32(places[4 * i] + int32(tap[0]))) * uint64(size))
                if e % packed == 0:
                    words[e // packed] = word
                else:
                    words[e // packed] |= word << uint32(shift)
            ops.store_shared_words(target + uint32(i * jump), words[0], words[1], words[2], words[3])

    return inlined(load)

"""Gradient of a convolution's filters: a matrix product that sums over all output pixels.

Rows are (tap, input feature), columns output features. Blocks share the pixels among them and leave partial
sums, which `make_merge_filters` adds in their order: the result is the same at every run. Tiles lie in shared
memory pixel by pixel, so tensor cores take them through transposing loads; float32 (and tf32, whose loads do
not transpose) is summed by fused multiply-adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numba.cuda import types

from skadetect.nn.backends.cuda.device import cuda, float32, inlined, int32, int64, ops, uint32, uint64
from skadetect.nn.backends.cuda.elementwise import first_index, stride
from skadetect.nn.backends.cuda.gather import OUTSIDE, split
from skadetect.nn.backends.cuda.tiles import WARP, element_bytes

#: Pixels of a part of the sum.
PIXELS = 32


@dataclass(frozen=True)
class FilterTile:
    """Rows (tap, input feature) and columns (output features) of a block and its warps; parts in memory."""

    rows: int = 64
    columns: int = 64
    warp_rows: int = 32
    warp_columns: int = 32
    stages: int = 3

    @property
    def threads(self) -> int:
        """Threads of the block."""
        return WARP * (self.rows // self.warp_rows) * (self.columns // self.warp_columns)

    def stage_bytes(self, precision: str) -> int:
        """Bytes of a part of the sum."""
        return PIXELS * (self.rows + self.columns) * element_bytes(precision)


FEW, MANY = FilterTile(64, 16, 16, 16), FilterTile()


def choose_filter_tile(outputs: int) -> FilterTile:
    """The tile for a number of output features."""
    return FEW if outputs <= 16 else MANY


def signature(precision: str) -> tuple[Any, ...]:
    """Types of the kernel's arguments."""
    stored = types.uint16 if element_bytes(precision) == 2 else types.float32
    arrays = (stored[::1], stored[::1], types.float32[::1], types.int32[::1])
    return (*arrays, *(types.int32,) * 19)


def make_filter_gradient(tile: FilterTile, precision: str, *, whole_x: bool, whole_grad: bool) -> Any:
    """Kernel of the gradient of filters.

    Its arguments: x, the output's gradient, partial sums (share, row, column), the table of `gather`; extents
    of the input and output, strides, padding (z, y, x each); numbers between pixels of x; rows, columns;
    numbers between pixels of the gradient and before its first feature; pixels; pixels of a share.

    Parameters
    ----------
    tile : FilterTile
        Of a block.
    precision : str
        Of x and the gradient.
    whole_x, whole_grad : bool
        Whether their 16 bytes are of one tap and aligned.
    """
    size = element_bytes(precision)
    load_x = _make_x_loader(tile, size, whole_x)
    load_grad = _make_gradient_loader(tile, size, whole_grad)
    multiply = _make_multiply(tile, precision) if size == 2 else _make_scalar(tile)
    stages, stage_bytes = tile.stages, tile.stage_bytes(precision)
    last_stage, grad_at = (stages - 1) * stage_bytes, PIXELS * tile.rows * size
    n_sums, row_warps = tile.warp_rows * tile.warp_columns // 32, tile.rows // tile.warp_rows
    rows, columns, warp_rows, warp_columns = tile.rows, tile.columns, tile.warp_rows, tile.warp_columns
    bands, blocks = warp_rows // 16, warp_columns // 8
    wait, wait_all = ops.WAIT[stages - 2], ops.WAIT[0]

    def filter_gradient(
        x: Any, grad: Any, sums_out: Any, table: Any,
        z_in: Any, y_in: Any, x_in: Any, z_out: Any, y_out: Any, x_out: Any,
        z_step: Any, y_step: Any, x_step: Any,
        z_pad: Any, y_pad: Any, x_pad: Any, pitch: Any, n_rows: Any, n_columns: Any,
        grad_pitch: Any, grad_offset: Any, pixels: Any, share: Any,
    ) -> None:  # fmt: skip
        shared = cuda.shared.array(0, uint32)
        base = (ops.shared_address(shared) + uint32(15)) & uint32(0xFFFFFFF0)
        thread = int32(cuda.threadIdx.x)
        lane, warp = thread & 31, thread >> 5
        first_row, first_column = int32(cuda.blockIdx.x * rows), int32(cuda.blockIdx.y * columns)
        start = int32(cuda.blockIdx.z * share)
        stop = int32(min(start + share, pixels))
        parts = (stop - start + PIXELS - 1) // PIXELS
        shape = (z_in, y_in, x_in, z_out, y_out, x_out, z_step, y_step, x_step, z_pad, y_pad, x_pad)
        source, slopes, taps = ops.address(x), ops.address(grad), ops.address(table)
        sums = cuda.local.array(n_sums, float32)
        for i in range(n_sums):
            sums[i] = float32(0)
        row, column = int32((warp % row_warps) * warp_rows), int32((warp // row_warps) * warp_columns)
        filling, reading = uint32(0), uint32(0)
        for step in range(parts + stages - 1):
            if step >= stages - 1:
                wait()
                cuda.syncthreads()
            if step < parts:
                at = int32(start + step * PIXELS)
                load_x(base + filling, thread, at, stop, first_row, n_rows, source, taps, shape, pitch)
                load_grad(
                    base + filling + uint32(grad_at),
                    thread,
                    at,
                    stop,
                    first_column,
                    n_columns,
                    slopes,
                    grad_pitch,
                    grad_offset,
                )
                filling = filling + uint32(stage_bytes) if filling != uint32(last_stage) else uint32(0)
            ops.commit_copies()
            if step >= stages - 1:
                multiply(sums, base + reading, lane, row, column)
                reading = reading + uint32(stage_bytes) if reading != uint32(last_stage) else uint32(0)
        wait_all()
        output = ops.address(sums_out)
        g, q = lane >> 2, lane & 3
        for i in range(bands):
            for j in range(blocks):
                for e in range(4):
                    r = first_row + row + 16 * i + 8 * (e // 2) + g
                    c = first_column + column + 8 * j + 2 * q + e % 2
                    if (r < n_rows) & (c < n_columns):
                        at = (int64(cuda.blockIdx.z) * n_rows + r) * n_columns + c
                        ops.store_word(
                            output + uint64(at) * uint64(4), ops.word_of_float(sums[(i * blocks + j) * 4 + e])
                        )

    return filter_gradient


def _make_x_loader(tile: FilterTile, size: int, whole: bool) -> Any:
    """Neighbourhoods of some pixels, as they enter the sum: row by row of the gradient."""
    each, row_bytes = 16 // size, tile.rows * size
    parts = row_bytes // 16
    step = tile.threads // parts
    rounds = -(-PIXELS // step)
    numbers = 1 if whole else each
    fetch = ops.load_const_half if size == 2 else ops.load_const_word
    packed = each // 4

    def load(
        stage: Any,
        thread: Any,
        first: Any,
        stop: Any,
        first_row: Any,
        n_rows: Any,
        x: Any,
        table: Any,
        shape: Any,
        pitch: Any,
    ) -> None:
        depth, height, width, out_z, out_y, out_x, sz, sy, sx, pz, py, px = shape
        part, line = int32(thread % parts), int32(thread // parts)
        entry = int32((first_row // each + part) * numbers)
        for i in range(rounds):
            pixel = int32(line + i * step)
            if pixel < PIXELS:
                row = int32(first + pixel)
                inside = row < stop
                column, rest = split(row if inside else int32(0), out_x)
                line_y, rest = split(rest, out_y)
                plane, sample = split(rest, out_z)
                z, y, c = int32(plane * sz - pz), int32(line_y * sy - py), int32(column * sx - px)
                y = y if inside else int32(OUTSIDE)
                start = int32((((sample * depth + z) * height + y) * width + c) * pitch)
                target = stage + uint32(pixel * row_bytes) + (uint32(part ^ (pixel & 7)) << uint32(4))
                words = cuda.local.array(4, uint32)
                for e in range(numbers):
                    known = first_row + part * each + e < n_rows
                    tap = ops.load_const_words(table + uint64(entry + e if known else 0) * uint64(16))
                    tz, ty, tx = int32(z + int32(tap[1])), int32(y + int32(tap[2])), int32(c + int32(tap[3]))
                    seen = (
                        known
                        & (tz >= 0)
                        & (tz < depth)
                        & (ty >= 0)
                        & (ty < height)
                        & (tx >= 0)
                        & (tx < width)
                    )
                    source = x + uint64(int32(start + int32(tap[0]))) * uint64(size) if seen else x
                    if whole:
                        ops.copy_async(target, source, uint32(16) if seen else uint32(0))
                    else:
                        word = fetch(source) if seen else uint32(0)
                        if e % packed == 0:
                            words[e // packed] = word
                        else:
                            words[e // packed] |= word << uint32(16)
                if not whole:
                    ops.store_shared_words(target, words[0], words[1], words[2], words[3])

    return inlined(load)


def _make_gradient_loader(tile: FilterTile, size: int, whole: bool) -> Any:
    """The output's gradient at the same pixels."""
    each, row_bytes = 16 // size, tile.columns * size
    parts = row_bytes // 16
    step = tile.threads // parts
    rounds = -(-PIXELS // step)
    fetch = ops.load_const_half if size == 2 else ops.load_const_word
    packed, mask = each // 4, min(parts, 8) - 1

    def load(
        stage: Any,
        thread: Any,
        first: Any,
        stop: Any,
        first_column: Any,
        n_columns: Any,
        grad: Any,
        pitch: Any,
        offset: Any,
    ) -> None:
        part, line = int32(thread % parts), int32(thread // parts)
        for i in range(rounds):
            pixel = int32(line + i * step)
            if pixel < PIXELS:
                column = int32(first_column + part * each)
                target = stage + uint32(pixel * row_bytes) + (uint32(part ^ (pixel & mask)) << uint32(4))
                start = grad + (uint64(first + pixel) * uint64(pitch) + uint64(offset + column)) * uint64(
                    size
                )
                if whole:
                    inside = (first + pixel < stop) & (column < n_columns)
                    ops.copy_async(target, start if inside else grad, uint32(16) if inside else uint32(0))
                else:
                    words = cuda.local.array(4, uint32)
                    for e in range(each):
                        word = uint32(0)
                        if (first + pixel < stop) & (column + e < n_columns):
                            word = fetch(start + uint64(e * size))
                        if e % packed == 0:
                            words[e // packed] = word
                        else:
                            words[e // packed] |= word << uint32(16)
                    ops.store_shared_words(target, words[0], words[1], words[2], words[3])

    return inlined(load)


def _make_multiply(tile: FilterTile, precision: str) -> Any:
    """Multiply 32 pixels into a warp's sums; loads transpose, for the tiles lie pixel by pixel."""
    bands, halves, blocks = tile.warp_rows // 16, tile.warp_columns // 16, tile.warp_columns // 8
    row_bytes, column_bytes, grad_at = tile.rows * 2, tile.columns * 2, PIXELS * tile.rows * 2
    n_columns, mask = 4 * halves, min(tile.columns * 2 // 16, 8) - 1
    mma = ops.MMA[precision]

    def multiply(sums: Any, stage: Any, lane: Any, first_row: Any, first_column: Any) -> None:
        matrix, r = lane >> 3, lane & 7
        right = cuda.local.array(n_columns, uint32)
        for step in range(PIXELS // 16):
            pixel = step * 16 + r + 8 * (matrix & 1)
            for j in range(halves):
                part = (first_column >> 3) + 2 * j + (matrix >> 1)
                words = ops.load_matrix_transposed(
                    stage
                    + uint32(grad_at + pixel * column_bytes)
                    + (uint32(part ^ (pixel & mask)) << uint32(4))
                )
                for e in range(4):
                    right[4 * j + e] = words[e]
            pixel = step * 16 + r + 8 * (matrix >> 1)
            for i in range(bands):
                part = (first_row >> 3) + 2 * i + (matrix & 1)
                a = ops.load_matrix_transposed(
                    stage + uint32(pixel * row_bytes) + (uint32(part ^ (pixel & 7)) << uint32(4))
                )
                for j in range(blocks):
                    k = (i * blocks + j) * 4
                    d = mma(
                        a[0],
                        a[1],
                        a[2],
                        a[3],
                        right[2 * j],
                        right[2 * j + 1],
                        sums[k],
                        sums[k + 1],
                        sums[k + 2],
                        sums[k + 3],
                    )
                    sums[k], sums[k + 1], sums[k + 2], sums[k + 3] = d[0], d[1], d[2], d[3]

    return inlined(multiply)


def _make_scalar(tile: FilterTile) -> Any:
    """The same in float32."""
    bands, blocks = tile.warp_rows // 16, tile.warp_columns // 8
    row_bytes, column_bytes, grad_at = tile.rows * 4, tile.columns * 4, PIXELS * tile.rows * 4
    n_rows, n_columns, mask = 2 * bands, 2 * blocks, min(tile.columns * 4 // 16, 8) - 1

    def multiply(sums: Any, stage: Any, lane: Any, first_row: Any, first_column: Any) -> None:
        row, column = first_row + (lane >> 2), first_column + 2 * (lane & 3)
        left, right = cuda.local.array(n_rows, float32), cuda.local.array(n_columns, float32)
        for pixel in range(PIXELS):
            for i in range(n_rows):
                k = row + 8 * i
                at = stage + uint32(pixel * row_bytes + (k & 3) * 4)
                left[i] = ops.load_shared_float(at + (uint32((k >> 2) ^ (pixel & 7)) << uint32(4)))
            for j in range(n_columns):
                k = column + 8 * (j // 2) + j % 2
                at = stage + uint32(grad_at + pixel * column_bytes + (k & 3) * 4)
                right[j] = ops.load_shared_float(at + (uint32((k >> 2) ^ (pixel & mask)) << uint32(4)))
            for i in range(bands):
                for j in range(blocks):
                    for e in range(4):
                        sums[(i * blocks + j) * 4 + e] += left[2 * i + e // 2] * right[2 * j + e % 2]

    return inlined(multiply)


def make_merge_filters() -> Any:
    """Kernel: (partial, filters, rows, columns, pitch, offset, shares, scale) sums of shares, in order."""

    def merge(
        partial: Any, filters: Any, rows: Any, columns: Any, pitch: Any, offset: Any, shares: Any, scale: Any
    ) -> None:
        count = int64(rows) * int64(columns)
        for i in range(first_index(), count, stride()):
            total = float32(0)
            for share in range(shares):
                total += partial[share * count + i]
            filters[(i // columns) * pitch + offset + i % columns] = total * scale

    return merge

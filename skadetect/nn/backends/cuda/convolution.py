"""Convolution as an implicit matrix product: rows are output pixels, columns output features.

The neighbourhoods that the product reads are never written anywhere: `gather` fetches them, part by part of
the sum, into shared memory while the parts before are multiplied, by tensor cores (mma.sync, or wgmma on
sm_90a) or, in full float32, by fused multiply-adds. The gradient to the input is the same product over the
output's gradient, one launch for each phase of the stride.
"""

from __future__ import annotations

from typing import Any

from numba.cuda import types

from skadetect.nn.backends.cuda.device import cuda, float32, inlined, int32, ops, uint32, uint64
from skadetect.nn.backends.cuda.epilogue import make_epilogue, make_stash
from skadetect.nn.backends.cuda.gather import make_loader, make_rows, make_swizzle
from skadetect.nn.backends.cuda.tiles import Tile, element_bytes

#: Of the kernels' sources; raise it with any change that Numba's cache does not see (instructions, options).
VERSION = 1
#: A tile's descriptor for wgmma: swizzle of 128 bytes, 1024 bytes from eight rows to the next eight.
DESCRIPTOR = (1 << 62) | (64 << 32) | (1 << 16)


def signature(precision: str, output: str) -> tuple[Any, ...]:
    """Types of a convolution kernel's arguments."""
    stored, out = (types.uint16 if element_bytes(p) == 2 else types.float32 for p in (precision, output))
    arrays = (
        stored[::1],
        stored[::1],
        types.float32[::1],
        out[::1],
        out[::1],
        types.int32[::1],
        types.int32[::1],
    )
    return (*arrays, *(types.int32,) * 20, types.float32)


def make_convolution(tile: Tile, precision: str, *, whole: bool, output: str, scattered: bool = False) -> Any:
    """Kernel of a convolution.

    Its arguments: x (batch, z, y, x, feature), filters (feature, sum), bias, residual, output, the table of
    `gather`, the place of scattered rows; extents of the input and of the grid of rows, strides, padding (z,
    y, x each); numbers between pixels of x and between rows of the filters; output features, rows, parts of
    the sum; numbers between pixels of the output and before its first feature; flags of `epilogue`; the
    slope.

    Parameters
    ----------
    tile : Tile
        Of a block.
    precision, output : str
        Of the operands and of what is stored.
    whole, scattered : bool
        See `gather.make_loader` and `epilogue.make_epilogue`.
    """
    rows_of, load = make_rows(tile), make_loader(tile, precision, whole=whole)
    multiply = make_wide(tile, precision) if tile.wide else make_multiply(tile, precision)
    finish = make_epilogue(tile.warp_columns, output, scattered=scattered)
    stash0, stash1, stash2, stash3 = (
        make_stash(tile.warp_columns, min(b, tile.warp_rows // 16 - 1)) for b in range(4)
    )
    stages, stage_bytes, last_stage = tile.stages, tile.stage_bytes, (tile.stages - 1) * tile.stage_bytes
    n_places = 4 * tile.rows * (tile.row_bytes // 16) // tile.threads
    n_sums = tile.warp_rows * tile.warp_columns // 32
    bands, row_warps = tile.warp_rows // 16, tile.rows // tile.warp_rows
    rows, columns, warp_rows, warp_columns = tile.rows, tile.columns, tile.warp_rows, tile.warp_columns
    results, alignment = 16 * (warp_columns + 4) * 4, 1023 if tile.wide else 15
    wait, wait_all, wide, version = ops.WAIT[tile.stages - 2], ops.WAIT[0], tile.wide, VERSION

    def convolution(
        x: Any, filters: Any, bias: Any, residual: Any, output: Any, table: Any, place: Any,
        z_in: Any, y_in: Any, x_in: Any, z_out: Any, y_out: Any, x_out: Any,
        z_step: Any, y_step: Any, x_step: Any,
        z_pad: Any, y_pad: Any, x_pad: Any, pitch: Any, depth: Any, features: Any, pixels: Any, parts: Any,
        out_pitch: Any, out_offset: Any, flags: Any, slope: Any,
    ) -> None:  # fmt: skip
        shared = cuda.shared.array(0, uint32)
        base = (ops.shared_address(shared) + uint32(alignment)) & uint32(0xFFFFFFFF - alignment)
        thread = int32(cuda.threadIdx.x)
        lane, warp = thread & 31, thread >> 5
        first_row, first_column = int32(cuda.blockIdx.x * rows), int32(cuda.blockIdx.y * columns)
        shape = (z_in, y_in, x_in, z_out, y_out, x_out, z_step, y_step, x_step, z_pad, y_pad, x_pad)
        bounds = (first_column, features, depth)
        source, weights, taps = ops.address(x), ops.address(filters), ops.address(table)
        places = cuda.local.array(n_places, int32)
        rows_of(thread, first_row, pixels, shape, pitch, places)
        sums = cuda.local.array(n_sums, float32)
        for i in range(n_sums):
            sums[i] = float32(0)
        filling, reading = uint32(0), uint32(0)
        row, column = int32((warp % row_warps) * warp_rows), int32((warp // row_warps) * warp_columns)
        for step in range(parts + stages - 1):
            if step >= stages - 1:
                wait()
                if wide:
                    ops.fence_shared()
                cuda.syncthreads()
            if step < parts:
                load(base + filling, step, thread, source, weights, taps, places, shape, bounds)
                filling = filling + uint32(stage_bytes) if filling != uint32(last_stage) else uint32(0)
            ops.commit_copies()
            if step >= stages - 1:
                multiply(sums, base + reading, lane, row, column)
                reading = reading + uint32(stage_bytes) if reading != uint32(last_stage) else uint32(0)
        wait_all()
        cuda.syncthreads()
        target = (ops.address(bias), ops.address(residual), ops.address(output), place)
        how = (pixels, features, out_pitch, out_offset, flags, slope)
        mine = base + uint32(warp * results)
        for band in range(bands):
            ops.sync_warp()
            if band == 0:
                stash0(sums, mine, lane)
            elif band == 1:
                stash1(sums, mine, lane)
            elif band == 2:
                stash2(sums, mine, lane)
            else:
                stash3(sums, mine, lane)
            ops.sync_warp()
            finish(mine, lane, int32(first_row + row + band * 16), int32(first_column + column), target, how)
        if version < 0:  # makes the version part of what Numba's cache knows a kernel by
            ops.sync_warp()

    return convolution


def make_multiply(tile: Tile, precision: str) -> Any:
    """Device function: multiply one part of the sum, from shared memory, into a warp's sums."""
    if precision == "fp32":
        return _make_scalar(tile)
    bands, blocks = tile.warp_rows // 16, tile.warp_columns // 8
    filters_at, half_blocks, n_filters = (
        tile.rows * tile.row_bytes,
        tile.warp_columns // 16,
        tile.warp_columns // 4,
    )
    mma, rounded, swizzle = ops.MMA[precision], precision == "tf32", make_swizzle(tile.row_bytes)

    def multiply(sums: Any, stage: Any, lane: Any, first_row: Any, first_column: Any) -> None:
        row, row_part = first_row + (lane & 15), lane >> 4
        column, column_part = first_column + (lane & 7) + ((lane >> 4) << 3), (lane >> 3) & 1
        filters = cuda.local.array(n_filters, uint32)
        for step in range(2):
            at = (
                stage
                + uint32(filters_at + column * 64)
                + (swizzle(column, column_part + 2 * step) << uint32(4))
            )
            for j in range(half_blocks):
                words = ops.load_matrix(at + uint32(j * 16 * 64))
                for e in range(4):
                    filters[4 * j + e] = words[e]
            at = stage + uint32(row * 64) + (swizzle(row, row_part + 2 * step) << uint32(4))
            for i in range(bands):
                a0, a1, a2, a3 = ops.load_matrix(at + uint32(i * 16 * 64))
                if rounded:
                    a0, a1 = ops.round_tf32(ops.float_of_word(a0)), ops.round_tf32(ops.float_of_word(a1))
                    a2, a3 = ops.round_tf32(ops.float_of_word(a2)), ops.round_tf32(ops.float_of_word(a3))
                for j in range(blocks):
                    k = (i * blocks + j) * 4
                    d = mma(
                        a0,
                        a1,
                        a2,
                        a3,
                        filters[2 * j],
                        filters[2 * j + 1],
                        sums[k],
                        sums[k + 1],
                        sums[k + 2],
                        sums[k + 3],
                    )
                    sums[k], sums[k + 1], sums[k + 2], sums[k + 3] = d[0], d[1], d[2], d[3]

    return inlined(multiply)


def _make_scalar(tile: Tile) -> Any:
    """The same in float32 without tensor cores: each lane holds the sums that mma would leave it."""
    bands, blocks = tile.warp_rows // 16, tile.warp_columns // 8
    filters_at, n_rows, n_columns = tile.rows * tile.row_bytes, tile.warp_rows // 2, tile.warp_columns
    swizzle = make_swizzle(tile.row_bytes)

    def multiply(sums: Any, stage: Any, lane: Any, first_row: Any, first_column: Any) -> None:
        row, column = first_row + (lane >> 2), first_column + 2 * (lane & 3)
        left, right = cuda.local.array(n_rows, float32), cuda.local.array(n_columns, float32)
        for part in range(4):
            for i in range(2 * bands):
                at = stage + uint32((row + 8 * i) * 64) + (swizzle(row + 8 * i, part) << uint32(4))
                left[4 * i], left[4 * i + 1], left[4 * i + 2], left[4 * i + 3] = ops.load_shared_floats(at)
            for j in range(2 * blocks):
                c = column + 8 * (j // 2) + j % 2
                at = stage + uint32(filters_at + c * 64) + (swizzle(c, part) << uint32(4))
                right[4 * j], right[4 * j + 1], right[4 * j + 2], right[4 * j + 3] = ops.load_shared_floats(
                    at
                )
            for i in range(bands):
                for j in range(blocks):
                    for e in range(4):
                        k = (i * blocks + j) * 4 + e
                        for t in range(4):
                            sums[k] += left[4 * (2 * i + e // 2) + t] * right[4 * (2 * j + e % 2) + t]

    return inlined(multiply)


def make_wide(tile: Tile, precision: str) -> Any:
    """Device function: the same by wgmma, four warps and 64 rows at a time."""
    wgmma, filters_at = ops.make_wgmma(tile.columns, precision), tile.rows * tile.row_bytes

    def multiply(sums: Any, stage: Any, lane: Any, first_row: Any, first_column: Any) -> None:
        pixels = stage + uint32((first_row // 64) * 64 * 128)
        filters = stage + uint32(filters_at)
        wgmma(
            sums,
            uint64(DESCRIPTOR) | uint64(pixels >> uint32(4)),
            uint64(DESCRIPTOR) | uint64(filters >> uint32(4)),
        )

    return inlined(multiply)

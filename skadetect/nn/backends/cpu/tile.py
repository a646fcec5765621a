"""The one inner loop of the convolutions: a tile of values times a panel of weights, summed in registers.

`tile` is written as LLVM vector instructions, which Numba compiles for the machine it runs on: for each of
`ROWS` rows and each vector of a panel one register, to which the products of a row's value (broadcast) and
the panel's weights are added. Nothing needs to be gathered: a row's values are read where they lie, in runs.
In a convolution a row is a pixel and a run the taps along x of one filter row times their features, which lie
side by side in a channels-last image; in the gradient of filters a row is a tap and a run a line of pixels.

Memory comes several times faster to a processor that reads it in its order than in tiles of pixels, so a tile
of a convolution asks for what the next one reads and writes, line by line, while it computes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numba
from numba.core import types
from numba.extending import intrinsic

from skadetect._numba import JIT
from skadetect.nn.backends.cpu.tile_code import HALF, LANES, ROWS, WIDTH, PairedCode, SharedCode, TileCode

__all__ = ["HALF", "LANES", "ROWS", "WIDTH", "tile", "tile_apart"]

_WHOLE = types.int64


@lru_cache(maxsize=8)
def tile_of(
    lanes: tuple[int, ...], code: type[TileCode] = TileCode, *, side_by_side: bool
) -> Callable[..., None]:
    """Make `tile` for panels of some vectors of these lanes, or else `tile_apart`."""

    @intrinsic  # type: ignore[misc]
    def made(
        _: Any, x: Any, rows: Any, step: Any, runs: Any, count: Any, length: Any, weights: Any, pitch: Any,
        start: Any, slope: Any, y: Any, outs: Any, extra: Any, width: Any,
    ) -> Any:  # fmt: skip
        signature = types.void(*[_WHOLE] * 9, types.float32, *[_WHOLE] * 4)

        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            code(builder, lanes, side_by_side).write(*arguments)
            return context.get_dummy_value()

        return signature, generate

    return made  # type: ignore[no-any-return]


_four = tile_of((LANES, LANES), side_by_side=True)
_three = tile_of((LANES, HALF), SharedCode, side_by_side=True)
_two, _one = (tile_of((n,), side_by_side=True) for n in (LANES, HALF))
_two_paired, _one_paired = (tile_of((n,), PairedCode, side_by_side=True) for n in (LANES, HALF))
_four_apart = tile_of((LANES, LANES), side_by_side=False)
_three_apart = tile_of((LANES, HALF), SharedCode, side_by_side=False)
_two_apart, _one_apart = (tile_of((n,), side_by_side=False) for n in (LANES, HALF))


@numba.njit(**JIT)
def tile(
    x: int, rows: int, runs: int, count: int, length: int, weights: int, start: int, slope: float, y: int,
    outs: int, extra: int, width: int, paired: bool,
) -> None:  # fmt: skip
    """Sum products for the first `width` columns of a panel and `ROWS` rows of a convolution.

    As `tile_apart` with values side by side, and rows of weights as `filters.pack` lays them, `paired` or
    not. The tables `rows` and `outs` go on with those of the next tile.
    """
    if width > LANES + HALF:
        _four(x, rows, 1, runs, count, length, weights, WIDTH, start, slope, y, outs, extra, width)
    elif width > LANES:
        _three(x, rows, 1, runs, count, length, weights, WIDTH, start, slope, y, outs, extra, width)
    elif paired and width > HALF:
        _two_paired(x, rows, 1, runs, count, length, weights, LANES, start, slope, y, outs, extra, width)
    elif paired:
        _one_paired(x, rows, 1, runs, count, length, weights, LANES, start, slope, y, outs, extra, width)
    elif width > HALF:
        _two(x, rows, 1, runs, count, length, weights, LANES, start, slope, y, outs, extra, width)
    else:
        _one(x, rows, 1, runs, count, length, weights, LANES, start, slope, y, outs, extra, width)


@numba.njit(**JIT)
def tile_apart(
    x: int, rows: int, step: int, runs: int, count: int, length: int, weights: int, pitch: int,
    start: int, slope: float, y: int, outs: int, extra: int, width: int,
) -> None:  # fmt: skip
    """Sum products for the first `width` columns of a panel and `ROWS` rows.

    Addresses are integers; offsets and steps are in floats. `x` + rows[m] + runs[2 r] is where run r of row m
    begins, with `step` from value to value; runs[2 r + 1] is the first of its rows of weights, which lie
    `pitch` apart and of which whole halves of a vector are read. `start` is the address of what the
    sums begin with (`WIDTH` floats), `count` at least one. leaky(sum) goes to `y` + outs[m], plus what lies
    at `extra` + outs[m] unless `extra` is zero; `slope` is at most one.
    """
    if width > LANES + HALF:
        _four_apart(x, rows, step, runs, count, length, weights, pitch, start, slope, y, outs, extra, width)
    elif width > LANES:
        _three_apart(x, rows, step, runs, count, length, weights, pitch, start, slope, y, outs, extra, width)
    elif width > HALF:
        _two_apart(x, rows, step, runs, count, length, weights, pitch, start, slope, y, outs, extra, width)
    else:
        _one_apart(x, rows, step, runs, count, length, weights, pitch, start, slope, y, outs, extra, width)

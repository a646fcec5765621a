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

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from skadetect._numba import JIT


def _shape() -> tuple[int, int]:
    """Rows and lanes for this machine's registers: 32 of 16 floats, 16 of 8, or else of 4."""
    own = numba.config.CPU_NAME is None and numba.config.CPU_FEATURES is None
    features = llvm.get_host_cpu_features() if own else {}
    if features.get("avx512f"):
        return 12, 16
    return (6, 8) if features.get("avx2") and features.get("fma") else (6, 4)


#: Rows of a tile, floats of a vector and of half of one, and output features of a panel of filters.
ROWS, LANES = _shape()
HALF = LANES // 2
WIDTH = 2 * LANES
#: Rows of weights that are asked for before they are needed.
AHEAD = 24
#: Values of a row that a turn of the loop takes, in runs of a multiple of it; floats of a line of the cache.
TURN, LINE = 4, 16

_FLOAT, _INT, _INT32 = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_BYTE = ir.IntType(8).as_pointer()
_FUSE = ("contract", "nsz")
_WHOLE = types.int64


@lru_cache(maxsize=8)
def tile_of(lanes: tuple[int, ...], *, side_by_side: bool) -> Callable[..., None]:
    """Make `tile` for panels of some vectors of these lanes, or else `tile_apart`."""

    @intrinsic  # type: ignore[misc]
    def made(
        _: Any, x: Any, rows: Any, step: Any, runs: Any, count: Any, length: Any, weights: Any, pitch: Any,
        start: Any, slope: Any, y: Any, outs: Any, extra: Any, width: Any,
    ) -> Any:  # fmt: skip
        signature = types.void(*[_WHOLE] * 9, types.float32, *[_WHOLE] * 4)

        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            _Tile(builder, lanes, side_by_side).write(*arguments)
            return context.get_dummy_value()

        return signature, generate

    return made  # type: ignore[no-any-return]


_LANES = ((LANES, LANES), (LANES, HALF), (LANES,), (HALF,))
_four, _three, _two, _one = (tile_of(lanes, side_by_side=True) for lanes in _LANES)
_four_apart, _three_apart, _two_apart, _one_apart = (tile_of(lanes, side_by_side=False) for lanes in _LANES)


@numba.njit(**JIT)
def tile(
    x: int, rows: int, runs: int, count: int, length: int, weights: int, start: int, slope: float, y: int,
    outs: int, extra: int, width: int,
) -> None:  # fmt: skip
    """Sum products for the first `width` columns of a panel and `ROWS` rows of a convolution.

    As `tile_apart` with values side by side, and rows of weights as `filters.pack` lays them. The tables
    `rows` and `outs` go on with those of the next tile.
    """
    if width > LANES + HALF:
        _four(x, rows, 1, runs, count, length, weights, WIDTH, start, slope, y, outs, extra, width)
    elif width > LANES:
        _three(x, rows, 1, runs, count, length, weights, WIDTH, start, slope, y, outs, extra, width)
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


def _prefetch(builder: Any, pointer: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [_BYTE, _INT32, _INT32, _INT32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    pointer = builder.bitcast(pointer, _BYTE)
    builder.call(function, [pointer, *(ir.Constant(_INT32, n) for n in (0, 3, 1))])


class _Tile:
    """Writes the instructions of one tile."""

    def __init__(self, builder: Any, lanes: tuple[int, ...], side_by_side: bool) -> None:
        self.builder, self.side_by_side = builder, side_by_side
        self.kinds = [ir.VectorType(_FLOAT, n) for n in lanes]
        self.places = [sum(lanes[:v]) for v in range(len(lanes))]
        self.columns = sum(lanes)

    def write(
        self, x: Any, rows: Any, step: Any, runs: Any, count: Any, length: Any, weights: Any, pitch: Any,
        start: Any, slope: Any, y: Any, outs: Any, extra: Any, width: Any,
    ) -> None:  # fmt: skip
        bases = [self._at(x, self._whole(rows, m)) for m in range(ROWS)]
        if self.side_by_side:
            bases.append(self._at(x, self._whole(rows, ROWS)))
            self._ask_for_outputs(y, outs)
        first = [
            self._load(kind, self._at(start, self._constant(place)))
            for kind, place in zip(self.kinds, self.places, strict=True)
        ]
        sums = self._over_runs(bases, step, runs, (count, length), weights, pitch, first * ROWS)
        steep = [self._splat(kind, slope) for kind in self.kinds]
        made = []
        for place, value in enumerate(sums):
            small = self.builder.fmul(value, steep[place % len(steep)])
            larger = self.builder.fcmp_ordered(">", value, small)
            made.append(self.builder.select(larger, value, small))
        targets = [self._whole(outs, m) for m in range(ROWS)]
        self._finish(made, y, targets, extra, width)

    def _finish(self, made: list[Any], y: Any, targets: list[Any], extra: Any, width: Any) -> None:
        """Write the sums: with or without what is added to them, panels that are full or not."""
        builder = self.builder
        with builder.if_else(self._equal(extra, 0)) as (plain, added):
            for branch, more in ((plain, None), (added, extra)):
                with branch, builder.if_else(self._equal(width, self.columns)) as (full, part):
                    with full:
                        self._store(made, y, targets, more, None)
                    with part:
                        self._store(made, y, targets, more, self._masks(width))

    def _store(self, made: list[Any], y: Any, targets: list[Any], extra: Any, masks: Any) -> None:
        for place, value in enumerate(made):
            m, v = divmod(place, len(self.kinds))
            mask = masks[v] if masks else None
            offset = self.builder.add(targets[m], self._constant(self.places[v]))
            if extra is not None:
                value = self.builder.fadd(
                    value, self._masked_load(self.kinds[v], self._at(extra, offset), mask)
                )
            self._masked_store(value, self.kinds[v], self._at(y, offset), mask)

    def _masks(self, width: Any) -> list[Any]:
        """For each vector, which of its lanes are among the first `width` columns."""
        masks = []
        for kind, place in zip(self.kinds, self.places, strict=True):
            numbers = ir.VectorType(_INT32, kind.count)
            lanes = ir.Constant(numbers, [place + n for n in range(kind.count)])
            limit = self._splat(numbers, self.builder.trunc(width, _INT32))
            masks.append(self.builder.icmp_signed("<", lanes, limit))
        return masks

    def _ask_for_outputs(self, y: Any, outs: Any) -> None:
        """Of the next tile."""
        for m in range(ROWS, 2 * ROWS):
            target = self._at(y, self._whole(outs, m))
            for place in range(0, self.columns, LINE):
                _prefetch(self.builder, self.builder.gep(target, [self._constant(place)]))

    def _over_runs(
        self, bases: list[Any], step: Any, runs: Any, turns: tuple[Any, Any], weights: Any, pitch: Any,
        first: list[Any],
    ) -> list[Any]:  # fmt: skip
        """Sums over all runs, at least one; leaves the builder behind the loop."""
        builder, before = self.builder, self.builder.block
        count, length = turns
        outer, done = builder.append_basic_block("outer"), builder.append_basic_block("done")
        builder.branch(outer)
        builder.position_at_end(outer)
        run, *sums = self._loop(before, [self._constant(0), *first])
        twice = builder.shl(run, self._constant(1))
        here = self._whole(runs, twice)
        row = self._whole(runs, builder.add(twice, self._constant(1)))
        panel = self._at(weights, builder.mul(row, pitch))
        values = [builder.gep(base, [here]) for base in bases]
        new = self._over_run(values, length, step, panel, pitch, sums)
        next_run = builder.add(run, self._constant(1))
        self._close([run, *sums], [next_run, *new], builder.block)
        builder.cbranch(builder.icmp_signed("<", next_run, count), outer, done)
        builder.position_at_end(done)
        return new

    def _over_run(
        self, values: list[Any], length: Any, step: Any, row: Any, pitch: Any, sums: list[Any]
    ) -> list[Any]:
        """Sums over one run, of a convolution `TURN` values a turn if that divides its length."""
        builder = self.builder
        if not self.side_by_side:
            return self._turns(1, length, values, step, row, pitch, sums)
        made = []
        whole = self._equal(builder.srem(length, self._constant(TURN)), 0)
        with builder.if_else(whole) as (quick, slow):
            for branch, each in ((quick, TURN), (slow, 1)):
                with branch:
                    turns = builder.sdiv(length, self._constant(each))
                    new = self._turns(each, turns, values, step, row, pitch, sums)
                    made.append((builder.block, new))
        merged = self._loop(*made[0])
        self._close(merged, made[1][1], made[1][0])
        return merged

    def _turns(
        self, each: int, count: Any, values: list[Any], step: Any, row: Any, pitch: Any, sums: list[Any]
    ) -> list[Any]:
        """Sums over a run in turns of `each` values."""
        builder, before, turn = self.builder, self.builder.block, self.builder.append_basic_block("turn")
        builder.branch(turn)
        builder.position_at_end(turn)
        left, offset, row, *sums = state = self._loop(before, [count, self._constant(0), row, *sums])
        if each > 1:
            # The values of the next tile, of which a turn takes `each` in every row, lie side by side.
            coming = builder.gep(values[ROWS], [builder.mul(offset, self._constant(ROWS))])
            for place in range(0, each * ROWS, LINE):
                _prefetch(builder, builder.gep(coming, [self._constant(place)]))
        for _ in range(each):
            sums = self._products(values, offset, row, pitch, sums)
            offset, row = builder.add(offset, step), builder.gep(row, [pitch])
        rest = builder.sub(left, self._constant(1))
        self._close(state, [rest, offset, row, *sums], turn)
        done = builder.append_basic_block("turned")
        builder.cbranch(builder.icmp_signed(">", rest, self._constant(0)), turn, done)
        builder.position_at_end(done)
        return sums

    def _products(self, values: list[Any], offset: Any, row: Any, pitch: Any, sums: list[Any]) -> list[Any]:
        builder = self.builder
        weights = [
            self._load(kind, builder.gep(row, [self._constant(place)]))
            for kind, place in zip(self.kinds, self.places, strict=True)
        ]
        ahead = builder.gep(row, [builder.mul(pitch, self._constant(AHEAD))])
        for place in range(0, self.columns, LINE):
            _prefetch(builder, builder.gep(ahead, [self._constant(place)]))
        new = []
        for m, value in enumerate(values[:ROWS]):
            single = builder.load(builder.gep(value, [offset]))
            for v, weight in enumerate(weights):
                product = builder.fmul(self._splat(self.kinds[v], single), weight, flags=_FUSE)
                new.append(builder.fadd(product, sums[m * len(weights) + v], flags=_FUSE))
        return new

    def _loop(self, before: Any, first: list[Any]) -> list[Any]:
        """Values that change from turn to turn of a loop, with what they begin with."""
        values = []
        for start in first:
            value = self.builder.phi(start.type)
            value.add_incoming(start, before)
            values.append(value)
        return values

    @staticmethod
    def _close(values: list[Any], new: list[Any], block: Any) -> None:
        for value, following in zip(values, new, strict=True):
            value.add_incoming(following, block)

    def _whole(self, table: Any, index: Any) -> Any:
        """A whole number of a table at an address."""
        index = self._constant(index) if isinstance(index, int) else index
        pointer = self.builder.inttoptr(table, _INT.as_pointer())
        return self.builder.load(self.builder.gep(pointer, [index]))

    def _at(self, address: Any, offset: Any) -> Any:
        """Pointer to the float at an offset from an address."""
        return self.builder.gep(self.builder.inttoptr(address, _FLOAT.as_pointer()), [offset])

    def _load(self, kind: Any, pointer: Any) -> Any:
        return self.builder.load(self.builder.bitcast(pointer, kind.as_pointer()), align=4)

    def _masked_load(self, kind: Any, pointer: Any, mask: Any) -> Any:
        if mask is None:
            return self._load(kind, pointer)
        where = self.builder.bitcast(pointer, kind.as_pointer())
        function = self._intrinsic("load", kind, kind, [where.type, _INT32, mask.type, kind])
        zeros = ir.Constant(kind, [0.0] * kind.count)
        return self.builder.call(function, [where, ir.Constant(_INT32, 4), mask, zeros])

    def _masked_store(self, value: Any, kind: Any, pointer: Any, mask: Any) -> None:
        where = self.builder.bitcast(pointer, kind.as_pointer())
        if mask is None:
            self.builder.store(value, where, align=4)
            return
        function = self._intrinsic("store", kind, ir.VoidType(), [kind, where.type, _INT32, mask.type])
        self.builder.call(function, [value, where, ir.Constant(_INT32, 4), mask])

    def _intrinsic(self, what: str, kind: Any, result: Any, arguments: list[Any]) -> Any:
        name = f"llvm.masked.{what}.v{kind.count}f32.p0"
        return cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(result, arguments), name)

    def _splat(self, kind: Any, value: Any) -> Any:
        blank = ir.Constant(kind, ir.Undefined)
        single = self.builder.insert_element(blank, value, ir.Constant(_INT32, 0))
        everywhere = ir.Constant(ir.VectorType(_INT32, kind.count), [0] * kind.count)
        return self.builder.shuffle_vector(single, blank, everywhere)

    def _equal(self, value: Any, number: int) -> Any:
        return self.builder.icmp_signed("==", value, self._constant(number))

    @staticmethod
    def _constant(value: int) -> Any:
        return ir.Constant(_INT, value)

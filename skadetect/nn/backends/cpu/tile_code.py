"""Writes the instructions of one tile of products; `tile` says what they do, and compiles them.

A processor with 512-bit vectors adds two vectors of products a cycle and loads two values. So panels of two
vectors keep it busy, if each value is loaded once for both; narrower ones take two rows or two values at a
time, to have as many products a load.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba.core import cgutils


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
AHEAD = 96
#: Values of a row that a turn of the loop takes, in runs of a multiple of it; floats of a line of the cache.
TURN, LINE = 4, 16

_FLOAT, _INT, _INT32 = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_BYTE = ir.IntType(8).as_pointer()
_FUSE = ("contract", "nsz")


def _prefetch(builder: Any, pointer: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [_BYTE, _INT32, _INT32, _INT32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    pointer = builder.bitcast(pointer, _BYTE)
    builder.call(function, [pointer, *(ir.Constant(_INT32, n) for n in (0, 3, 1))])


class TileCode:
    """Of panels of whole vectors: a register of sums for each row and vector."""

    def __init__(self, builder: Any, lanes: tuple[int, ...], side_by_side: bool) -> None:
        self.builder, self.side_by_side = builder, side_by_side
        self.kinds = [ir.VectorType(_FLOAT, n) for n in lanes]
        self.places = [sum(lanes[:v]) for v in range(len(lanes))]
        self.columns = sum(lanes)
        #: Values of a row that one step of the sums takes.
        self.values = 1

    def write(
        self, x: Any, rows: Any, step: Any, runs: Any, count: Any, length: Any, weights: Any, pitch: Any,
        start: Any, slope: Any, y: Any, outs: Any, extra: Any, width: Any,
    ) -> None:  # fmt: skip
        """Write all of them; the arguments are those of `tile.tile_apart`."""
        bases = [self._at(x, self._whole(rows, m)) for m in range(ROWS)]
        if self.side_by_side:
            bases.append(self._at(x, self._whole(rows, ROWS)))
            self._ask_for_outputs(y, outs)
        first = self._begin(start, length)
        sums = self._end(self._over_runs(bases, step, runs, (count, length), weights, pitch, first))
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
        if not self.side_by_side or len(self.kinds) == self.values == 1:
            # Of one vector a turn is short: more values would need more registers for where they are.
            return self._turns(1, length, values, step, row, pitch, sums)
        made = []
        whole = self._equal(builder.srem(length, self._constant(TURN)), 0)
        with builder.if_else(whole) as (quick, slow):
            for branch, each in ((quick, TURN), (slow, self.values)):
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
        if each == TURN:
            # The values of the next tile, of which a turn takes `each` in every row, lie side by side.
            coming = builder.gep(values[ROWS], [builder.mul(offset, self._constant(ROWS))])
            for place in range(0, each * ROWS, LINE):
                _prefetch(builder, builder.gep(coming, [self._constant(place)]))
        for _ in range(0, each, self.values):
            self._ask_for_weights(row, pitch)
            sums = self._products(values, offset, row, sums)
            for _ in range(self.values):
                offset, row = builder.add(offset, step), builder.gep(row, [pitch])
        rest = builder.sub(left, self._constant(1))
        self._close(state, [rest, offset, row, *sums], turn)
        done = builder.append_basic_block("turned")
        builder.cbranch(builder.icmp_signed(">", rest, self._constant(0)), turn, done)
        builder.position_at_end(done)
        return sums

    def _ask_for_weights(self, row: Any, pitch: Any) -> None:
        """Of a step that comes later."""
        builder = self.builder
        ahead = builder.gep(row, [builder.mul(pitch, self._constant(AHEAD))])
        for place in range(0, self.values * self.columns, LINE):
            _prefetch(builder, builder.gep(ahead, [self._constant(place)]))

    def _begin(self, start: Any, length: Any) -> list[Any]:
        """Registers of sums, with what they begin with: a row's, then the next one's."""
        return self._vectors(lambda place: self._at(start, self._constant(place))) * ROWS

    def _products(self, values: list[Any], offset: Any, row: Any, sums: list[Any]) -> list[Any]:
        """Sums with the products of `self.values` values of each row."""
        weights = self._vectors(lambda place: self.builder.gep(row, [self._constant(place)]))
        new: list[Any] = []
        for m in range(ROWS):
            single = self.builder.load(self.builder.gep(values[m], [offset]))
            for kind, weight in zip(self.kinds, weights, strict=True):
                new.append(self._fused(self._splat(kind, single), weight, sums[len(new)]))
        return new

    def _end(self, sums: list[Any]) -> list[Any]:
        """The vectors of each row, of the registers of sums."""
        return sums

    def _vectors(self, where: Callable[[int], Any]) -> list[Any]:
        return [self._load(kind, where(place)) for kind, place in zip(self.kinds, self.places, strict=True)]

    def _fused(self, value: Any, weight: Any, before: Any) -> Any:
        return self.builder.fadd(self.builder.fmul(value, weight, flags=_FUSE), before, flags=_FUSE)

    def _shuffled(self, value: Any, lanes: list[int], other: Any = None) -> Any:
        """Lanes of a vector, or of two."""
        places = ir.Constant(ir.VectorType(_INT32, len(lanes)), lanes)
        other = ir.Constant(value.type, ir.Undefined) if other is None else other
        return self.builder.shuffle_vector(value, other, places)

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


class SharedCode(TileCode):
    """Of panels of a vector and a half: two rows share a register of sums for their halves."""

    def _begin(self, start: Any, length: Any) -> list[Any]:
        # The length of a run tells the halves apart: what LLVM can foresee becomes a slower permutation.
        kind = ir.VectorType(_INT32, LANES)
        bounds = ir.Constant(kind, [0] * HALF + [1 << 30] * HALF)
        limit = self._splat(kind, self.builder.trunc(length, _INT32))
        self.first_half = self.builder.icmp_signed("<", bounds, limit)
        whole, half = self._vectors(lambda place: self._at(start, self._constant(place)))
        return [whole, whole, self._twice(half)] * (ROWS // 2)

    def _products(self, values: list[Any], offset: Any, row: Any, sums: list[Any]) -> list[Any]:
        whole, half = self._vectors(lambda place: self.builder.gep(row, [self._constant(place)]))
        half = self._twice(half)
        new: list[Any] = []
        for m in range(0, ROWS, 2):
            one, other = (
                self._splat(self.kinds[0], self.builder.load(self.builder.gep(value, [offset])))
                for value in values[m : m + 2]
            )
            both = self.builder.select(self.first_half, one, other)
            for value, weight in ((one, whole), (other, whole), (both, half)):
                new.append(self._fused(value, weight, sums[len(new)]))
        return new

    def _end(self, sums: list[Any]) -> list[Any]:
        vectors = []
        for m in range(ROWS):
            place, second = m // 2 * 3, m % 2
            lanes = [second * HALF + n for n in range(HALF)]
            vectors += [sums[place + second], self._shuffled(sums[place + 2], lanes)]
        return vectors

    def _twice(self, half: Any) -> Any:
        return self._shuffled(half, [*range(HALF), *range(HALF)])


class PairedCode(TileCode):
    """Of panels of up to a vector: a register sums the products of two values side by side.

    Its lanes are for features in turn the first and the second value's, as are those of the weights. Half as
    many values need to be broadcast as for single ones.
    """

    def __init__(self, builder: Any, lanes: tuple[int, ...], side_by_side: bool) -> None:
        super().__init__(builder, lanes, side_by_side)
        self.values, self.registers = 2, lanes[0] // HALF

    def _begin(self, start: Any, length: Any) -> list[Any]:
        half = ir.VectorType(_FLOAT, HALF)
        zeros = ir.Constant(half, [0.0] * HALF)
        lanes = [n // 2 + n % 2 * HALF for n in range(LANES)]
        parts = [self._load(half, self._at(start, self._constant(r * HALF))) for r in range(self.registers)]
        return [self._shuffled(part, lanes, zeros) for part in parts] * ROWS

    def _products(self, values: list[Any], offset: Any, row: Any, sums: list[Any]) -> list[Any]:
        kind, pair = ir.VectorType(_FLOAT, LANES), ir.VectorType(ir.DoubleType(), HALF)
        weights = [
            self._load(kind, self.builder.gep(row, [self._constant(r * LANES)]))
            for r in range(self.registers)
        ]
        new: list[Any] = []
        for m in range(ROWS):
            place = self.builder.bitcast(self.builder.gep(values[m], [offset]), ir.DoubleType().as_pointer())
            both = self.builder.bitcast(self._splat(pair, self.builder.load(place, align=4)), kind)
            for weight in weights:
                new.append(self._fused(both, weight, sums[len(new)]))
        return new

    def _end(self, sums: list[Any]) -> list[Any]:
        made, count = [], self.registers
        for m in range(ROWS):
            parts = sums[m * count : (m + 1) * count]
            first, second = (
                self._shuffled(parts[0], [2 * n + which for n in range(count * HALF)], parts[-1])
                for which in (0, 1)
            )
            made.append(self.builder.fadd(first, second))
        return made

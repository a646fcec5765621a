"""The one inner loop of the convolutions: a tile of pixels times a panel of filters, held in registers.

`tile_of(vectors)` writes LLVM vector instructions, which Numba compiles for the machine it runs on: for each
of `ROWS` pixels and `vectors` vectors of `LANES` output features one register, to which the products of a
pixel's value (broadcast) and a row of the filters are added. Nothing is gathered or packed but the filters: a
pixel's values are read where they lie, in runs. A run is a stretch of `length` values, for instance the taps
along x of one filter row times their features, which lie side by side in a channels-last image.
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


def _shape() -> tuple[int, int]:
    """Pixels and lanes for this machine's registers: 32 of 16 floats, 16 of 8, or else of 4."""
    own = numba.config.CPU_NAME is None and numba.config.CPU_FEATURES is None
    features = llvm.get_host_cpu_features() if own else {}
    if features.get("avx512f"):
        return 12, 16
    return (6, 8) if features.get("avx2") and features.get("fma") else (6, 4)


#: Pixels of a tile, floats of a vector, and output features of a panel of filters.
ROWS, LANES = _shape()
WIDTH = 2 * LANES
#: Rows of filters that are asked for before they are needed.
AHEAD = 24

_FLOAT, _INT, _INT32 = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FUSE = ("contract", "nsz")


@lru_cache(maxsize=2)
def tile_of(vectors: int) -> Callable[..., None]:
    """Make ``tile(x, rows, runs, count, length, filters, start, slope, y, outs, extra)`` for compiled code.

    Addresses are integers; offsets are in floats. `x` + rows[m] + runs[2 r] is where run r of pixel m begins,
    `filters` + runs[2 r + 1] where its rows of `WIDTH` filters do; `start` is the address of what the sums
    begin with (the bias). leaky(sum) goes to `y` + outs[m], plus what lies at `extra` + outs[m] unless
    `extra` is zero.
    """

    @intrinsic  # type: ignore[misc]
    def tile(
        _: Any, x: Any, rows: Any, runs: Any, count: Any, length: Any, filters: Any, start: Any, slope: Any,
        y: Any, outs: Any, extra: Any,
    ) -> Any:  # fmt: skip
        whole = types.int64
        signature = types.void(*[whole] * 7, types.float32, *[whole] * 3)

        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            _Tile(builder, vectors).write(*arguments)
            return context.get_dummy_value()

        return signature, generate

    return tile  # type: ignore[no-any-return]


class _Tile:
    """Writes the instructions of one tile."""

    def __init__(self, builder: Any, vectors: int) -> None:
        self.builder, self.vectors = builder, vectors

    def write(
        self, x: Any, rows: Any, runs: Any, count: Any, length: Any, filters: Any, start: Any, slope: Any,
        y: Any, outs: Any, extra: Any,
    ) -> None:  # fmt: skip
        builder = self.builder
        bases = [self._at(x, self._whole(rows, m)) for m in range(ROWS)]
        first = [self._vector(self._at(start, self._constant(v * LANES))) for v in range(self.vectors)]
        sums = self._over_runs(bases, runs, count, length, filters, first * ROWS)
        steep = self._splat(slope)
        targets = [self._whole(outs, m) for m in range(ROWS)]
        made = []
        for value in sums:
            small = builder.fmul(value, steep)
            made.append(builder.select(builder.fcmp_ordered(">", value, small), value, small))
        plain, added, done = (builder.append_basic_block(name) for name in ("plain", "added", "done"))
        builder.cbranch(builder.icmp_signed("==", extra, self._constant(0)), plain, added)
        for block, more in ((plain, None), (added, extra)):
            builder.position_at_end(block)
            self._store(made, y, targets, more)
            builder.branch(done)
        builder.position_at_end(done)

    def _store(self, made: list[Any], y: Any, targets: list[Any], extra: Any) -> None:
        for place, value in enumerate(made):
            m, v = divmod(place, self.vectors)
            offset = self.builder.add(targets[m], self._constant(v * LANES))
            if extra is not None:
                value = self.builder.fadd(value, self._vector(self._at(extra, offset)))
            pointer = self.builder.bitcast(self._at(y, offset), _VECTOR.as_pointer())
            self.builder.store(value, pointer, align=4)

    def _over_runs(
        self, bases: list[Any], runs: Any, count: Any, length: Any, filters: Any, first: list[Any]
    ) -> list[Any]:
        """Sums over all runs, at least one; leaves the builder behind the loop."""
        builder, before = self.builder, self.builder.block
        outer, inner, after, done = (
            builder.append_basic_block(name) for name in ("outer", "inner", "after", "done")
        )
        builder.branch(outer)
        builder.position_at_end(outer)
        run, sums = self._loop(before, [self._constant(0), *first])
        twice = builder.shl(run, self._constant(1))
        here = self._whole(runs, twice)
        panel = self._at(filters, self._whole(runs, builder.add(twice, self._constant(1))))
        pixels = [builder.gep(base, [here]) for base in bases]
        builder.branch(inner)
        builder.position_at_end(inner)
        k, inside = self._loop(outer, [self._constant(0), *sums])
        new = self._products(pixels, k, panel, inside)
        following = builder.add(k, self._constant(1))
        self._close([k, *inside], [following, *new], inner)
        builder.cbranch(builder.icmp_signed("<", following, length), inner, after)
        builder.position_at_end(after)
        next_run = builder.add(run, self._constant(1))
        self._close([run, *sums], [next_run, *new], after)
        builder.cbranch(builder.icmp_signed("<", next_run, count), outer, done)
        builder.position_at_end(done)
        return new

    def _products(self, pixels: list[Any], k: Any, panel: Any, sums: list[Any]) -> list[Any]:
        builder = self.builder
        row = builder.gep(panel, [builder.mul(k, self._constant(WIDTH))])
        weights = [self._vector(builder.gep(row, [self._constant(v * LANES)])) for v in range(self.vectors)]
        self._prefetch(builder.gep(row, [self._constant(AHEAD * WIDTH)]))
        new = []
        for m, pixel in enumerate(pixels):
            value = self._splat(builder.load(builder.gep(pixel, [k])))
            for v, weight in enumerate(weights):
                product = builder.fmul(value, weight, flags=_FUSE)
                new.append(builder.fadd(product, sums[m * self.vectors + v], flags=_FUSE))
        return new

    def _prefetch(self, pointer: Any) -> None:
        """Ask for the lines of a row of filters before it is its turn; an address may be beyond the end."""
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _INT32, _INT32, _INT32])
        ask = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        for v in range(self.vectors):
            line = self.builder.bitcast(self.builder.gep(pointer, [self._constant(v * LANES)]), byte)
            self.builder.call(ask, [line, *(ir.Constant(_INT32, n) for n in (0, 3, 1))])

    def _loop(self, before: Any, first: list[Any]) -> tuple[Any, list[Any]]:
        """Values that change from turn to turn of a loop, with what they begin with."""
        values = []
        for start in first:
            value = self.builder.phi(start.type)
            value.add_incoming(start, before)
            values.append(value)
        return values[0], values[1:]

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
        """Pointer to the float at an offset from an address or pointer."""
        return self.builder.gep(self.builder.inttoptr(address, _FLOAT.as_pointer()), [offset])

    def _vector(self, pointer: Any) -> Any:
        return self.builder.load(self.builder.bitcast(pointer, _VECTOR.as_pointer()), align=4)

    def _splat(self, value: Any) -> Any:
        blank = ir.Constant(_VECTOR, ir.Undefined)
        single = self.builder.insert_element(blank, value, ir.Constant(_INT32, 0))
        everywhere = ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES)
        return self.builder.shuffle_vector(single, blank, everywhere)

    @staticmethod
    def _constant(value: int) -> Any:
        return ir.Constant(_INT, value)


tile_wide, tile_narrow = tile_of(2), tile_of(1)

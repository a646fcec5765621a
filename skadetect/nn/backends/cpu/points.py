"""The transforms of Winograd's F(4, 3) and F(4, 5) along one axis, as vector instructions.

`to_points` takes six pixels to six points (B^T), `to_pixels` six points to four pixels (A^T), and
`slopes_to_points` the gradients of four pixels to six points (A; Lavin & Gray 2016, CVPR, arXiv:1509.09308,
section 4.3), each for `n` features side by side. Those of five taps have eight points: 0, 1, -1, 2, -2, 1/2,
-1/2 and infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from skadetect.nn.backends.cpu.tile import HALF, LANES

_FLOAT, _INT, _INT32 = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FUSE = ("contract", "nsz")
_WHOLE = types.int64
_Formula = Callable[[Any, list[Any]], list[Any]]


def _from_lines(formula: _Formula, lines: int) -> Callable[..., None]:
    """Make ``(sources, goal, step, n)``: the formula of lines whose addresses are the table at `sources`.

    The values go to `goal` + k * `step` (in floats).
    """

    @intrinsic  # type: ignore[misc]
    def transform(_: Any, sources: Any, goal: Any, step: Any, n: Any) -> Any:
        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            sources, goal, step, n = arguments
            table = builder.inttoptr(sources, _INT.as_pointer())
            rows = [builder.load(builder.gep(table, [ir.Constant(_INT, k)])) for k in range(lines)]

            def turn(kind: Any, offset: Any) -> None:
                values = [_load(builder, kind, row, offset) for row in rows]
                for k, value in enumerate(formula(_Arithmetic(builder, kind), values)):
                    _store(builder, kind, goal, _add(builder, offset, step, k), value)

            _each(builder, n, turn)
            return context.get_dummy_value()

        return types.void(_WHOLE, _WHOLE, _WHOLE, _WHOLE), generate

    return transform  # type: ignore[no-any-return]


def _along(formula: _Formula, lines: int) -> Callable[..., None]:
    """Make ``(source, apart, goal, step, n)``: the formula of the values at `source` + k * `apart`."""

    @intrinsic  # type: ignore[misc]
    def transform(_: Any, source: Any, apart: Any, goal: Any, step: Any, n: Any) -> Any:
        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            source, apart, goal, step, n = arguments

            def turn(kind: Any, offset: Any) -> None:
                places = [_add(builder, offset, apart, k) for k in range(lines)]
                values = [_load(builder, kind, source, place) for place in places]
                for k, value in enumerate(formula(_Arithmetic(builder, kind), values)):
                    _store(builder, kind, goal, _add(builder, offset, step, k), value)

            _each(builder, n, turn)
            return context.get_dummy_value()

        return types.void(*[_WHOLE] * 5), generate

    return transform  # type: ignore[no-any-return]


def _to_pixels(formula: _Formula, points: int) -> Callable[..., None]:
    """Make ``(source, apart, goal, step, n, bias, slope, extra)``: A^T of the rows at `source` + k * `apart`.

    The pixels go to `goal` + k * `step`. Unless `bias` is zero, leaky(sum + what lies at `bias`) is written,
    plus what lies at `extra` + k * `step` unless that is zero too.
    """

    @intrinsic  # type: ignore[misc]
    def transform(
        _: Any, source: Any, apart: Any, goal: Any, step: Any, n: Any, bias: Any, slope: Any, extra: Any
    ) -> Any:
        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            source, apart, goal, step, n, bias, slope, extra = arguments
            zero = ir.Constant(_INT, 0)

            def write(with_bias: bool, with_extra: bool) -> None:
                def turn(kind: Any, offset: Any) -> None:
                    places = [_add(builder, offset, apart, k) for k in range(points)]
                    values = [_load(builder, kind, source, place) for place in places]
                    steep = _splat(builder, kind, slope)
                    for k, pixel in enumerate(formula(_Arithmetic(builder, kind), values)):
                        place = _add(builder, offset, step, k)
                        if with_bias:
                            pixel = builder.fadd(pixel, _load(builder, kind, bias, offset))
                            small = builder.fmul(pixel, steep)
                            pixel = builder.select(builder.fcmp_ordered(">", pixel, small), pixel, small)
                        if with_extra:
                            pixel = builder.fadd(pixel, _load(builder, kind, extra, place))
                        _store(builder, kind, goal, place, pixel)

                _each(builder, n, turn)

            with builder.if_else(builder.icmp_signed("==", bias, zero)) as (plain, finished):
                with plain:
                    write(False, False)
                with finished, builder.if_else(builder.icmp_signed("==", extra, zero)) as (alone, added):
                    with alone:
                        write(True, False)
                    with added:
                        write(True, True)
            return context.get_dummy_value()

        whole = [_WHOLE] * 6
        return types.void(*whole, types.float32, _WHOLE), generate

    return transform  # type: ignore[no-any-return]


class _Arithmetic:
    """Sums and products of vectors, or of single floats."""

    def __init__(self, builder: Any, kind: Any) -> None:
        self.builder, self.kind = builder, kind

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b, flags=_FUSE)

    def subtract(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=_FUSE)

    def times(self, factor: float, a: Any) -> Any:
        number = factor if self.kind is _FLOAT else [factor] * self.kind.count
        return self.builder.fmul(ir.Constant(self.kind, number), a, flags=_FUSE)


def _points(m: _Arithmetic, x: list[Any]) -> list[Any]:
    even, odd = m.subtract(x[4], m.times(4.0, x[2])), m.subtract(x[3], m.times(4.0, x[1]))
    near, far = m.subtract(x[4], x[2]), m.times(2.0, m.subtract(x[3], x[1]))
    return [
        m.add(m.subtract(m.times(4.0, x[0]), m.times(5.0, x[2])), x[4]),
        m.add(even, odd),
        m.subtract(even, odd),
        m.add(near, far),
        m.subtract(near, far),
        m.add(m.subtract(m.times(4.0, x[1]), m.times(5.0, x[3])), x[5]),
    ]


def _slopes(m: _Arithmetic, x: list[Any]) -> list[Any]:
    even, odd = m.add(x[0], x[2]), m.add(x[1], x[3])
    far, tilt = m.add(x[0], m.times(4.0, x[2])), m.times(2.0, m.add(x[1], m.times(4.0, x[3])))
    return [x[0], m.add(even, odd), m.subtract(even, odd), m.add(far, tilt), m.subtract(far, tilt), x[3]]


def _pixels(m: _Arithmetic, x: list[Any]) -> list[Any]:
    near, turn, far, tilt = (
        m.add(x[1], x[2]),
        m.subtract(x[1], x[2]),
        m.add(x[3], x[4]),
        m.subtract(x[3], x[4]),
    )
    return [
        m.add(m.add(x[0], near), far),
        m.add(turn, m.times(2.0, tilt)),
        m.add(near, m.times(4.0, far)),
        m.add(m.add(turn, m.times(8.0, tilt)), x[5]),
    ]


def _points_of_five(m: _Arithmetic, x: list[Any]) -> list[Any]:
    def sides(even: tuple[float, float], odd: tuple[float, float, float]) -> list[Any]:
        a = m.add(x[6], m.add(m.times(even[0], x[2]), m.times(even[1], x[4])))
        b = m.add(m.times(odd[0], x[1]), m.add(m.times(odd[1], x[3]), m.times(odd[2], x[5])))
        return [m.add(a, b), m.subtract(a, b)]

    return [
        m.add(m.subtract(x[0], x[6]), m.times(5.25, m.subtract(x[4], x[2]))),
        *sides((1.0, -4.25), (1.0, -4.25, 1.0)),
        *sides((0.25, -1.25), (0.5, -2.5, 2.0)),
        *sides((4.0, -5.0), (2.0, -2.5, 0.5)),
        m.add(m.subtract(x[7], x[1]), m.times(5.25, m.subtract(x[3], x[5]))),
    ]


def _pixels_of_five(m: _Arithmetic, x: list[Any]) -> list[Any]:
    (near, turn), (far, tilt), (close, lean) = (
        (m.add(x[k], x[k + 1]), m.subtract(x[k], x[k + 1])) for k in (1, 3, 5)
    )
    return [
        m.add(m.add(x[0], near), m.add(far, close)),
        m.add(turn, m.add(m.times(2.0, tilt), m.times(0.5, lean))),
        m.add(near, m.add(m.times(4.0, far), m.times(0.25, close))),
        m.add(m.add(x[7], turn), m.add(m.times(8.0, tilt), m.times(0.125, lean))),
    ]


def _each(builder: Any, n: Any, turn: Any) -> None:
    """Write `turn` for n floats, a vector at a time; the last vector may do some of them once more."""
    with builder.if_else(builder.icmp_signed(">=", n, ir.Constant(_INT, LANES))) as (many, few):
        with many:
            _vectors(builder, n, turn, _VECTOR)
        with few, builder.if_else(builder.icmp_signed(">=", n, ir.Constant(_INT, HALF))) as (some, hardly):
            with some:
                _vectors(builder, n, turn, ir.VectorType(_FLOAT, HALF))
            with hardly, cgutils.for_range(builder, n) as loop:
                turn(_FLOAT, loop.index)


def _vectors(builder: Any, n: Any, turn: Any, kind: Any) -> None:
    lanes = ir.Constant(_INT, kind.count)
    whole = builder.sdiv(n, lanes)
    with cgutils.for_range(builder, whole) as loop:
        turn(kind, builder.mul(loop.index, lanes))
    with builder.if_then(builder.icmp_signed("!=", builder.mul(whole, lanes), n)):
        turn(kind, builder.sub(n, lanes))


def _add(builder: Any, offset: Any, step: Any, k: int) -> Any:
    return builder.add(offset, builder.mul(step, ir.Constant(_INT, k)))


def _pointer(builder: Any, kind: Any, address: Any, offset: Any) -> Any:
    return builder.bitcast(
        builder.gep(builder.inttoptr(address, _FLOAT.as_pointer()), [offset]), kind.as_pointer()
    )


def _load(builder: Any, kind: Any, address: Any, offset: Any) -> Any:
    return builder.load(_pointer(builder, kind, address, offset), align=4)


def _store(builder: Any, kind: Any, address: Any, offset: Any, value: Any) -> None:
    builder.store(value, _pointer(builder, kind, address, offset), align=4)


def _splat(builder: Any, kind: Any, value: Any) -> Any:
    if kind is _FLOAT:
        return value
    blank = ir.Constant(kind, ir.Undefined)
    single = builder.insert_element(blank, value, ir.Constant(_INT32, 0))
    everywhere = ir.Constant(ir.VectorType(_INT32, kind.count), [0] * kind.count)
    return builder.shuffle_vector(single, blank, everywhere)


to_points, to_points_along = _from_lines(_points, 6), _along(_points, 6)
slopes_to_points, slopes_to_points_along = _from_lines(_slopes, 4), _along(_slopes, 4)
to_pixels = _to_pixels(_pixels, 6)
to_points_of_five, to_pixels_of_five = _from_lines(_points_of_five, 8), _to_pixels(_pixels_of_five, 8)

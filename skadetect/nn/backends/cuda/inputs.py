"""What a network sees, made on the device: stretches of signal to noise."""

from __future__ import annotations

import math
from typing import Any

from skadetect.formulas import (
    ASINH,
    TANH,
    asinh_argument,
    binary_exponent,
    logarithm32,
    tanh32,
)
from skadetect.nn.backends.cuda.device import float32, inlined, int32, ops, uint32
from skadetect.nn.backends.cuda.elementwise import first_index, stride
from skadetect.nn.backends.cuda.gather import split
from skadetect.nn.backends.cuda.numbers import reader, writer

_tanh, _argument, _exponent, _logarithm = map(inlined, (tanh32, asinh_argument, binary_exponent, logarithm32))


@inlined
def _asinh(x: Any) -> Any:
    """Inverse hyperbolic sine."""
    bits = int32(ops.word_of_float(float32(_argument(x))))
    exponent = int32(_exponent(bits))
    mantissa = ops.float_of_word(uint32(int32(bits - int32(exponent << int32(23)))))
    return float32(math.copysign(_logarithm(mantissa, float32(exponent)), x))


@inlined
def _window(cell: Any, step: Any, reach: Any, extent: Any) -> Any:
    """First pixel of a cell's window, and the one behind its last."""
    first, last = int32(int32(cell * step) - reach), int32(int32(int32(cell + 1) * step) + reach)
    return int32(max(first, 0)), int32(min(last, extent))


def make_peaks() -> Any:
    """Kernel: (s, peaks, geometry, least, count), one thread a cell: the largest pixel of its window.

    The geometry is the extents of a sample, its cells, the strides and the reach beyond a cell.
    """
    read = reader("fp32")

    def peaks(s: Any, peaks: Any, geometry: Any, least: Any, count: Any) -> None:
        source, reach = ops.address(s), geometry[9]
        depth, height, width = geometry[0], geometry[1], geometry[2]
        for i in range(first_index(), count, stride()):
            x, rest = split(i, geometry[5])
            y, rest = split(rest, geometry[4])
            z, sample = split(rest, geometry[3])
            largest = least
            low_x, high_x = _window(x, geometry[8], reach, width)
            low_y, high_y = _window(y, geometry[7], reach, height)
            low_z, high_z = _window(z, geometry[6], reach, depth)
            for c in range(low_z, high_z):
                for b in range(low_y, high_y):
                    row = int32(int32(int32(int32(sample * depth) + c) * height) + b)
                    for a in range(low_x, high_x):
                        largest = max(largest, read(source, int32(int32(row * width) + a)))
            peaks[i] = largest

    return peaks


def make_features(precision: str) -> Any:
    """Kernel: (s, kinds, factors, constants, x, stretches, count, each, pixels), one thread a pixel.

    A pixel's features are factors[2 k + 1] f(factors[2 k] s) for each of the stretches, then the `count`
    constants of its sample, which has `each` pixels.
    """
    write = writer(precision)

    def features(
        s: Any,
        kinds: Any,
        factors: Any,
        constants: Any,
        x: Any,
        stretches: Any,
        count: Any,
        each: Any,
        pixels: Any,
    ) -> None:
        target = ops.address(x)
        for i in range(first_index(), pixels, stride()):
            value, start = s[i], i * (stretches + count)
            for k in range(stretches):
                scaled = value * factors[2 * k]
                if kinds[k] == TANH:
                    scaled = _tanh(scaled)
                elif kinds[k] == ASINH:
                    scaled = _asinh(scaled)
                write(target, start + k, scaled * factors[2 * k + 1])
            first = i // each * count
            for k in range(count):
                write(target, start + stretches + k, constants[first + k])

    return features

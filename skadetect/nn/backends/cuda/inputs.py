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
from skadetect.nn.backends.cuda.numbers import writer

_tanh, _argument, _exponent, _logarithm = map(inlined, (tanh32, asinh_argument, binary_exponent, logarithm32))


@inlined
def _asinh(x: Any) -> Any:
    """Inverse hyperbolic sine."""
    bits = int32(ops.word_of_float(float32(_argument(x))))
    exponent = int32(_exponent(bits))
    mantissa = ops.float_of_word(uint32(int32(bits - int32(exponent << int32(23)))))
    return float32(math.copysign(_logarithm(mantissa, float32(exponent)), x))


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

"""Operations of each number for itself, or with the features beside it. See `reference` for their meaning."""

from __future__ import annotations

import math
from typing import Any

from skadetect.nn.backends.cuda.device import cuda, float32, inlined, int64, ops, uint64
from skadetect.nn.backends.cuda.numbers import reader, writer

#: Threads of a block.
THREADS = 256
GOLDEN = 0x9E3779B97F4A7C15
FIRST_FACTOR, SECOND_FACTOR = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


@inlined
def first_index() -> Any:
    """Of this thread in the grid."""
    return int64(cuda.blockIdx.x) * int64(cuda.blockDim.x) + int64(cuda.threadIdx.x)


@inlined
def stride() -> Any:
    """Threads in the grid."""
    return int64(cuda.gridDim.x) * int64(cuda.blockDim.x)


@inlined
def mixed(word: Any) -> Any:
    """The output function of SplitMix64."""
    word = (word ^ (word >> uint64(30))) * uint64(FIRST_FACTOR)
    word = (word ^ (word >> uint64(27))) * uint64(SECOND_FACTOR)
    return word ^ (word >> uint64(31))


def make_cast(source: str, target: str) -> Any:
    """Kernel: (x, y, scale, count) y = scale x in another precision."""
    read, write = reader(source), writer(target)

    def cast(x: Any, y: Any, scale: Any, count: Any) -> None:
        a, b = ops.address(x), ops.address(y)
        for i in range(first_index(), count, stride()):
            write(b, i, read(a, i) * scale)

    return cast


def make_add(precision: str) -> Any:
    """Kernel: (a, b, y, count) y = a + b."""
    read, write = reader(precision), writer(precision)

    def add(a: Any, b: Any, y: Any, count: Any) -> None:
        left, right, sums = ops.address(a), ops.address(b), ops.address(y)
        for i in range(first_index(), count, stride()):
            write(sums, i, read(left, i) + read(right, i))

    return add


def make_affine(precision: str) -> Any:
    """Kernel: (x, scale, shift, y, features, slope, count) leaky(scale x + shift), feature by feature."""
    read, write = reader(precision), writer(precision)

    def affine(x: Any, scale: Any, shift: Any, y: Any, features: Any, slope: Any, count: Any) -> None:
        a, b = ops.address(x), ops.address(y)
        for i in range(first_index(), count, stride()):
            feature = i % features
            value = read(a, i) * scale[feature] + shift[feature]
            write(b, i, value if value > float32(0) else value * slope)

    return affine


def make_leaky(precision: str) -> Any:
    """Kernel: (x, y, slope, count)."""
    read, write = reader(precision), writer(precision)

    def leaky(x: Any, y: Any, slope: Any, count: Any) -> None:
        a, b = ops.address(x), ops.address(y)
        for i in range(first_index(), count, stride()):
            value = read(a, i)
            write(b, i, value if value > float32(0) else value * slope)

    return leaky


def make_leaky_backward(precision: str) -> Any:
    """Kernel: (x, grad, dx, slope, count)."""
    read, write = reader(precision), writer(precision)

    def leaky_backward(x: Any, grad: Any, dx: Any, slope: Any, count: Any) -> None:
        a, b, c = ops.address(x), ops.address(grad), ops.address(dx)
        for i in range(first_index(), count, stride()):
            value = read(b, i)
            write(c, i, value if read(a, i) > float32(0) else value * slope)

    return leaky_backward


def make_sigmoid(precision: str) -> Any:
    """Kernel: (x, y, count)."""
    read, write = reader(precision), writer(precision)

    def sigmoid(x: Any, y: Any, count: Any) -> None:
        a, b = ops.address(x), ops.address(y)
        for i in range(first_index(), count, stride()):
            value = read(a, i)
            small = float32(math.exp(-abs(value)))
            top = float32(1) if value >= float32(0) else small
            write(b, i, top / (float32(1) + small))

    return sigmoid


def make_sigmoid_backward(precision: str) -> Any:
    """Kernel: (y, grad, dx, count), from the sigmoid's value y."""
    read, write = reader(precision), writer(precision)

    def sigmoid_backward(y: Any, grad: Any, dx: Any, count: Any) -> None:
        a, b, c = ops.address(y), ops.address(grad), ops.address(dx)
        for i in range(first_index(), count, stride()):
            value = read(a, i)
            write(c, i, read(b, i) * value * (float32(1) - value))

    return sigmoid_backward


def make_softmax(precision: str) -> Any:
    """Kernel: (x, y, features, pixels), one thread a pixel."""
    read, write = reader(precision), writer(precision)

    def softmax(x: Any, y: Any, features: Any, pixels: Any) -> None:
        a, b = ops.address(x), ops.address(y)
        for pixel in range(first_index(), pixels, stride()):
            start = pixel * features
            largest = read(a, start)
            for k in range(1, features):
                largest = max(largest, read(a, start + k))
            total = float32(0)
            for k in range(features):
                total += float32(math.exp(read(a, start + k) - largest))
            for k in range(features):
                write(b, start + k, float32(math.exp(read(a, start + k) - largest)) / total)

    return softmax


def make_softmax_backward(precision: str) -> Any:
    """Kernel: (y, grad, dx, features, pixels), from the softmax's value y."""
    read, write = reader(precision), writer(precision)

    def softmax_backward(y: Any, grad: Any, dx: Any, features: Any, pixels: Any) -> None:
        a, b, c = ops.address(y), ops.address(grad), ops.address(dx)
        for pixel in range(first_index(), pixels, stride()):
            start = pixel * features
            total = float32(0)
            for k in range(features):
                total += read(a, start + k) * read(b, start + k)
            for k in range(features):
                write(c, start + k, read(a, start + k) * (read(b, start + k) - total))

    return softmax_backward


def make_dropout(precision: str) -> Any:
    """Kernel: (x, y, start, limit, scale, count); the mask is that of `reference.dropout_forward`."""
    read, write = reader(precision), writer(precision)

    def dropout(x: Any, y: Any, start: Any, limit: Any, scale: Any, count: Any) -> None:
        a, b = ops.address(x), ops.address(y)
        for i in range(first_index(), count, stride()):
            word = mixed(uint64(i + 1) * uint64(GOLDEN) + uint64(start))
            kept = (word >> uint64(32)) >= uint64(limit)
            write(b, i, read(a, i) * scale if kept else float32(0))

    return dropout


def make_pack(precision: str) -> Any:
    """Kernel: (filters, sources, packed, features, jump, depth) filters in the order of `packing`."""
    write = writer(precision)
    rounded = precision == "tf32"

    def pack(filters: Any, sources: Any, packed: Any, features: Any, jump: Any, depth: Any) -> None:
        target = ops.address(packed)
        for i in range(first_index(), int64(features) * int64(depth), stride()):
            source = sources[i % depth]
            value = float32(0)
            if source >= 0:
                value = filters[source + (i // depth) * jump]
            if rounded:
                value = ops.float_of_word(ops.round_tf32(value))
            write(target, i, value)

    return pack

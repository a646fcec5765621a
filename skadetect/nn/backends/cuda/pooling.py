"""Pooling, forward and backward, one thread a number. See `reference` for the meaning.

Backward each input number looks for the windows that it is in, so that no two threads add to one place and
the sum is the same at every run.
"""

from __future__ import annotations

from typing import Any

from skadetect.nn.backends.cuda.device import float32, inlined, int32, int64, ops
from skadetect.nn.backends.cuda.elementwise import first_index, stride
from skadetect.nn.backends.cuda.numbers import reader, writer


@inlined
def place(index: Any, features: Any, nz: Any, ny: Any, nx: Any) -> Any:
    """(sample, z, y, x, feature) of a flat index."""
    feature, rest = index % features, index // features
    x, rest = rest % nx, rest // nx
    y, rest = rest % ny, rest // ny
    return rest // nz, rest % nz, y, x, feature


def make_pool(precision: str, kind: str) -> Any:
    """Kernel: (x, y, argmax, geometry, count); geometry: features, then input, output, extent, stride,
    padding.
    """
    read, write = reader(precision), writer(precision)
    largest_of = kind == "max"

    def pool(x: Any, y: Any, argmax: Any, geometry: Any, count: Any) -> None:
        g = geometry
        source, target = ops.address(x), ops.address(y)
        for i in range(first_index(), count, stride()):
            sample, z, row, column, feature = place(i, g[0], g[4], g[5], g[6])
            z, row, column = z * g[10] - g[13], row * g[11] - g[14], column * g[12] - g[15]
            total, seen, best, where = float32(0), 0, float32(-float("inf")), -1
            for a in range(max(z, 0), min(z + g[7], g[1])):
                for b in range(max(row, 0), min(row + g[8], g[2])):
                    for c in range(max(column, 0), min(column + g[9], g[3])):
                        pixel = (a * g[2] + b) * g[3] + c
                        value = read(source, (int64(sample) * g[1] * g[2] * g[3] + pixel) * g[0] + feature)
                        total, seen = total + value, seen + 1
                        if value > best:
                            best, where = value, pixel
            if largest_of:
                write(target, i, best)
                argmax[i] = int32(where)
            else:
                write(target, i, total / float32(seen))

    return pool


def make_pool_backward(precision: str, kind: str) -> Any:
    """Kernel: (grad, argmax, dx, geometry, count); the geometry is that of the pooling."""
    read, write = reader(precision), writer(precision)
    largest_of = kind == "max"

    def pool_backward(grad: Any, argmax: Any, dx: Any, geometry: Any, count: Any) -> None:
        g = geometry
        source, target = ops.address(grad), ops.address(dx)
        for i in range(first_index(), count, stride()):
            sample, z, row, column, feature = place(i, g[0], g[1], g[2], g[3])
            pixel, total = (z * g[2] + row) * g[3] + column, float32(0)
            for a in range(first_window(z, g[13], g[7], g[10]), last_window(z, g[13], g[10], g[4])):
                for b in range(first_window(row, g[14], g[8], g[11]), last_window(row, g[14], g[11], g[5])):
                    for c in range(
                        first_window(column, g[15], g[9], g[12]), last_window(column, g[15], g[12], g[6])
                    ):
                        window = (((int64(sample) * g[4] + a) * g[5] + b) * g[6] + c) * g[0] + feature
                        if largest_of:
                            if argmax[window] == pixel:
                                total += read(source, window)
                        else:
                            seen = (
                                inside(a, g[10], g[13], g[7], g[1])
                                * inside(b, g[11], g[14], g[8], g[2])
                                * inside(c, g[12], g[15], g[9], g[3])
                            )
                            total += read(source, window) / float32(seen)
            write(target, i, total)

    return pool_backward


@inlined
def first_window(pixel: Any, padding: Any, extent: Any, step: Any) -> Any:
    """The first window that a pixel is in."""
    return max(0, (pixel + padding - extent) // step + 1)


@inlined
def last_window(pixel: Any, padding: Any, step: Any, windows: Any) -> Any:
    """One after the last window that a pixel is in."""
    return min(windows, (pixel + padding) // step + 1)


@inlined
def inside(window: Any, step: Any, padding: Any, extent: Any, size: Any) -> Any:
    """Pixels of a window within the image."""
    start = window * step - padding
    return min(start + extent, size) - max(start, 0)


def make_global_pool(precision: str, kind: str) -> Any:
    """Kernel: (x, y, argmax, features, pixels, count), one thread a sample and feature."""
    read, write = reader(precision), writer(precision)
    largest_of = kind == "max"

    def global_pool(x: Any, y: Any, argmax: Any, features: Any, pixels: Any, count: Any) -> None:
        source, target = ops.address(x), ops.address(y)
        for i in range(first_index(), count, stride()):
            start = int64(i // features) * pixels * features + i % features
            total, best, where = float32(0), read(source, start), 0
            for pixel in range(pixels):
                value = read(source, start + pixel * features)
                total += value
                if value > best:
                    best, where = value, pixel
            if largest_of:
                write(target, i, best)
                argmax[i] = int32(where)
            else:
                write(target, i, total / float32(pixels))

    return global_pool


def make_global_pool_backward(precision: str, kind: str) -> Any:
    """Kernel: (grad, argmax, dx, features, pixels, count)."""
    read, write = reader(precision), writer(precision)
    largest_of = kind == "max"

    def global_pool_backward(grad: Any, argmax: Any, dx: Any, features: Any, pixels: Any, count: Any) -> None:
        source, target = ops.address(grad), ops.address(dx)
        for i in range(first_index(), count, stride()):
            pixel = (i // features) % pixels
            window = i // features // pixels * features + i % features
            value = read(source, window)
            if largest_of:
                value = value if argmax[window] == pixel else float32(0)
            else:
                value = value / float32(pixels)
            write(target, i, value)

    return global_pool_backward

"""Sums over all pixels, feature by feature: moments of batch norms, gradients of biases and norms.

A block sums some rows for 32 features and leaves its share; a second kernel adds the shares in their order,
so that the result is the same at every run, whatever block ends first.
"""

from __future__ import annotations

import math
from typing import Any

from skadetect.nn.backends.cuda.device import cuda, float32, float64, int64, ops
from skadetect.nn.backends.cuda.elementwise import first_index, stride
from skadetect.nn.backends.cuda.numbers import reader, writer

FEATURES, LANES = 32, 8
#: Threads of a block that sums columns.
THREADS = FEATURES * LANES
#: Rows after which a thread's sums go into its mean and spread: deviations from a near value keep their
#: digits.
RUN = 32
#: Numbers a share: of moments count, mean and sum of squared deviations; of sums the first two.
SHARE = 3


def make_moments(precision: str) -> Any:
    """Kernel: (x, shares, features, rows); a share: count, mean and squared deviations (Chan et al. 1983)."""
    read = reader(precision)

    def moments(x: Any, shares: Any, features: Any, rows: Any) -> None:
        kept = cuda.shared.array(768, float32)
        source, thread = ops.address(x), cuda.threadIdx.x
        column, lane = cuda.blockIdx.y * FEATURES + thread % FEATURES, thread // FEATURES
        count, mean, spread = float32(0), float32(0), float32(0)
        step = int64(cuda.gridDim.x) * LANES * RUN
        if column < features:
            for first in range((int64(cuda.blockIdx.x) * LANES + lane) * RUN, rows, step):
                pivot, total, squares = read(source, first * features + column), float32(0), float32(0)
                last = min(first + RUN, rows)
                for row in range(first, last):
                    d = read(source, row * features + column) - pivot
                    total, squares = total + d, squares + d * d
                more = float32(last - first)
                d = pivot + total / more - mean
                both = count + more
                spread += (squares - total * total / more) + d * d * (count * more / both)
                mean += d * (more / both)
                count = both
        kept[3 * thread], kept[3 * thread + 1], kept[3 * thread + 2] = count, mean, spread
        cuda.syncthreads()
        if lane == 0 and column < features:
            for other in range(1, LANES):
                at = 3 * (thread + other * FEATURES)
                more, both = kept[at], count + kept[at]
                if more > float32(0):
                    d = kept[at + 1] - mean
                    spread += kept[at + 2] + d * d * (count * more / both)
                    mean += d * (more / both)
                    count = both
            at = (cuda.blockIdx.x * features + column) * SHARE
            shares[at], shares[at + 1], shares[at + 2] = count, mean, spread

    return moments


def make_merge_moments() -> Any:
    """Kernel: (shares, mean, variance, features, blocks) of all shares, in their order; the variance is
    biased.
    """

    def merge(shares: Any, mean: Any, variance: Any, features: Any, blocks: Any) -> None:
        for column in range(first_index(), features, stride()):
            count, middle, spread = float64(0), float64(0), float64(0)
            for block in range(blocks):
                at = (block * features + column) * SHARE
                more = float64(shares[at])
                if more > float64(0):
                    both, d = count + more, float64(shares[at + 1]) - middle
                    spread += float64(shares[at + 2]) + d * d * (count * more / both)
                    middle += d * (more / both)
                    count = both
            mean[column], variance[column] = float32(middle), float32(spread / count)

    return merge


def make_column_sums(precision: str, *, normed: bool) -> Any:
    """Kernel: (grad, x, mean, factor, gamma, beta, shares, features, rows, slope) sums of gradients.

    A share's first number is the sum of the gradient, after the activation's slope if `normed`; its second
    that of the gradient times the normalised x = (x - mean) factor.
    """
    read = reader(precision)

    def column_sums(
        grad: Any,
        x: Any,
        mean: Any,
        factor: Any,
        gamma: Any,
        beta: Any,
        shares: Any,
        features: Any,
        rows: Any,
        slope: Any,
    ) -> None:
        kept = cuda.shared.array(512, float32)
        source, normal, thread = ops.address(grad), ops.address(x), cuda.threadIdx.x
        column, lane = cuda.blockIdx.y * FEATURES + thread % FEATURES, thread // FEATURES
        total, product = float32(0), float32(0)
        if column < features:
            for row in range(int64(cuda.blockIdx.x) * LANES + lane, rows, int64(cuda.gridDim.x) * LANES):
                value = read(source, row * features + column)
                if normed:
                    n = (read(normal, row * features + column) - mean[column]) * factor[column]
                    if not n * gamma[column] + beta[column] > float32(0):
                        value *= slope
                    product += value * n
                total += value
        kept[2 * thread], kept[2 * thread + 1] = total, product
        cuda.syncthreads()
        if lane == 0 and column < features:
            for other in range(1, LANES):
                total += kept[2 * (thread + other * FEATURES)]
                product += kept[2 * (thread + other * FEATURES) + 1]
            at = (cuda.blockIdx.x * features + column) * SHARE
            shares[at], shares[at + 1] = total, product

    return column_sums


def make_merge_sums() -> Any:
    """Kernel: (shares, sums, products, scale, features, blocks)."""

    def merge(shares: Any, sums: Any, products: Any, scale: Any, features: Any, blocks: Any) -> None:
        for column in range(first_index(), features, stride()):
            total, product = float64(0), float64(0)
            for block in range(blocks):
                at = (block * features + column) * SHARE
                total += float64(shares[at])
                product += float64(shares[at + 1])
            sums[column], products[column] = float32(total) * scale, float32(product) * scale

    return merge


def make_norm_factors() -> Any:
    """Kernel: (mean, variance, gamma, beta, factor, scale, shift, epsilon, features): what affine takes."""

    def factors(
        mean: Any,
        variance: Any,
        gamma: Any,
        beta: Any,
        factor: Any,
        scale: Any,
        shift: Any,
        epsilon: Any,
        features: Any,
    ) -> None:
        for column in range(first_index(), features, stride()):
            factor[column] = float32(1) / float32(math.sqrt(variance[column] + epsilon))
            scale[column] = factor[column] * gamma[column]
            shift[column] = beta[column]

    return factors


def make_normalise(precision: str) -> Any:
    """Kernel: (x, mean, scale, shift, y, features, slope, count) leaky((x - mean) scale + shift)."""
    read, write = reader(precision), writer(precision)

    def normalise(
        x: Any, mean: Any, scale: Any, shift: Any, y: Any, features: Any, slope: Any, count: Any
    ) -> None:
        a, b = ops.address(x), ops.address(y)
        for i in range(first_index(), count, stride()):
            feature = i % features
            value = (read(a, i) - mean[feature]) * scale[feature] + shift[feature]
            write(b, i, value if value > float32(0) else value * slope)

    return normalise


def make_norm_backward(precision: str) -> Any:
    """Kernel: (x, grad, mean, factor, gamma, beta, sums, products, dx, features, slope, rows)."""
    read, write = reader(precision), writer(precision)

    def norm_backward(
        x: Any, grad: Any, mean: Any, factor: Any, gamma: Any, beta: Any, sums: Any, products: Any, dx: Any,
        features: Any, slope: Any, rows: Any,
    ) -> None:  # fmt: skip
        a, b, c = ops.address(x), ops.address(grad), ops.address(dx)
        share = float32(1) / float32(rows)
        for i in range(first_index(), int64(rows) * int64(features), stride()):
            k = i % features
            n, value = (read(a, i) - mean[k]) * factor[k], read(b, i)
            if not n * gamma[k] + beta[k] > float32(0):
                value *= slope
            value -= (sums[k] + n * products[k]) * share
            write(c, i, value * gamma[k] * factor[k])

    return norm_backward

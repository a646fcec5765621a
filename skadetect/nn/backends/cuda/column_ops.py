"""Sums over pixels on a device: batch normalisation forward and backward, gradients of biases."""

from __future__ import annotations

from typing import Any

import numpy as np

from skadetect.nn.backends.cuda import kernels
from skadetect.nn.backends.cuda.columns import FEATURES, LANES, RUN, SHARE
from skadetect.nn.backends.cuda.context import Context
from skadetect.nn.backends.cuda.tensor import Tensor

#: Blocks that share the rows of a sum.
MOST_SHARES = 256


def column_sums(context: Context, grad: Tensor) -> Tensor:
    """Sum over all pixels, feature by feature, float32."""
    zeros = context.constant(
        ("zeros", grad.shape[-1]), lambda: np.zeros(-(-grad.shape[-1] // 8) * 8, np.float32)
    )
    return _sums(context, grad, grad, [zeros] * 4, 1.0, normed=False)[0]


def batch_norm_forward(
    context: Context, x: Tensor, gamma: Any, beta: Any, *, epsilon: float, slope: float
) -> tuple[Tensor, Tensor, Tensor]:
    """See `skadetect.nn.backends.base.Backend.batch_norm_forward`."""
    features, rows = x.shape[-1], x.size // x.shape[-1]
    mean, variance = context.empty((features,), "fp32"), context.empty((features,), "fp32")
    blocks = _blocks(rows, LANES * RUN)
    shares = context.empty((blocks, features, SHARE), "fp32")
    grid = (blocks, -(-features // FEATURES))
    context.launch(kernels.column_recipe("moments", x.kind), grid, [x, shares, features, rows])
    context.walk(kernels.column_recipe("merge_moments"), [shares, mean, variance, features, blocks], features)
    _, scale, shift = _factors(context, mean, variance, gamma, beta, epsilon)
    y = context.empty(x.shape, x.kind)
    given = [x, mean, scale, shift, y, features, slope, x.size]
    context.walk(kernels.column_recipe("normalise", x.kind), given, x.size)
    return y, mean, variance


def batch_norm_backward(
    context: Context,
    x: Tensor,
    grad: Tensor,
    gamma: Any,
    beta: Any,
    mean: Any,
    variance: Any,
    *,
    epsilon: float,
    slope: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `skadetect.nn.backends.base.Backend.batch_norm_backward`."""
    mean, variance = context.parameter(mean), context.parameter(variance)
    factor, _, _ = _factors(context, mean, variance, gamma, beta, epsilon)
    norm = [mean, factor, context.parameter(gamma), context.parameter(beta)]
    dbeta, dgamma = _sums(context, grad, x, norm, slope, normed=True)
    dx = context.empty(x.shape, x.kind)
    features, rows = x.shape[-1], x.size // x.shape[-1]
    given = [x, grad, *norm, dbeta, dgamma, dx, features, slope, rows]
    context.walk(kernels.column_recipe("norm_backward", x.kind), given, x.size)
    return dx, dgamma, dbeta


def _sums(
    context: Context, grad: Tensor, x: Tensor, norm: list[Any], slope: float, *, normed: bool
) -> tuple[Tensor, Tensor]:
    features, rows = grad.shape[-1], grad.size // grad.shape[-1]
    blocks = _blocks(rows, LANES * RUN)
    shares = context.empty((blocks, features, SHARE), "fp32")
    recipe = kernels.column_recipe("column_sums", grad.kind, normed=normed)
    grid = (blocks, -(-features // FEATURES))
    context.launch(recipe, grid, [grad, x, *norm, shares, features, rows, slope])
    total, product = context.empty((features,), "fp32"), context.empty((features,), "fp32")
    context.walk(
        kernels.column_recipe("merge_sums"), [shares, total, product, 1.0, features, blocks], features
    )
    return total, product


def _factors(
    context: Context, mean: Tensor, variance: Tensor, gamma: Any, beta: Any, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    features = mean.size
    factor, scale, shift = (context.empty((features,), "fp32") for _ in range(3))
    given = [
        mean,
        variance,
        context.parameter(gamma),
        context.parameter(beta),
        factor,
        scale,
        shift,
        epsilon,
        features,
    ]
    context.walk(kernels.column_recipe("norm_factors"), given, features)
    return factor, scale, shift


def _blocks(rows: int, each: int) -> int:
    return max(1, min(MOST_SHARES, -(-rows // each)))

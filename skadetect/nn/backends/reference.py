"""Every network operation in plain NumPy: slow, obviously right, the specification of the fast back ends.

`skadetect.nn.backends.base` lists the operations. Arrays are channels-last, (batch, z, y, x, feature); an
extent, stride or padding is a tuple (z, y, x). Nothing is converted: float32 in gives float32 out, float64 in
gives float64 out, so that gradients can be held against finite differences.

A window operation (convolution, pooling) is a loop over the offsets inside the window. For one offset the
pixels that all windows see form one strided view of the padded input: the forward pass reads that view, the
backward pass adds to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.formulas import ASINH, LINEAR, TANH
from skadetect.nn.backends import pieces
from skadetect.nn.backends.base import Array, Axes
from skadetect.nn.backends.splitmix import words
from skadetect.stretches import Stretches

PIXELS = (1, 2, 3)  # the axes z, y, x

hold, batch = pieces.hold, pieces.batch


def to_device(x: Any) -> Any:
    """The array itself."""
    return x


def to_host(x: Any) -> Any:
    """The array itself."""
    return x


def peaks(s: Array, stride: Axes, *, reach: int, least: float) -> Array:
    """Maximum over each window, cut off at the edges, and `least`."""
    cells = tuple(n // step for n, step in zip(s.shape[1:], stride, strict=True))
    found = np.full((len(s), *cells), least, np.float32)
    for cell in np.ndindex(*cells):
        low, high = (np.array([c * n for c, n in zip(corner, stride)]) for corner in (cell, np.add(cell, 1)))
        window = tuple(slice(max(a - reach, 0), b + reach) for a, b in zip(low, high, strict=True))
        inside = s[(slice(None), *window)].max(axis=PIXELS)
        found[(slice(None), *cell)] = np.maximum(inside, least)
    return found


def features(s: Array, stretches: Stretches, constants: Array) -> Array:
    """Columns factor * function(gain * s), then the constants of each sample."""
    functions = {TANH: np.tanh, ASINH: np.arcsinh, LINEAR: np.positive}
    columns = [functions[kind](s * s.dtype.type(gain)) * s.dtype.type(by) for kind, gain, by in stretches]
    columns += [np.broadcast_to(values[:, None, None, None], s.shape) for values in constants.T]
    return np.stack(columns, axis=-1).astype(s.dtype)


# Convolution ------------------------------------------------------------------------------------------------


def conv_forward(
    x: Array,
    filters: Array,
    bias: Array | None,
    *,
    stride: Axes,
    padding: Axes,
    groups: int = 1,
    slope: float = 1.0,
    residual: Array | None = None,
) -> Array:
    """Cross-correlation: y[p, o] = leaky(bias[o] + sum_{k, i} x[p stride - padding + k, i] filters[k, i, o]).

    Pixels outside the input are zero. A residual is added after the activation. With groups, group g of the
    outputs sees only group g of the inputs, and filters are (kz, ky, kx, inputs / groups, outputs).
    """
    extent = filters.shape[:3]
    shape = _output_shape(x.shape, extent, stride, padding)
    padded = _pad(x, padding)
    y = np.zeros((*shape, groups, filters.shape[4] // groups), x.dtype)
    for offset in np.ndindex(*extent):
        seen = _split(_view(padded, offset, shape, stride), groups)
        y += np.einsum("bzyxgi,igo->bzyxgo", seen, _split(filters[offset], groups))
    y = y.reshape(*shape, filters.shape[4])
    y = leaky_forward(y if bias is None else y + bias, slope)
    return y if residual is None else y + residual


def conv_backward(
    x: Array,
    filters: Array,
    grad: Array,
    *,
    stride: Axes,
    padding: Axes,
    groups: int = 1,
    need_input: bool = True,
) -> tuple[Array | None, Array, Array]:
    """Gradients of the linear part (slope 1, no residual): to the input, the filters and the bias."""
    padded = _pad(x, padding)
    dpadded, dfilters = np.zeros_like(padded), np.zeros_like(filters)
    split_grad = _split(grad, groups)
    for offset in np.ndindex(*filters.shape[:3]):
        seen = _split(_view(padded, offset, grad.shape[:4], stride), groups)
        dfilter = np.einsum("bzyxgi,bzyxgo->igo", seen, split_grad)
        dfilters[offset] = dfilter.reshape(filters.shape[3:])
        dseen = np.einsum("bzyxgo,igo->bzyxgi", split_grad, _split(filters[offset], groups))
        _view(dpadded, offset, grad.shape[:4], stride)[...] += dseen.reshape(*grad.shape[:4], x.shape[4])
    return (_crop(dpadded, padding) if need_input else None), dfilters, grad.sum(axis=(0, *PIXELS))


# Batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167) -----------------------------------------------


def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, *, epsilon: float, slope: float
) -> tuple[Array, Array, Array]:
    """Leaky(gamma (x - mean) / sqrt(variance + epsilon) + beta), the features' mean and biased variance."""
    mean = x.mean(axis=(0, *PIXELS))
    variance = x.var(axis=(0, *PIXELS))
    scale = gamma / np.sqrt(variance + epsilon)
    return leaky_forward((x - mean) * scale + beta, slope), mean, variance


def batch_norm_backward(
    x: Array,
    grad: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    *,
    epsilon: float,
    slope: float,
) -> tuple[Array, Array, Array]:
    """Gradients to x, gamma and beta; mean and variance are functions of x, so their share is in dx."""
    over = (0, *PIXELS)
    deviation = np.sqrt(variance + epsilon)
    normal = (x - mean) / deviation
    grad = leaky_backward(normal * gamma + beta, grad, slope)
    dbeta, dgamma = grad.sum(axis=over), (grad * normal).sum(axis=over)
    dx = gamma / deviation * (grad - grad.mean(axis=over) - normal * (grad * normal).mean(axis=over))
    return dx, dgamma, dbeta


def affine(x: Array, scale: Array, shift: Array, *, slope: float) -> Array:
    """Value y = leaky(x scale + shift): batch normalisation with given statistics."""
    return leaky_forward(x * scale + shift, slope)


# Pixel by pixel ---------------------------------------------------------------------------------------------


def leaky_forward(x: Array, slope: float) -> Array:
    """Value y = x where x > 0, slope x elsewhere; slope 1 is the identity, slope 0 is ReLU."""
    return np.where(x > 0, x, x.dtype.type(slope) * x)


def leaky_backward(x: Array, grad: Array, slope: float) -> Array:
    """Gradient to x; at x = 0 it is slope grad."""
    return np.where(x > 0, grad, grad.dtype.type(slope) * grad)


def add(a: Array, b: Array) -> Array:
    """Value y = a + b; the gradient to both is the gradient to y."""
    return a + b


def sigmoid_forward(x: Array) -> Array:
    """Value y = 1 / (1 + exp(-x)), from exp(-|x|) so that nothing overflows."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def sigmoid_backward(y: Array, grad: Array) -> Array:
    """Gradient to x, from the output y."""
    return grad * y * (1 - y)


def softmax_forward(x: Array) -> Array:
    """Value y = exp(x) / sum exp(x) over the last axis; the maximum goes first, so that nothing overflows."""
    y = np.exp(x - x.max(axis=-1, keepdims=True))
    return y / y.sum(axis=-1, keepdims=True)


def softmax_backward(y: Array, grad: Array) -> Array:
    """Gradient to x, from the output y: y (grad - sum y grad)."""
    return y * (grad - (y * grad).sum(axis=-1, keepdims=True))


# Pooling ----------------------------------------------------------------------------------------------------


def pool_forward(
    x: Array, *, kind: str, extent: Axes, stride: Axes, padding: Axes
) -> tuple[Array, NDArray[np.int32] | None]:
    """Maximum or average of each window; padding (less than the extent) is never a maximum and never counted.

    With the maximum comes its place: the flat index (z ny + y) nx + x in the sample, the first on a tie.
    """
    shape = _output_shape(x.shape, extent, stride, padding)
    if kind == "average":
        return _window_sum(x, extent, stride, padding) / _window_count(x, extent, stride, padding), None
    index = np.arange(np.prod(x.shape[1:4]), dtype=np.int32).reshape(1, *x.shape[1:4], 1)
    padded, padded_index = _pad(x, padding, -np.inf), _pad(index, padding, -1)
    y = np.full((*shape, x.shape[4]), -np.inf, x.dtype)
    argmax = np.full(y.shape, -1, np.int32)
    for offset in np.ndindex(*extent):
        seen, where = (_view(a, offset, shape, stride) for a in (padded, padded_index))
        larger = seen > y
        y, argmax = np.where(larger, seen, y), np.where(larger, where, argmax)
    return y, argmax


def pool_backward(
    grad: Array,
    argmax: NDArray[np.int32] | None,
    *,
    kind: str,
    input_shape: tuple[int, ...],
    extent: Axes,
    stride: Axes,
    padding: Axes,
) -> Array:
    """Gradient to x: to the pixel that was the maximum, or in equal shares to the averaged pixels."""
    if kind == "max":
        return _scatter(grad, argmax, input_shape)
    dpadded = _pad(np.zeros(input_shape, grad.dtype), padding)
    share = grad / _window_count(np.zeros(input_shape, grad.dtype), extent, stride, padding)
    for offset in np.ndindex(*extent):
        _view(dpadded, offset, grad.shape[:4], stride)[...] += share
    return _crop(dpadded, padding)


def global_pool_forward(x: Array, kind: str) -> tuple[Array, NDArray[np.int32] | None]:
    """Maximum or average of all pixels of a sample, feature by feature: (batch, 1, 1, 1, feature)."""
    if kind == "average":
        return x.mean(axis=PIXELS, keepdims=True), None
    flat = x.reshape(x.shape[0], -1, x.shape[4])
    argmax = flat.argmax(axis=1).astype(np.int32)
    return x.max(axis=PIXELS, keepdims=True), argmax.reshape(x.shape[0], 1, 1, 1, x.shape[4])


def global_pool_backward(
    grad: Array, argmax: NDArray[np.int32] | None, *, kind: str, input_shape: tuple[int, ...]
) -> Array:
    """Gradient to x of `global_pool_forward`."""
    if kind == "max":
        return _scatter(grad, argmax, input_shape)
    return np.broadcast_to(grad / grad.dtype.type(np.prod(input_shape[1:4])), input_shape).copy()


# Dense and dropout ------------------------------------------------------------------------------------------


def dense_forward(x: Array, filters: Array, bias: Array | None) -> Array:
    """y[b, m] = sum_n x[b, n] filters[n, m] + bias[m]."""
    y = x @ filters
    return y if bias is None else y + bias


def dense_backward(x: Array, filters: Array, grad: Array) -> tuple[Array, Array, Array]:
    """Gradients to the input, the filters and the bias."""
    return grad @ filters.T, x.T @ grad, grad.sum(axis=0)


def dropout_forward(x: Array, rate: float, *, seed: int) -> Array:
    """Value x / (1 - rate) for elements that are kept, 0 for a share `rate` (0 <= rate < 1) that is dropped.

    Element i (flat, C order) is kept if the upper 32 bits of word i of SplitMix64 (Steele, Lea & Flood 2014,
    doi:10.1145/2660193.2660195) are at least rate 2**32. The generator starts at the mixed seed, so that near
    seeds give unrelated masks. A mask depends on seed and index only: all back ends draw the same one.
    """
    word = words(x.size, seed)
    kept = (word >> np.uint64(32)) >= np.uint64(rate * 2.0**32)
    return np.where(kept.reshape(x.shape), x * x.dtype.type(1 / (1 - rate)), x.dtype.type(0))


def dropout_backward(grad: Array, rate: float, *, seed: int) -> Array:
    """Gradient to x: dropout is linear, and the seed gives the same mask again."""
    return dropout_forward(grad, rate, seed=seed)


# Helpers ----------------------------------------------------------------------------------------------------


def _output_shape(
    shape: tuple[int, ...], extent: tuple[int, ...], stride: Axes, padding: Axes
) -> tuple[int, ...]:
    """(batch, z, y, x) of the windows that fit into the padded input."""
    sizes = zip(shape[1:4], extent, stride, padding, strict=True)
    return (shape[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in sizes))


def _pad(x: NDArray, padding: Axes, value: float = 0) -> NDArray:
    return np.pad(x, ((0, 0), *((p, p) for p in padding), (0, 0)), constant_values=value)


def _crop(padded: NDArray, padding: Axes) -> NDArray:
    """Undo `_pad`."""
    inside = tuple(slice(p, n - p) for n, p in zip(padded.shape[1:4], padding, strict=True))
    return np.ascontiguousarray(padded[:, *inside])


def _view(padded: NDArray, offset: tuple[int, ...], shape: tuple[int, ...], stride: Axes) -> NDArray:
    """The pixel at `offset` of every window, as a view of (batch, z, y, x, feature)."""
    steps = zip(offset, shape[1:], stride, strict=True)
    return padded[:, *(slice(k, k + s * (n - 1) + 1, s) for k, n, s in steps)]


def _split(x: NDArray, groups: int) -> NDArray:
    """Split the last axis: (..., groups, features of a group)."""
    return x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)


def _window_sum(x: Array, extent: Axes, stride: Axes, padding: Axes) -> Array:
    shape = _output_shape(x.shape, extent, stride, padding)
    padded = _pad(x, padding)
    total = np.zeros((*shape, x.shape[4]), x.dtype)
    for offset in np.ndindex(*extent):
        total += _view(padded, offset, shape, stride)
    return total


def _window_count(x: Array, extent: Axes, stride: Axes, padding: Axes) -> Array:
    """How many pixels of each window lie inside the image."""
    return _window_sum(np.ones((1, *x.shape[1:4], 1), x.dtype), extent, stride, padding)


def _scatter(grad: Array, argmax: NDArray[np.int32] | None, input_shape: tuple[int, ...]) -> Array:
    """Add each element of grad to the pixel that argmax names."""
    assert argmax is not None
    batch, features = input_shape[0], input_shape[4]
    dx = np.zeros((batch, int(np.prod(input_shape[1:4])), features), grad.dtype)
    sample, feature = np.arange(batch)[:, None, None], np.arange(features)
    np.add.at(dx, (sample, argmax.reshape(batch, -1, features), feature), grad.reshape(batch, -1, features))
    return dx.reshape(input_shape)

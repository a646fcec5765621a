"""Convolution on the CPU, forward and backward, by direct sums or Winograd's as `plan` chooses.

The gradient of the input is a convolution itself; where the forward pass has a stride, it is one for each
of the places that a pixel can have between the steps.
"""

from __future__ import annotations

import numpy as np

from skadetect import arena
from skadetect.nn.backends.base import Array, Axes
from skadetect.nn.backends.cpu.direct import conv_direct, conv_into
from skadetect.nn.backends.cpu.gradient import filter_gradient
from skadetect.nn.backends.cpu.plan import choose, choose_gradient
from skadetect.nn.backends.cpu.winograd import conv_winograd
from skadetect.nn.backends.cpu.winograd_gradient import filter_gradient_winograd
from skadetect.nn.backends.cpu.winograd_z import conv_winograd_z


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
    """See `skadetect.nn.backends.base.Backend.conv_forward`."""
    if groups > 1:
        parts = _by_group(x, filters, groups)
        linear = [conv_forward(a, f, None, stride=stride, padding=padding) for a, f in parts]
        return _finish(np.ascontiguousarray(np.concatenate(linear, axis=-1)), bias, slope, residual)
    if slope > 1.0:
        return _finish(conv_forward(x, filters, None, stride=stride, padding=padding), bias, slope, residual)
    algorithm = choose(x.shape, filters.shape, stride, padding).algorithm
    if algorithm != "direct":
        offsets = np.zeros(filters.shape[-1], np.float32) if bias is None else bias
        convolve = conv_winograd if algorithm == "winograd" else conv_winograd_z
        return convolve(x, filters, offsets, slope=slope, residual=residual)
    return conv_direct(x, filters, bias, stride=stride, padding=padding, slope=slope, residual=residual)


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
    """See `skadetect.nn.backends.base.Backend.conv_backward`."""
    if groups > 1:
        return _grouped_backward(x, filters, grad, stride, padding, groups, need_input)
    dfilters, dbias = _filter_gradient(x, filters, grad, stride, padding)
    dx = _input_gradient(x, filters, grad, stride, padding) if need_input else None
    return dx, dfilters, dbias


def output_shape(
    shape: tuple[int, ...], filters: tuple[int, ...], stride: Axes, padding: Axes
) -> tuple[int, ...]:
    """Shape of a convolution's output from those of its input and filters."""
    sizes = [(shape[1 + a] + 2 * padding[a] - filters[a]) // stride[a] + 1 for a in range(3)]
    return (shape[0], *sizes, filters[-1])


def _by_group(x: Array, filters: Array, groups: int) -> list[tuple[Array, Array]]:
    inputs, outputs = x.shape[-1] // groups, filters.shape[-1] // groups
    return [
        (
            np.ascontiguousarray(x[..., g * inputs : (g + 1) * inputs]),
            np.ascontiguousarray(filters[..., g * outputs : (g + 1) * outputs]),
        )
        for g in range(groups)
    ]


def _finish(y: Array, bias: Array | None, slope: float, residual: Array | None) -> Array:
    y = y if bias is None else y + bias
    y = y if slope == 1.0 else np.where(y > 0, y, y * np.float32(slope))
    return y if residual is None else y + residual


def _grouped_backward(
    x: Array, filters: Array, grad: Array, stride: Axes, padding: Axes, groups: int, need_input: bool
) -> tuple[Array | None, Array, Array]:
    width = grad.shape[-1] // groups
    results = [
        conv_backward(
            a,
            f,
            np.ascontiguousarray(grad[..., g * width : (g + 1) * width]),
            stride=stride,
            padding=padding,
            need_input=need_input,
        )
        for g, (a, f) in enumerate(_by_group(x, filters, groups))
    ]
    dx = np.concatenate([r[0] for r in results if r[0] is not None], axis=-1) if need_input else None
    return dx, np.concatenate([r[1] for r in results], axis=-1), np.concatenate([r[2] for r in results])


def _filter_gradient(
    x: Array, filters: Array, grad: Array, stride: Axes, padding: Axes
) -> tuple[Array, Array]:
    if choose_gradient(x.shape, filters.shape, stride, padding).algorithm == "winograd":
        return filter_gradient_winograd(x, filters.shape[0], grad)
    return filter_gradient(x, filters.shape, grad, stride=stride, padding=padding)


def _input_gradient(x: Array, filters: Array, grad: Array, stride: Axes, padding: Axes) -> Array:
    turned = filters[::-1, ::-1, ::-1].swapaxes(3, 4)
    if stride == (1, 1, 1):
        z, y, x_ = (e - 1 - p for e, p in zip(filters.shape[:3], padding, strict=True))
        if min(z, y, x_) >= 0:
            return conv_forward(grad, np.ascontiguousarray(turned), None, stride=stride, padding=(z, y, x_))
    dx = arena.empty(x.shape)
    for phase in np.ndindex(*stride):
        goal = dx[:, *(slice(r, None, s) for r, s in zip(phase, stride, strict=True))]
        _phase(goal, turned, grad, phase, stride, padding)
    return dx


def _phase(
    goal: Array, turned: Array, grad: Array, phase: tuple[int, ...], stride: Axes, padding: Axes
) -> None:
    """Gradient of the input pixels `phase` + n * `stride`: a convolution with every stride-th tap."""
    if 0 in goal.shape:
        return
    before, taps = [], []
    for extent, r, step, pad in zip(turned.shape[:3], phase, stride, padding, strict=True):
        first = (r + pad) % step
        count = len(range(first, extent, step))
        before.append(count - 1 - (r + pad) // step)
        taps.append(slice((extent - 1 - first) % step, None, step) if count else slice(0, 0))
    some = np.ascontiguousarray(turned[tuple(taps)])
    if 0 in some.shape:
        goal[...] = 0.0
    else:
        conv_into(grad, some, None, goal, stride=(1, 1, 1), before=(before[0], before[1], before[2]))

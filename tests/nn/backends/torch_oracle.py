"""The operations in PyTorch: an outside oracle for values and, through autograd, for gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tests.nn.backends.ops import Arrays, Case


def run(case: Case, arrays: Arrays, grad_of: Callable[[Any], Any]) -> tuple[Any, list[Any]]:
    """Value and gradients to all arrays, for the output gradient that grad_of gives for the value."""
    leaves = [None if a is None else torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
    y = OPERATIONS[case.operation](*leaves, **case.options)
    y.backward(torch.from_numpy(grad_of(y.detach().numpy())))
    return y.detach().numpy(), [leaf.grad.numpy() for leaf in leaves if leaf is not None]


def _first(x: Any) -> Any:
    """Channels-last to channels-first."""
    return x.permute(0, 4, 1, 2, 3)


def _last(x: Any) -> Any:
    return x.permute(0, 2, 3, 4, 1)


def _conv(x: Any, filters: Any, bias: Any, **options: Any) -> Any:
    return _last(functional.conv3d(_first(x), filters.permute(4, 3, 0, 1, 2), bias, **options))


def _conv_fused(x: Any, filters: Any, bias: Any, residual: Any, *, slope: float, **options: Any) -> Any:
    y = functional.leaky_relu(_conv(x, filters, bias, **options), slope)
    return y if residual is None else y + residual


def _batch_norm(x: Any, gamma: Any, beta: Any, *, epsilon: float, slope: float) -> Any:
    y = functional.batch_norm(_first(x), None, None, gamma, beta, training=True, eps=epsilon)
    return functional.leaky_relu(_last(y), slope)


def _affine(x: Any, scale: Any, shift: Any, *, slope: float) -> Any:
    return functional.leaky_relu(x * scale + shift, slope)


def _pool(x: Any, *, kind: str, extent: Any, stride: Any, padding: Any) -> Any:
    if kind == "max":
        return _last(functional.max_pool3d(_first(x), extent, stride, padding))
    return _last(functional.avg_pool3d(_first(x), extent, stride, padding, count_include_pad=False))


def _global_pool(x: Any, *, kind: str) -> Any:
    return x.amax((1, 2, 3), keepdim=True) if kind == "max" else x.mean((1, 2, 3), keepdim=True)


def _dense(x: Any, filters: Any, bias: Any) -> Any:
    return functional.linear(x, filters.T, bias)


def _dropout(x: Any, *, rate: float, seed: int) -> Any:
    """Dropout with the mask that plain integers give; PyTorch's own generator draws others."""
    mask = [keep(seed, i, rate) for i in range(x.numel())]
    return x * torch.from_numpy(np.reshape(mask, x.shape)) / (1 - rate)


def keep(seed: int, index: int, rate: float) -> bool:
    """Whether an element is kept, in Python's unbounded integers."""
    word = _mix((_mix(seed) + (index + 1) * 0x9E3779B97F4A7C15) % 2**64)
    return word // 2**32 >= int(rate * 2**32)


def _mix(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) % 2**64
    return word ^ (word >> 31)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "conv": _conv,
    "conv_fused": _conv_fused,
    "batch_norm": _batch_norm,
    "affine": _affine,
    "leaky": lambda x, slope: functional.leaky_relu(x, slope),
    "add": lambda a, b: a + b,
    "pool": _pool,
    "global_pool": _global_pool,
    "dense": _dense,
    "dropout": _dropout,
    "sigmoid": torch.sigmoid,
    "softmax": lambda x: torch.softmax(x, -1),
}

"""How far each convolution is from double precision, on the activations that the network has there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from skadetect.nn.backends import cpu
from skadetect.nn.backends.cpu.plan import choose
from skadetect.nn.network import Network

Array = np.ndarray


def layer_errors(network: Network, x: Array) -> Iterator[tuple[str, str, float, float]]:
    """Layer, algorithm, and largest and root mean square error as shares of those of the outputs."""
    found: list[tuple[str, float, float]] = []
    network.forward(x, _Compared(found))  # type: ignore[arg-type]
    names = [layer.name for layer in network.spec.layers if layer.kind == "conv"]
    for name, (algorithm, largest, square) in zip(names, found, strict=True):
        yield name, algorithm, largest, square


class _Compared:
    """The CPU back end with every convolution held against PyTorch's in double precision."""

    def __init__(self, found: list[tuple[str, float, float]]) -> None:
        self.found = found

    def __getattr__(self, name: str) -> Any:
        operation = getattr(cpu, name)
        return self._compared(operation) if name == "conv_forward" else operation

    def _compared(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def compared(x: Array, filters: Array, bias: Array, **options: Any) -> Array:
            y: Array = operation(x, filters, bias, **options)
            wanted = _double(x, filters, bias, **options)
            off = y - wanted
            algorithm = choose(x.shape, filters.shape, options["stride"], options["padding"]).algorithm
            largest = np.abs(off).max() / np.abs(wanted).max()
            self.found.append((algorithm, largest, np.sqrt(np.mean(off**2) / np.mean(wanted**2))))
            return y

        return compared


def _double(
    x: Array,
    filters: Array,
    bias: Array,
    *,
    stride: Any,
    padding: Any,
    groups: int,
    slope: float,
    residual: Any,
) -> Array:
    values = torch.from_numpy(np.moveaxis(x, -1, 1).astype(np.float64))
    weights = torch.from_numpy(filters.transpose(4, 3, 0, 1, 2).astype(np.float64))
    offsets = torch.from_numpy(bias.astype(np.float64))
    y = functional.conv3d(values, weights, offsets, stride, padding, 1, groups)
    y = y if slope == 1.0 else functional.leaky_relu(y, slope)
    found: Array = np.moveaxis(y.numpy(), 1, -1)
    return found if residual is None else found + residual

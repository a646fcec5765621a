"""What goes into a network, made on a device from signal to noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from skadetect.nn.backends.base import Array, Axes
from skadetect.nn.backends.cuda import kernels
from skadetect.nn.backends.cuda.context import Context
from skadetect.nn.backends.cuda.tensor import Tensor
from skadetect.stretches import Stretches


def features(context: Context, s: Any, stretches: Stretches, constants: Array) -> Tensor:
    """See `skadetect.nn.backends.base.Backend.features`."""
    plane = _pixels(context, s)
    x = context.empty((*s.shape, len(stretches) + constants.shape[1]))
    kinds = context.integers_of(tuple(kind for kind, _, _ in stretches))
    factors = _floats(context, tuple(value for row in stretches for value in row[1:]))
    last = _constants(context, constants)
    pixels = plane.size
    given = [
        plane,
        kinds,
        factors,
        last,
        x,
        len(stretches),
        constants.shape[1],
        max(1, pixels // max(1, s.shape[0])),
        pixels,
    ]
    context.walk(kernels.features_recipe(x.kind), given, pixels)
    return x


def peaks(context: Context, s: Any, stride: Axes, *, reach: int, least: float) -> Array:
    """See `skadetect.nn.backends.base.Backend.peaks`."""
    pixels = _pixels(context, s)
    cells = tuple(n // step for n, step in zip(s.shape[1:], stride))
    found = context.empty((s.shape[0], *cells), "fp32")
    geometry = context.integers_of((*s.shape[1:], *cells, *stride, reach))
    context.walk(kernels.peaks_recipe(), [pixels, found, geometry, least, found.size], found.size)
    return context.to_host(found)


def _pixels(context: Context, s: Any) -> Tensor:
    """Signal to noise on the device, in float32."""
    return context.as_kind(s, "fp32") if isinstance(s, Tensor) else context.upload(np.asarray(s), "fp32")


def _constants(context: Context, values: Array) -> Any:
    """Those of one image are the same for all its tiles, those of a batch are never seen again."""
    if len(values) == 1:
        return _floats(context, tuple(values.reshape(-1).tolist()))
    return context.upload(values if values.size else np.zeros(1, np.float32), "fp32")


def _floats(context: Context, numbers: tuple[float, ...]) -> Any:
    return context.constant(("floats", numbers), lambda: np.array(numbers, np.float32))

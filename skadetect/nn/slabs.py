"""An input that is made a slab at a time: a tile's features are many, and only the first layer sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from skadetect import arena
from skadetect.nn.backends import reference
from skadetect.nn.backends.base import Array, Backend
from skadetect.nn.spec import LayerSpec
from skadetect.stretches import Stretches

#: Size of a slab's features.
SLAB_BYTES = 8 << 20


@dataclass(frozen=True)
class Slabs:
    """The input of a network as a function.

    Attributes
    ----------
    shape : (1, z, y, x, features)
        Of the whole input.
    make : function of (start, stop)
        Features of rows start to stop of `axis`, shape (1, z, y, x, features) but for that axis, float32.
    constants : array, optional
        Values of the last features, where those are the same everywhere; `make` then gives a single 1 for all
        of them.
    stretched : (array, Stretches), optional
        Signal to noise (1, z, y, x) and the functions of it that the other features are: what a back end with
        arrays of its own makes them of.
    """

    shape: tuple[int, int, int, int, int]
    make: Callable[[int, int], Array]
    constants: Array | None = None
    stretched: tuple[Array, Stretches] | None = None

    @property
    def axis(self) -> int:
        """The axis that is cut: z, or y of an image."""
        return 1 if self.shape[1] > 1 else 2

    @property
    def ndim(self) -> int:
        """Axes of the whole input."""
        return len(self.shape)

    def whole(self) -> Array:
        """The input in one piece."""
        made = self.make(0, self.shape[self.axis])
        if self.constants is None:
            return made
        last = np.broadcast_to(self.constants, (*made.shape[:-1], len(self.constants)))
        return np.concatenate([made[..., :-1], last], axis=-1)

    def on(self, backend: Backend) -> Any:
        """The whole input where a back end has its arrays, made there if it is known what of."""
        if self.stretched is None:
            return backend.to_device(self.whole())
        constants = np.empty(0, np.float32) if self.constants is None else self.constants
        return backend.features(*self.stretched, constants[None])

    def filters_of(self, filters: Array) -> Array:
        """Filters for what `make` gives from filters (z, y, x, features, outputs): constants are summed."""
        if self.constants is None:
            return filters
        first = filters.shape[3] - len(self.constants)
        summed = np.einsum("zyxio,i->zyxo", filters[..., first:, :], self.constants)
        return np.concatenate([filters[..., :first, :], summed[..., None, :]], axis=3)

    def windows(
        self, extent: int, stride: int, padding: int
    ) -> Iterator[tuple[slice, tuple[int, int], Array]]:
        """Output rows of some windows of a filter at a time, and the input that they see.

        Between them the rows by which they reach over the ends of the axis.
        """
        size = self.shape[self.axis]
        rows = (size + 2 * padding - extent) // stride + 1
        row_bytes = 4 * stride * int(np.prod(self.shape)) // size
        count = max(1, SLAB_BYTES // row_bytes)
        for start in range(0, rows, count):
            stop = min(start + count, rows)
            low, high = start * stride - padding, (stop - 1) * stride - padding + extent
            part = self.make(max(low, 0), min(high, size))
            yield slice(start, stop), (max(-low, 0), max(high - size, 0)), part


def in_host_memory(backend: Backend) -> bool:
    """Whether a back end works on NumPy's arrays as they are."""
    return backend.to_device is reference.to_device


def convolve_slabs(layer: LayerSpec, source: Slabs, filters: Array, bias: Array, backend: Any) -> Array:
    """A convolution of an input that is made a slab at a time.

    Parameters
    ----------
    layer : LayerSpec
        Of one group of features.
    source : Slabs
        The input.
    filters, bias : array
        As `Backend.conv_forward` takes them.
    backend : Backend
        One whose arrays are NumPy's, see `in_host_memory`.

    Returns
    -------
    array, shape (1, z, y, x, outputs), float32
        Equal to the convolution of the whole input to rounding.
    """
    cut = source.axis - 1
    axes = zip(source.shape[1:4], layer.pads, layer.extent, layer.stride, strict=True)
    sizes = [(size + 2 * pad - extent) // stride + 1 for size, pad, extent, stride in axes]
    out = arena.empty((1, *sizes, filters.shape[-1]))
    filters = source.filters_of(filters)
    in_place = hasattr(backend, "conv_into") and layer.slope <= 1
    for rows, beyond, part in source.windows(layer.extent[cut], layer.stride[cut], layer.pads[cut]):
        reach = [(pad, pad) for pad in layer.pads]
        reach[cut] = beyond
        goal = out[(slice(None),) * (1 + cut) + (rows,)]
        if in_place:
            before = tuple(low for low, _ in reach)
            backend.conv_into(
                part, filters, bias, goal, stride=layer.stride, before=before, slope=layer.slope
            )
        else:
            part = np.pad(part, [(0, 0), *reach, (0, 0)])
            goal[...] = backend.conv_forward(
                part, filters, bias, stride=layer.stride, padding=(0, 0, 0), slope=layer.slope
            )
    return out

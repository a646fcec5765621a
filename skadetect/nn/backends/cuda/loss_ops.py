"""The loss of a batch on a device: one copy of the targets there, a few sums back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skadetect.box_loss import TERMS, LossTask
from skadetect.nn.backends.cuda import kernels
from skadetect.nn.backends.cuda.tensor import Tensor, integers

if TYPE_CHECKING:
    from skadetect.nn.backends.cuda.context import Context

#: Blocks that share a loss's sums.
MOST_SHARES = 512
#: Bytes to whose multiples uploaded arrays are put.
GRAIN = 16


def box_loss(
    context: Context, outputs: Tensor, task: LossTask, *, scale: float
) -> tuple[Tensor, NDArray[np.float64]]:
    """See `Tensor.box_loss`."""
    raw = context.as_kind(outputs, "fp32")
    loss = _Loss(context, raw, task)
    loss.associate()
    gradient, numbers = loss.learn()
    if scale != 1.0 or gradient.kind != context.kind:
        scaled = context.empty(gradient.shape)
        given = [gradient, scaled, scale, gradient.size]
        context.walk(kernels.cast_recipe("fp32", scaled.kind), given, gradient.size)
        gradient = scaled
    return gradient, context.download(numbers, TERMS + 1)


class _Loss:
    """Arrays on the device of one batch's loss."""

    def __init__(self, context: Context, outputs: Tensor, task: LossTask) -> None:
        self.context, self.outputs, self.task = context, outputs, task
        self.priors, self.geometry = (self._constant(array) for array in task.layout[:2])
        self.limits, self.shape = self._constant(task.rules[3]), self._constant(task.shape)
        extents = tuple(map(int, task.shape))
        self.cells = context.constant(("cells", extents), lambda: _indices(extents))
        self._held: list[Tensor] = []
        self.n_boxes, self.n_cells = len(task.layout[0]), int(np.prod(task.shape))
        self.count = outputs.shape[0] * self.n_cells * self.n_boxes
        self.width = outputs.shape[4] // self.n_boxes
        given = [task.boxes, task.parameters, task.class_index, task.weight, task.difficult, task.patch]
        given += [*task.window, task.cell, task.first, task.members, task.near, np.zeros(1, np.int32)]
        memory, arrays = _uploaded(context, given)
        self._held.append(memory)
        self.truth, self.difficult, self.patch, self.window = arrays[:4], arrays[4], arrays[5], arrays[6:8]
        self.owners, self.near, self.matched = arrays[8:11], arrays[11], arrays[12]
        self.boxes = self._scratch((self.count, 2, len(task.shape)), np.float64)
        self.target, self.quality = context.integers(self.count), context.empty((self.count,), "fp32")

    def associate(self) -> None:
        """Which box answers for which target."""
        task, launch, walk = self.task, self.context.launch, self.context.walk
        target, count = integers(self.target), self.count
        given = [self.outputs, self.cells, self.priors, self.geometry, self.boxes, target, self.quality]
        walk(kernels.loss_recipe("predict"), [*given, self.width, count], count)
        kind, by_overlap, startup, limits, seed = task.rules
        if len(task.boxes) and not math.isnan(limits[0]):
            given = [self.boxes, self.truth[0], self.patch, *self.window, self.shape, target]
            numbers = [limits[0], kind, self.n_boxes, self.n_cells]
            launch(kernels.loss_recipe("ignore"), (len(task.boxes),), [*given, *numbers])
        if len(task.cell):
            given = [self.boxes, self.truth[0], self.difficult, *self.owners, self.priors, self.limits]
            given += [*self._match_scratch(), target, self.quality, self.matched]
            numbers = [kind, by_overlap, startup, seed, self.n_cells, len(task.cell)]
            walk(kernels.loss_recipe("match"), [*given, *numbers], len(task.cell))
        size = len(task.near) * self.n_boxes
        walk(kernels.loss_recipe("near"), [self.near, target, self.n_boxes, size], size)

    def learn(self) -> tuple[Tensor, Any]:
        """Gradient, float32; sums of the terms and number of matched boxes."""
        context, settings, (_, _, classes) = self.context, self.task.settings, self.task.layout
        gradient = context.empty(self.outputs.shape, "fp32")
        blocks = min(*kernels.blocks_for(self.count), MOST_SHARES)
        shares, numbers = self._scratch((blocks * TERMS,)), self._scratch((TERMS + 1,))
        given = [self.outputs, integers(self.target), self.quality, self.cells, *self.truth, self.priors]
        given += [self.geometry, *(self._constant(array) for array in settings[:8])]
        given += [self.matched, gradient, shares, self.task.divisor, classes]
        given += [settings.overlap_kind, settings.overlap_target, self.width, self.count]
        context.launch(kernels.loss_recipe("terms"), (blocks,), given)
        context.launch(kernels.loss_recipe("merge_terms"), (1,), [shares, self.matched, numbers, blocks])
        return gradient, numbers

    def _match_scratch(self) -> list[Any]:
        """Overlaps, flags of targets and boxes, and random numbers of the cells that have targets."""
        members, cells = len(self.task.members), len(self.task.cell)
        return [
            self._scratch((members * self.n_boxes,)),
            self._scratch((members,), np.uint8),
            self._scratch((cells * self.n_boxes,), np.uint8),
            self._scratch((cells,), np.uint64),
        ]

    def _scratch(self, shape: tuple[int, ...], kind: Any = np.float64) -> Any:
        """An array that holds anything."""
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        tensor = self.context.empty((-(-size // 4),), "fp32")
        self._held.append(tensor)
        data: Any = tensor.data
        return data.view(np.uint8)[:size].view(kind).reshape(*shape)

    def _constant(self, values: NDArray[Any]) -> Any:
        key = ("loss", values.dtype.str, values.shape, values.tobytes())
        return self.context.constant(key, lambda: np.ascontiguousarray(_filled(values)))


def _uploaded(context: Context, arrays: Sequence[NDArray[Any]]) -> tuple[Tensor, list[Any]]:
    """Arrays on the device, by one copy; and the memory they are in."""
    filled = [_filled(np.ascontiguousarray(array)) for array in arrays]
    starts = np.cumsum([0, *(-(-array.nbytes // GRAIN) * GRAIN for array in filled)])
    packed = np.zeros(starts[-1], np.uint8)
    for start, array in zip(starts, filled, strict=False):
        packed[start : start + array.nbytes] = array.reshape(-1).view(np.uint8)
    memory = context.upload(packed.view(np.float32), "fp32")
    data: Any = memory.data
    data = data.view(np.uint8)
    return memory, [
        data[start : start + array.nbytes].view(array.dtype).reshape(*array.shape)
        for start, array in zip(starts, filled, strict=False)
    ]


def _indices(extents: tuple[int, ...]) -> NDArray[np.float64]:
    """Index on each axis of every cell of a patch."""
    return np.ascontiguousarray(np.indices(extents).reshape(len(extents), -1).T, np.float64)


def _filled(array: NDArray[Any]) -> NDArray[Any]:
    """The array, or one of its kind that is not empty: a device has no empty ones."""
    return array if array.size else np.zeros([max(n, 1) for n in array.shape], array.dtype)

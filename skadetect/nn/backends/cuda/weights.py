"""Weights of a training on a device: parameters and statistics as one vector, its moments and its average."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from skadetect.nn.backends.base import Array, Move
from skadetect.nn.backends.cuda import kernels
from skadetect.nn.backends.cuda.context import Context
from skadetect.nn.backends.cuda.optimizer import CONTROL, NORM
from skadetect.nn.backends.cuda.tensor import Tensor

#: Numbers to whose multiples arrays are put: 256 bytes.
GRAIN = 64
#: Blocks that share a norm's sum.
MOST_SHARES = 512

Arrays = Mapping[str, Array]


class DeviceWeights:
    """See `skadetect.nn.backends.base.Weights`.

    Parameters
    ----------
    context : Context
        Where.
    arrays : mapping
        "parameters", "state" and, empty or not, "first", "second" and "average".
    decayed : str
        End of the names of parameters that decay.
    """

    def __init__(self, context: Context, arrays: Mapping[str, Arrays], *, decayed: str) -> None:
        parameters, statistics = arrays["parameters"], arrays["state"]
        self.context, self._names = context, (tuple(parameters), tuple(statistics))
        self._place: dict[str, tuple[int, tuple[int, ...]]] = {}
        sizes = [self._laid({n: a for n, a in parameters.items() if n.endswith(decayed)}, 0)]
        sizes.append(self._laid({n: a for n, a in parameters.items() if not n.endswith(decayed)}, sizes[0]))
        sizes.append(self._laid(statistics, sizes[1]))
        self._decayed, self._moved, self._size = sizes
        self._values = self._put({**parameters, **statistics}, self._size, np.float32)
        self._found = self._put({}, self._size, np.float32)
        self._first = self._put(arrays.get("first", {}), self._moved, np.float32)
        self._second = self._put(arrays.get("second", {}), self._moved, np.float32)
        self._average = self._put(arrays.get("average", {}), self._size, np.float64)
        self._control = context.put(np.zeros(CONTROL))
        self._done = {group: bool(arrays.get(group)) for group in ("first", "second", "average")}
        self.parameters = {name: self._view(name) for name in parameters}
        self.statistics = {name: self._view(name) for name in statistics}

    def follow(self, found: Mapping[str, Any], share: float) -> None:
        """See `skadetect.nn.backends.base.Weights.follow`."""
        self._gather(found)
        given = [self._values, self._found, share, self._moved, self._size]
        self.context.walk(kernels.optimizer_recipe("follow"), given, self._size - self._moved)

    def step(
        self, gradients: Mapping[str, Any], move: Move, *, factor: float, clip: float, average: float
    ) -> float:
        """See `skadetect.nn.backends.base.Weights.step`."""
        self._gather(gradients)
        self._measure(1.0 / factor, clip)
        self._move(move)
        if average > 0.0:
            given = [self._values, self._average, self._control, average, 1.0 - average, self._size]
            self.context.walk(kernels.optimizer_recipe("average"), given, self._size)
        norm = float(self.context.download(self._control, CONTROL)[NORM])
        made = bool(np.isfinite(norm))
        self._done["first"] |= made
        self._done["second"] |= made and move.adam
        self._done["average"] |= made and average > 0.0
        return norm

    def arrays(self) -> dict[str, dict[str, Array]]:
        """See `skadetect.nn.backends.base.Weights.arrays`; moments that no step has made are left out."""
        parameters, statistics = self._names
        values = self._taken(self._values, self._size, (*parameters, *statistics))
        found = {
            "parameters": {name: values[name] for name in parameters},
            "state": {name: values[name] for name in statistics},
            "first": self._taken(self._first, self._moved, parameters) if self._done["first"] else {},
            "second": self._taken(self._second, self._moved, parameters) if self._done["second"] else {},
        }
        names = (*parameters, *statistics)
        found["average"] = self._taken(self._average, self._size, names) if self._done["average"] else {}
        return found

    def _laid(self, arrays: Arrays, start: int) -> int:
        """Give arrays their places, by name, so that sums over all are the same after a resume.

        Returns where the next one begins.
        """
        for name, array in sorted(arrays.items()):
            self._place[name] = (start, array.shape)
            start += -(-array.size // GRAIN) * GRAIN
        return start

    def _put(self, arrays: Arrays, size: int, kind: Any) -> Any:
        """Arrays in their places on the device, zeros between them."""
        flat = np.zeros(max(size, 1), kind)
        for name, array in arrays.items():
            start, _ = self._place[name]
            flat[start : start + array.size] = array.reshape(-1)
        return self.context.put(flat)

    def _taken(self, data: Any, size: int, names: Iterable[str]) -> dict[str, Array]:
        flat = self.context.download(data, size)
        places = {name: self._place[name] for name in names}
        return {
            name: flat[start : start + int(np.prod(shape))].reshape(shape).copy()
            for name, (start, shape) in places.items()
        }

    def _view(self, name: str) -> Tensor:
        """An array in its place as a tensor."""
        start, shape = self._place[name]
        block: Any = _Part(self._values[start : start + int(np.prod(shape))].view(np.uint8))
        return Tensor(shape, "fp32", block, self.context)

    def _gather(self, arrays: Mapping[str, Any]) -> None:
        """Copy arrays to their places."""
        for name, array in arrays.items():
            start, _ = self._place[name]
            tensor = self.context.parameter(array)
            target = self._found[start : start + tensor.size]
            target.copy_to_device(tensor.data, stream=self.context.stream)

    def _measure(self, factor: float, clip: float) -> None:
        """Leave in `control` what the other kernels want to know of the gradients."""
        (blocks,) = kernels.blocks_for(self._moved)
        blocks = min(blocks, MOST_SHARES)
        shares = self.context.empty((2 * blocks,), "fp32")
        sums: Any = None if shares.data is None else shares.data.view(np.float64)
        recipe = kernels.optimizer_recipe("square_sums")
        self.context.launch(recipe, (blocks,), [self._found, sums, self._moved])
        given = [sums, self._control, blocks, factor, clip]
        self.context.launch(kernels.optimizer_recipe("control"), (1,), given)

    def _move(self, move: Move) -> None:
        arrays = [self._values, self._found, self._first]
        numbers: list[float] = [move.kept, move.rate, move.first]
        if move.adam:
            recipe = kernels.optimizer_recipe("adamw")
            arrays.append(self._second)
            numbers += [move.second, move.spread, move.epsilon]
        else:
            recipe = kernels.optimizer_recipe("momentum", move.nesterov)
        given = [*arrays, self._control, *numbers, self._decayed, self._moved]
        self.context.walk(recipe, given, self._moved)


class _Part:
    """Memory within a larger piece, as tensors hold theirs."""

    def __init__(self, data: Any) -> None:
        self.data = data

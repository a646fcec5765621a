"""The threads of a block in plain Python, for the CUDA simulator; `emulation` has the instructions.

NVIDIA's simulator knows no warps. Here the lanes of a block are coroutines (greenlets) that run one at a time
until they meet: at a barrier, or at an instruction of a whole warp, which is then worked out for all its
lanes at once. Between two meetings lanes run in a shuffled order, so that a missing barrier shows as a wrong
number; copies in the background land only when they are waited for, and what is not written yet is NaN.
Accesses beyond the arrays that a kernel was given raise.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

WARP, GROUP = 32, 128
#: Every byte of what is not written yet.
POISON = 0xFF


class Lane:
    """One thread of the block that runs: where it is, what it waits for, what it copies in the background."""

    def __init__(self, block: Block, number: int, place: Any, run: Callable[[], None]) -> None:
        from greenlet import greenlet

        self.block, self.number, self.place = block, number, place
        self.coroutine = greenlet(lambda: self._run(run))
        self.meeting: tuple[str, Any] | None = None
        self.given: Any = None
        self.result: Any = None
        self.copies: list[list[tuple[int, int, int]]] = [[]]

    def _run(self, run: Callable[[], None]) -> None:
        with np.errstate(over="ignore"):  # whole numbers wrap, as they do on a device
            run()
        if any(self.copies):
            raise RuntimeError("a thread ended with copies under way")

    def meet(self, kind: str, given: Any = None, combine: Any = None) -> Any:
        """Wait for the warp, group or block; `combine` turns what all gave into what each gets."""
        self.meeting, self.given = (kind, combine), given
        self.coroutine.parent.switch()
        return self.result


class Block:
    """The block that runs: its shared memory, its lanes and the global arrays they may touch."""

    current: Block | None = None

    def __init__(self, index: Any, dims: tuple[Any, Any], shared: int) -> None:
        self.index, (self.grid, self.threads) = index, dims
        self.shared = np.full(shared + 16, POISON, np.uint8)
        offset = -self.shared.ctypes.data % 16
        self.shared = self.shared[offset : offset + shared]
        self.fixed: dict[Any, NDArray[Any]] = {}
        self.arrays: dict[int, NDArray[np.uint8]] = {}
        self.lane: Any = None

    def run(self, function: Callable[..., None], arguments: Sequence[Any], order: random.Random) -> None:
        """Run all lanes to their end."""
        count = self.threads.x * self.threads.y * self.threads.z
        lanes = [Lane(self, n, _thread(n, self.threads), lambda: function(*arguments)) for n in range(count)]
        Block.current = self
        alive = lanes
        while alive:
            order.shuffle(ready := [lane for lane in alive if lane.meeting is None])
            for lane in ready:
                self.lane = lane
                lane.coroutine.switch()
            alive = [lane for lane in alive if not lane.coroutine.dead]
            if alive and not self._release(alive):
                raise RuntimeError("the threads of a block wait for each other for ever")
        Block.current = None

    def _release(self, alive: Sequence[Lane]) -> bool:
        """Let those go on who are all there; whether there are any."""
        released = False
        for kind, size in (
            ("warp", WARP),
            ("group", GROUP),
            ("block", len(alive) + max(1, alive[-1].number)),
        ):
            for group in _groups(alive, size):
                if all(lane.meeting is not None and lane.meeting[0] == kind for lane in group):
                    _resolve(group)
                    released = True
        return released


def _groups(alive: Sequence[Lane], size: int) -> list[list[Lane]]:
    groups: dict[int, list[Lane]] = {}
    for lane in alive:
        groups.setdefault(lane.number // size, []).append(lane)
    return list(groups.values())


def _resolve(group: Sequence[Lane]) -> None:
    combine = group[0].meeting[1] if group[0].meeting else None
    results = [None] * len(group) if combine is None else combine([lane.given for lane in group])
    for lane, result in zip(group, results):
        lane.meeting, lane.result = None, result


def _thread(number: int, threads: Any) -> Any:
    x, rest = number % threads.x, number // threads.x
    return SimpleNamespace(x=np.int32(x), y=np.int32(rest % threads.y), z=np.int32(rest // threads.y))


def launch(
    function: Callable[..., None], grid: Sequence[int], threads: int, shared: int, arguments: Sequence[Any]
) -> None:
    """Run a kernel, block after block, on simulated device arrays, NumPy arrays and numbers."""
    dims = tuple(
        SimpleNamespace(**dict(zip("xyz", map(np.int32, (*size, 1, 1, 1)[:3]))))
        for size in (grid, (threads,))
    )
    given = [getattr(argument, "_ary", argument) for argument in arguments]
    order = random.Random(1)
    for index in np.ndindex(*map(int, (dims[0].z, dims[0].y, dims[0].x))):
        place = SimpleNamespace(z=np.int32(index[0]), y=np.int32(index[1]), x=np.int32(index[2]))
        Block(place, (dims[0], dims[1]), shared).run(function, given, order)


def block() -> Block:
    """The block that runs."""
    assert Block.current is not None, "no kernel runs"
    return Block.current


# What a kernel asks of `numba.cuda` -------------------------------------------------------------------------


class _Cuda:
    """Stands in for the module `numba.cuda` inside kernels."""

    threadIdx = property(lambda self: block().lane.place)
    blockIdx = property(lambda self: block().index)
    blockDim = property(lambda self: block().threads)
    gridDim = property(lambda self: block().grid)

    def __init__(self) -> None:
        self.local = SimpleNamespace(array=_local_array)
        self.shared = SimpleNamespace(array=_shared_array)
        self.atomic = SimpleNamespace(add=_atomic_add)

    def syncthreads(self) -> None:
        block().lane.meet("block")


def _local_array(size: int, kind: Any) -> NDArray[Any]:
    return np.full(size * np.dtype(kind).itemsize, POISON, np.uint8).view(kind)


def _shared_array(size: int, kind: Any) -> NDArray[Any]:
    if size == 0:
        return block().shared.view(kind)
    caller = sys._getframe(1)
    return block().fixed.setdefault((caller.f_code, caller.f_lineno), _local_array(size, kind))


def _atomic_add(array: Any, index: Any, value: Any) -> Any:
    before = array[index]
    array[index] = before + value
    return before


cuda = _Cuda()

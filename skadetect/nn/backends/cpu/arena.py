"""Memory for activations that is used again: fresh pages for every layer cost more than some layers do."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from skadetect.nn.backends.base import Array

#: Bytes that wait for their next use at most; smaller arrays are the allocator's own business.
LARGEST_REST = 128 << 20
SMALLEST = 1 << 18


class Arena:
    """Gives out arrays and takes their memory back when the last view of them is gone."""

    def __init__(self) -> None:
        self._free: list[Array] = []
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...]) -> Array:
        """A float32 array of any content."""
        size = int(np.prod(shape))
        if 4 * size < SMALLEST:
            return np.empty(shape, np.float32)
        return np.asarray(_Lease(self, self._take(size), shape))

    def give_back(self, memory: Array) -> None:
        """Keep memory for its next use, unless too much is kept already."""
        with self._lock:
            rest = sum(block.nbytes for block in self._free)
            if rest + memory.nbytes <= LARGEST_REST:
                self._free.append(memory)

    def _take(self, size: int) -> Array:
        with self._lock:
            fits = [n for n, block in enumerate(self._free) if size <= block.size <= 8 * size]
            if fits:
                return self._free.pop(min(fits, key=lambda n: self._free[n].size))
        return np.empty(size, np.float32)


class _Lease:
    """What an array's views all hold on to; its end returns the memory."""

    def __init__(self, arena: Arena, memory: Array, shape: tuple[int, ...]) -> None:
        self._arena, self._memory = arena, memory
        self.__array_interface__: dict[str, Any] = {
            "shape": shape,
            "typestr": "<f4",
            "data": (memory.ctypes.data, False),
            "version": 3,
        }

    def __del__(self) -> None:
        self._arena.give_back(self._memory)


empty = Arena().empty

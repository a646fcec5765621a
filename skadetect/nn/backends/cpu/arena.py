"""Memory for activations that is used again: fresh pages for every layer cost more than some layers do.

What is given out and what waits for its next use are never more together than was given out at one time: a
plan of what lives together holds for both.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from skadetect.nn.backends.base import Array

#: Bytes that wait for their next use at most; smaller arrays are the allocator's own business.
LARGEST_REST = 1 << 30
SMALLEST = 1 << 18


class Arena:
    """Gives out arrays and takes their memory back when the last view of them is gone."""

    def __init__(self) -> None:
        self._free: list[Array] = []
        self._out, self._most = 0, 0
        self._lock = threading.RLock()  # an array may end, and come back, while another is looked for

    def empty(self, shape: tuple[int, ...]) -> Array:
        """A float32 array of any content."""
        size = math.prod(shape)
        if 4 * size < SMALLEST:
            return np.empty(shape, np.float32)
        return np.asarray(_Lease(self, self._take(size), shape))

    def give_back(self, memory: Array) -> None:
        """Keep memory for its next use, unless too much is kept already."""
        with self._lock:
            self._out -= memory.nbytes
            if self.resting + memory.nbytes <= LARGEST_REST:
                self._free.append(memory)

    @property
    def resting(self) -> int:
        """Bytes that wait for their next use."""
        return sum(block.nbytes for block in self._free)

    def release(self) -> None:
        """Let go of what waits, and forget how much was out."""
        with self._lock:
            self._free.clear()
            self._most = self._out

    def _take(self, size: int) -> Array:
        with self._lock:
            fits = [n for n, block in enumerate(self._free) if size <= block.size <= 4 * size]
            found = self._free.pop(min(fits, key=lambda n: self._free[n].size)) if fits else None
            self._out += 4 * size if found is None else found.nbytes
            self._most = max(self._most, self._out)
            while self._free and self._out + self.resting > self._most:
                self._free.pop(0)  # what has waited longest
        return np.empty(size, np.float32) if found is None else found


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


_ARENA = Arena()
empty, release = _ARENA.empty, _ARENA.release

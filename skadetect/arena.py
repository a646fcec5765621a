"""Memory for large arrays that is used again: fresh pages for each of them cost more than some layers do.

Arrays are cut from regions, each as large as the array that it was made for; what ends leaves a hole, and
neighbouring holes are one. Regions together are hardly larger than what was given out at one time: a plan of
what lives together holds for them, too.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

#: Bytes that wait for their next use at most outside of a run.
LARGEST_REST = 1 << 30
#: Bytes from which on an array lies here; smaller ones are the allocator's own business.
SMALLEST = 1 << 18
#: Bytes of regions beside what was given out at one time: slabs that come and go while layers grow. They are
#: among the `skadetect.memory.FIXED_BYTES` that are planned for each tile.
SPARE = 16 << 20
#: Numbers that the place of an array is a multiple of: a page.
PAGE = 1024


class Arena:
    """Gives out arrays and takes their memory back when the last view of them is gone."""

    def __init__(self) -> None:
        self._regions: list[_Region] = []
        self._out, self._most, self._runs = 0, 0, 0
        self._lock = threading.RLock()  # an array may end, and come back, while another is looked for

    def empty(self, shape: tuple[int, ...]) -> Array:
        """A float32 array of any content."""
        size = math.prod(shape)
        if 4 * size < SMALLEST:
            return np.empty(shape, np.float32)
        return np.asarray(_Lease(self, *self._take(-(-size // PAGE) * PAGE), shape))

    def give_back(self, region: _Region, start: int, stop: int) -> None:
        """Keep memory for its next use, unless no run goes on and too much is kept already."""
        with self._lock:
            self._out -= 4 * (stop - start)
            region.join(start, stop)
            if not self._runs and region.idle and self.resting > LARGEST_REST:
                self._regions.remove(region)

    @contextmanager
    def run(self) -> Iterator[None]:
        """While what waits is wanted again and again, however much it is; at the end it is let go of."""
        with self._lock:
            self._runs += 1
        try:
            yield
        finally:
            with self._lock:
                self._runs -= 1
                if not self._runs:
                    self.release()

    @property
    def resting(self) -> int:
        """Bytes that wait for their next use."""
        return sum(region.nbytes for region in self._regions) - self._out

    def release(self) -> None:
        """Let go of what waits, and forget how much was out."""
        with self._lock:
            self._regions = [region for region in self._regions if not region.idle]
            self._most = self._out

    def _take(self, size: int) -> tuple[_Region, int, int]:
        with self._lock:
            holes = [
                (stop - start, n) for n, region in enumerate(self._regions) for start, stop in region.holes
            ]
            fitting = [hole for hole in holes if hole[0] >= size]
            if fitting:
                region = self._regions[min(fitting)[1]]
            else:
                region = _Region(size)
                self._regions.append(region)
            start = region.cut(size)
            self._out += 4 * size
            self._most = max(self._most, self._out)
            self._shrink()
        return region, start, start + size

    def _shrink(self) -> None:
        """Let go of regions that nothing lies in, the oldest first, while all are larger than need be."""
        idle = [region for region in self._regions if region.idle]
        while idle and self._out + self.resting > self._most + SPARE:
            self._regions.remove(idle.pop(0))


class _Region:
    """A piece of memory and the holes in it, as (start, stop) in numbers, rising.

    It is about an eighth larger than what it was made for, because the next tile is seldom quite as large;
    what was never given out has no pages and does not count.
    """

    def __init__(self, size: int) -> None:
        step = 1 << max(size.bit_length() - 4, 0)
        self.memory = np.empty((size // step + 1) * step, np.float32)
        self.holes = [(0, self.memory.size)]
        self.used = 0

    @property
    def nbytes(self) -> int:
        """Bytes up to the end of what was given out."""
        return 4 * self.used

    @property
    def idle(self) -> bool:
        """Whether nothing lies in it."""
        return self.holes == [(0, self.memory.size)]

    def hole(self, size: int) -> float:
        """Size of the smallest hole for so many numbers, infinite if there is none."""
        return min((stop - start for start, stop in self.holes if stop - start >= size), default=math.inf)

    def cut(self, size: int) -> int:
        """Take the place of an array from the smallest hole that it fits into."""
        least = self.hole(size)
        index, (start, stop) = next((n, h) for n, h in enumerate(self.holes) if h[1] - h[0] == least)
        self.holes[index : index + 1] = [(start + size, stop)] if stop - start > size else []
        self.used = max(self.used, start + size)
        return start

    def join(self, start: int, stop: int) -> None:
        """Make a place a hole again, one with those beside it."""
        joined: list[tuple[int, int]] = []
        for hole in sorted([*self.holes, (start, stop)]):
            if joined and joined[-1][1] == hole[0]:
                joined[-1] = (joined[-1][0], hole[1])
            else:
                joined.append(hole)
        self.holes = joined


class _Lease:
    """What an array's views all hold on to; its end returns the memory."""

    def __init__(self, arena: Arena, region: _Region, start: int, stop: int, shape: tuple[int, ...]) -> None:
        self._arena, self._place = arena, (region, start, stop)
        self.__array_interface__: dict[str, Any] = {
            "shape": shape,
            "typestr": "<f4",
            "data": (region.memory.ctypes.data + 4 * start, False),
            "version": 3,
        }

    def __del__(self) -> None:
        self._arena.give_back(*self._place)


_ARENA = Arena()
empty, run, release = _ARENA.empty, _ARENA.run, _ARENA.release

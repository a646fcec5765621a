"""One device as the operations see it: memory, copies, launches, and what is kept from call to call."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.errors import SkadetectError
from skadetect.nn.backends.cuda import kernels, loss_ops
from skadetect.nn.backends.cuda.device import SIMULATED, host
from skadetect.nn.backends.cuda.kernels import Recipe, blocks_for
from skadetect.nn.backends.cuda.tensor import Pool, Streams, Tensor, decode, encode, integers, kind_of
from skadetect.nn.backends.cuda.tiles import element_bytes

#: Kernels count numbers in 32 bits.
MOST_NUMBERS = 2**31 - 1
#: Rows that a selection has room for at first; if there are more it runs again.
ROOM = 1 << 16
#: Devices whose tensor cores have wgmma.
WIDE_MAJOR = 9


class Context:
    """A device and a precision.

    Parameters
    ----------
    index : int
        Of the device.
    precision : str
        One of `tiles.PRECISIONS`.
    """

    def __init__(self, index: int, precision: str) -> None:
        self.index, self.precision, self.kind = index, precision, kind_of(precision)
        self._streams = Streams()
        self._kept: dict[Any, Any] = {}
        self._lock = threading.RLock()
        if not SIMULATED:
            _quiet()
        self.wide = not SIMULATED and self.capability[0] == WIDE_MAJOR

    @property
    def capability(self) -> tuple[int, int]:
        """Compute capability of the device."""
        return (8, 0) if SIMULATED else tuple(host.gpus[self.index].compute_capability)  # type: ignore[return-value]

    @property
    def stream(self) -> Any:
        """The stream of the thread that asks."""
        return self._mine().stream

    @property
    def pool(self) -> Pool:
        """The memory of the thread that asks."""
        pool: Pool = self._mine().pool
        return pool

    def launch(self, recipe: Recipe, grid: Sequence[int], arguments: Sequence[Any]) -> None:
        """Put a kernel on this thread's stream; tensors stand for their data."""
        mine = self._mine()
        if mine.rehearsal is not None:
            mine.rehearsal.append(recipe)
            return
        given = [value.data if isinstance(value, Tensor) else value for value in arguments]
        if mine.recording is not None:
            mine.recording.append((recipe, grid, given))
        if mine.recording is None or not SIMULATED:  # a stream that records does not run what it takes
            kernels.launch(recipe, grid, given, mine.stream)

    def walk(self, recipe: Recipe, arguments: Sequence[Any], count: int) -> None:
        """Launch a kernel that walks over `count` numbers."""
        if count:
            self.launch(recipe, blocks_for(count), arguments)

    def empty(self, shape: Sequence[int], kind: str | None = None) -> Tensor:
        """A tensor that holds anything."""
        kind = kind or self.kind
        size = int(np.prod(shape, dtype=np.int64))
        if size > MOST_NUMBERS:
            raise SkadetectError(
                f"an array of {size:.2e} numbers is too large for the GPU path: lower --tile"
            )
        mine = self._mine()
        block = None if mine.rehearsal is not None else mine.pool.take(size * element_bytes(kind))
        return Tensor(tuple(shape), kind, block, self)

    def integers(self, count: int) -> Any:
        """A flat device array of 32-bit integers, as long as its tensor is held."""
        return self.empty((count,), "fp32")

    def upload(self, values: NDArray[Any], kind: str | None = None) -> Tensor:
        """Copy an array to the device; NumPy's memory may be used again when this returns."""
        tensor = self.empty(values.shape, kind)
        if tensor.data is None:
            return tensor
        stored = encode(values, tensor.kind)
        if stored.size:
            self._copy_in(stored, tensor.data)
        return tensor

    def send(self, values: NDArray[np.float32], data: Any) -> None:
        """Copy numbers into a device array, as `upload` does into one of its own."""
        self._copy_in(np.ascontiguousarray(values), data)

    def to_host(self, tensor: Tensor) -> NDArray[np.float32]:
        """Copy a tensor to the host as float32."""
        return decode(self.download(tensor.data, tensor.size), tensor.kind).reshape(tensor.shape)

    def download(self, data: Any, count: int) -> NDArray[Any]:
        """The first numbers of device data, once all before them on the stream is done."""
        if not count:
            return np.empty(0, data.dtype)
        target = np.empty(count, data.dtype)
        data[:count].copy_to_host(target, stream=self.stream)
        self.synchronize()
        return target

    def synchronize(self) -> None:
        """Wait for this thread's stream."""
        self.stream.synchronize()

    def as_kind(self, tensor: Tensor, kind: str | None = None) -> Tensor:
        """The same numbers, stored as the context stores them or as asked."""
        kind = kind or self.kind
        if tensor.kind == kind:
            return tensor
        target = self.empty(tensor.shape, kind)
        self.walk(kernels.cast_recipe(tensor.kind, kind), [tensor, target, 1.0, tensor.size], tensor.size)
        return target

    def parameter(self, values: Any, *, length: int = 0) -> Tensor:
        """A parameter in float32, padded with zeros; kept on the device if it cannot change."""
        if isinstance(values, Tensor) and values.size >= length:
            return self.as_kind(values, "fp32")
        return self.kept(values, ("parameter", length), lambda: self._padded(values, length))

    def constant(self, key: Any, make: Callable[[], NDArray[Any]]) -> Any:
        """A small device array that depends on its key only, kept for good."""
        if self._mine().rehearsal is not None:
            return None
        with self._lock:
            if key not in self._kept:
                values = make()
                self._kept[key] = self.put(values if values.size else np.zeros(1, values.dtype))
            return self._kept[key]

    def put(self, values: NDArray[Any]) -> Any:
        """A device array of its own, of the same type."""
        data = host.to_device(values, stream=self.stream)
        self.synchronize()
        return data

    def integers_of(self, numbers: tuple[int, ...]) -> Any:
        """A constant of 32-bit integers."""
        return self.constant(("integers", numbers), lambda: np.array(numbers, np.int32))

    def kept(self, owner: Any, key: Any, make: Callable[[], Any]) -> Any:
        """What is made of an array: once, if the array is read-only, for as long as that lives."""
        if not isinstance(owner, np.ndarray) or owner.flags.writeable or self._mine().rehearsal is not None:
            return make()
        name = (id(owner), key)
        with self._lock:
            if name not in self._kept:
                made = make()
                self.synchronize()  # other threads' streams may use it
                self._kept[name] = made
                weakref.finalize(owner, self._kept.pop, name, None)
            return self._kept[name]

    @contextmanager
    def memory(self, pool: Pool) -> Iterator[None]:
        """Let this thread take its memory from another pool."""
        mine = self._mine()
        before, mine.pool = mine.pool, pool
        try:
            yield
        finally:
            mine.pool = before

    def record(self, launches: list[Any] | None) -> None:
        """Note the launches of this thread in a list; None ends that."""
        self._mine().recording = launches

    @property
    def recordings(self) -> dict[Any, Any]:
        """What `replay` keeps of this thread."""
        mine = self._mine()
        mine.recordings = {} if mine.recordings is None else mine.recordings
        recordings: dict[Any, Any] = mine.recordings
        return recordings

    @property
    def rehearsing(self) -> bool:
        """Whether this thread only asks which kernels it would launch."""
        return self._mine().rehearsal is not None

    def rehearse(self, run: Callable[[], Any]) -> list[Recipe]:
        """The kernels that `run` would launch; nothing is computed or allocated."""
        mine = self._mine()
        launched: list[Recipe] = []
        mine.rehearsal = launched
        try:
            run()
        finally:
            mine.rehearsal = None
        return list(dict.fromkeys(launched))

    def select(
        self, outputs: Tensor, limits: NDArray[np.float64], *, width: int, place: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See `Tensor.select`."""
        count = outputs.size // width
        room, total = min(ROOM, count), count
        given = self.upload(_not_above(limits), "fp32")
        while total:
            found, index = self.upload(np.zeros(1, np.float32), "fp32"), self.empty((2 * room,), "fp32")
            longs: Any = integers(index).view(np.int64)
            rows = self.empty((room, width), "fp32")
            arrays = [outputs, given, integers(found), longs, rows]
            recipe = kernels.select_recipe(outputs.kind)
            self.walk(recipe, [*arrays, len(limits), width, place, room, count], count)
            total = int(self.download(integers(found), 1)[0])
            if total <= room:
                break
            room = total
        if not total:
            return np.empty(0, np.int64), np.empty((0, width), np.float32)
        flat, numbers = self.download(longs, total), self.download(rows.data, total * width)
        order = np.argsort(flat)  # threads find room in any order
        return flat[order], numbers.reshape(total, width)[order]

    def box_loss(self, outputs: Tensor, task: Any, *, scale: float) -> tuple[Tensor, NDArray[np.float64]]:
        """See `Tensor.box_loss`."""
        return loss_ops.box_loss(self, outputs, task, scale=scale)

    def free_bytes(self) -> int:
        """Memory of the device that nothing holds."""
        if SIMULATED:
            return 1 << 30
        with host.gpus[self.index]:
            return int(host.current_context().get_memory_info().free)

    def _padded(self, values: Any, length: int) -> Tensor:
        flat = np.zeros(max(length, int(np.prod(values.shape))), np.float32)
        flat[: int(np.prod(values.shape))] = np.asarray(values, np.float32).reshape(-1)
        return self.upload(flat, "fp32")

    def _copy_in(self, stored: NDArray[Any], data: Any) -> None:
        """Through pinned memory, so that the copy runs beside other streams' work."""
        mine = self._mine()
        raw = stored.view(np.uint8)
        if mine.pinned is None or mine.pinned.size < raw.size:
            mine.pinned = host.pinned_array(raw.size, np.uint8)
        mine.stream.synchronize()  # the copy before this one may still read it
        staged = mine.pinned[: raw.size]
        staged[:] = raw
        data.view(np.uint8).copy_to_device(staged, stream=mine.stream)

    def _mine(self) -> Streams:
        mine = self._streams
        if mine.stream is None:
            if not SIMULATED:
                host.select_device(self.index)
            mine.stream, mine.pool = host.stream(), Pool()
        return mine


def _not_above(limits: NDArray[np.float64]) -> NDArray[np.float32]:
    """Limits in float32 that every float32 passes which passes the limits."""
    rounded = np.asarray(limits, np.float64).astype(np.float32)
    return np.where(rounded < limits, np.nextafter(rounded, np.float32(np.inf)), rounded).astype(np.float32)


def _quiet() -> None:
    """Numba warns of every grid that does not fill a device: most of ours that do not need not."""
    from numba.cuda.core import config

    config.CUDA_LOW_OCCUPANCY_WARNINGS = 0

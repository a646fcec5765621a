"""Arrays on a device, and the memory that they share, one after another."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.errors import SkadetectError
from skadetect.nn.backends.cuda.device import SIMULATED, host
from skadetect.nn.backends.cuda.tiles import element_bytes

#: Free blocks are handed out for requests of at least this share of their size.
LEAST_USE = 0.75
#: Blocks are multiples of this, bytes.
GRAIN = 512


class Block:
    """A piece of device memory that goes back to its pool when nothing holds it."""

    __slots__ = ("data", "pool")

    def __init__(self, data: Any, pool: Pool) -> None:
        self.data, self.pool = data, pool

    def __del__(self) -> None:
        self.pool.free.append(self.data)


class Pool:
    """Device memory of one stream: what is freed is used again in the stream's order, without waiting."""

    def __init__(self) -> None:
        self.free: list[Any] = []
        self.held = 0

    def take(self, size: int) -> Block:
        """A block of at least so many bytes.

        Raises
        ------
        SkadetectError
            If the device has no memory left.
        """
        fitting = [index for index, data in enumerate(self.free) if size <= data.size <= size / LEAST_USE]
        if fitting:
            best = min(fitting, key=lambda index: self.free[index].size)
            return Block(self.free.pop(best), self)
        return Block(self._new(-(-max(size, 1) // GRAIN) * GRAIN), self)

    def clear(self) -> None:
        """Give what is free back to the device."""
        self.held -= sum(data.size for data in self.free)
        self.free.clear()

    def _new(self, size: int) -> Any:
        for attempt in range(2):
            try:
                data = _allocate(size)
            except _memory_error() as error:
                if not (SIMULATED or "OUT_OF_MEMORY" in str(error)):
                    raise
                if attempt:
                    raise SkadetectError(
                        f"the GPU has no {size / 1e6:.0f} MB left: "
                        "lower --tile or --workers, or use --device cpu"
                    ) from None
                self.clear()
            else:
                self.held += size
                return data
        raise AssertionError("unreachable")


def _allocate(size: int) -> Any:
    return host.device_array(size, np.uint8)


def _memory_error() -> type[Exception]:
    """Numba's error of a device without memory, among others."""
    if SIMULATED:
        return MemoryError
    from numba.cuda.cudadrv.driver import CudaAPIError

    return CudaAPIError


class Tensor:
    """A C-contiguous array on a device.

    Attributes
    ----------
    shape : tuple of int
        As of the NumPy array that it stands for.
    kind : str
        How a number is stored: "fp16", "bf16" or "fp32".
    data : device array
        Flat; 16-bit numbers as unsigned integers.
    """

    __slots__ = ("_block", "context", "data", "kind", "shape")

    def __init__(self, shape: tuple[int, ...], kind: str, block: Block | None, context: Any) -> None:
        self.shape, self.kind, self._block, self.context = tuple(map(int, shape)), kind, block, context
        stored = np.uint16 if element_bytes(kind) == 2 else np.float32
        self.data = None if block is None else block.data[: self.nbytes].view(stored)

    @property
    def size(self) -> int:
        """Numbers in all."""
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        """Axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return self.size * element_bytes(self.kind)

    def reshape(self, *shape: int) -> Tensor:
        """The same numbers in another shape; one extent may be -1."""
        known = math.prod(n for n in shape if n != -1)
        return Tensor(
            tuple(self.size // known if n == -1 else n for n in shape), self.kind, self._block, self.context
        )

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        """Copy to the host, float32."""
        values = self.context.to_host(self)
        return values if dtype is None else values.astype(dtype)

    def select(
        self, limits: NDArray[np.float64], *, width: int, place: int
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rows of `width` numbers, one after another, whose number at `place` reaches its limit.

        Parameters
        ----------
        limits : ndarray, shape (n,)
            Of each of the n rows in the last axis.
        width, place : int
            Numbers of a row, and which of them counts.

        Returns
        -------
        index : ndarray, shape (found,), int64
            Flat index of each row found, rising.
        rows : ndarray, shape (found, width), float32
            Their numbers; nothing else is copied from the device.
        """
        found: tuple[NDArray[Any], NDArray[Any]] = self.context.select(self, limits, width=width, place=place)
        return found

    def box_loss(self, task: Any, *, scale: float) -> tuple[Tensor, NDArray[np.float64]]:
        """Loss of these raw outputs (batch, z, y, x, feature).

        Parameters
        ----------
        task : skadetect.box_loss.LossTask
            Targets and settings.
        scale : float
            Factor on the gradient.

        Returns
        -------
        gradient : Tensor
            As layers are stored.
        terms : ndarray
            Sums of the parts of the loss, then the number of matched boxes; nothing else leaves the device.
        """
        found: tuple[Tensor, NDArray[np.float64]] = self.context.box_loss(self, task, scale=scale)
        return found


def kind_of(precision: str) -> str:
    """How numbers are stored in a precision of computing."""
    return precision if element_bytes(precision) == 2 else "fp32"


def integers(tensor: Tensor) -> Any:
    """The data of a tensor that holds 32-bit integers."""
    return None if tensor.data is None else tensor.data.view(np.int32)


def encode(values: NDArray[Any], kind: str) -> NDArray[Any]:
    """Numbers as they are stored on a device, flat."""
    flat = np.ascontiguousarray(values, np.float32).reshape(-1)
    if kind == "fp16":
        with np.errstate(over="ignore"):
            return flat.astype(np.float16).view(np.uint16)
    if kind == "bf16":
        words = flat.view(np.uint32)
        return ((words + 0x7FFF + ((words >> 16) & 1)) >> 16).astype(np.uint16)
    return flat


def decode(stored: NDArray[Any], kind: str) -> NDArray[np.float32]:
    """Inverse of `encode`."""
    if kind == "fp16":
        return stored.view(np.float16).astype(np.float32)
    if kind == "bf16":
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored


class Streams(threading.local):
    """What each thread of the program has for itself: a stream, and the memory used in its order."""

    stream: Any = None
    pool: Any = None
    pinned: Any = None
    rehearsal: Any = None
    recording: Any = None
    recordings: Any = None

"""Plan memory before a run: how large tiles may be under a limit."""

from __future__ import annotations

import ctypes
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.errors import ConfigError
from skadetect.nn.model import Model
from skadetect.tiling import Corner

_MMAP_THRESHOLD = -3  # of mallopt(3)
UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}
#: Reading over owning at which a tile is large enough: beyond it activations only leave the cache.
GOOD_OVERHEAD = 1.15
#: The same on a GPU, to which small tiles give too little to do.
GPU_OVERHEAD = 1.05
#: Share of a GPU's free memory that is planned with: blocks that are used again fit their next use only
#: nearly.
GPU_USE = 0.7
#: Kernels count an array's numbers in 32 bits.
MOST_NUMBERS = 2**31
#: Bytes beyond which larger tiles only make progress coarse.
MOST_BYTES = 8 * 10**9
#: Resident memory of a process with the libraries loaded and kernels compiled, measured on Linux.
PROCESS_BYTES = 420 * 10**6
#: Buffers of the convolutions, maps of the file and slabs of background and noise, whatever the tile.
FIXED_BYTES = 20 * 10**6
#: Pixels and signal to noise of a tile, float32; background and noise of a plane are of the size of features.
PIXEL_BYTES = 8
#: With the network on a GPU: background and noise of a plane, signal to noise padded and on its way there.
STAGED_BYTES = 16


@dataclass(frozen=True)
class GpuRoom:
    """What a tile may take of a GPU.

    Attributes
    ----------
    free : float
        Bytes that a process may use there.
    number : int
        Bytes of a stored number.
    tiles : int
        Tiles that a process has under way at a time, on the GPU and in its own memory.
    """

    free: float
    number: int
    tiles: int


def return_freed_memory() -> bool:
    """Have freed arrays of a megabyte and more go back to the system at once; whether the C library can.

    glibc keeps up to 32 MB of each size in its heap, where what is still in use between them holds them back:
    a run would take a quarter more than is alive in it.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 1 << 20))
    except (AttributeError, OSError, TypeError):
        return False


def trim() -> bool:
    """Give back what is free in the heaps of all threads, for others to use; whether the C library can."""
    try:
        return ctypes.CDLL(None).malloc_trim(0) >= 0
    except (AttributeError, OSError, TypeError):
        return False


def parse_memory(text: str) -> int:
    """Bytes of a size such as ``"2GB"``, ``"512 MiB"`` or ``"1e9"``.

    Raises
    ------
    ConfigError
        If the text is no size.
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([KMGT]?i?B?)\s*", str(text), re.IGNORECASE)
    unit = match.group(2).upper() if match else ""
    unit = unit if unit.endswith("B") or not unit else unit + "B"
    if match is None or unit not in UNITS:
        raise ConfigError(f"memory size {text!r}, expected a number with a unit, such as 2GB or 512MB")
    try:
        return int(float(match.group(1)) * UNITS[unit])
    except ValueError as error:
        raise ConfigError(
            f"memory size {text!r}, expected a number with a unit, such as 2GB or 512MB"
        ) from error


@dataclass(frozen=True)
class Crew:
    """Who works on tiles: threads of this process, or processes beside it.

    Attributes
    ----------
    workers : int
        Tiles worked on at a time.
    processes : bool
        Each in a process of its own, if there are several.
    """

    workers: int = 1
    processes: bool = False

    @property
    def apart(self) -> bool:
        """Whether workers are processes, each with its own copy of what they need."""
        return self.processes and self.workers > 1

    @property
    def n_processes(self) -> int:
        """All of them, this one included."""
        return self.workers + 1 if self.apart else 1

    def share(self, max_memory: str, *, held: float = 0.0) -> float:
        """Bytes that each worker has for its tile; negative if the limit is too small for the libraries.

        Parameters
        ----------
        max_memory : str
            Limit for all processes together.
        held : float
            Bytes that each process of workers holds besides.
        """
        free = parse_memory(max_memory) - self.n_processes * PROCESS_BYTES
        return (free - (self.workers if self.apart else 1) * held) / self.workers


def choose_tile_shape(
    max_memory: str,
    crew: Crew,
    model: Model,
    image_shape: Corner,
    *,
    held: float = 0.0,
    beside: float = 0.0,
    gpu: GpuRoom | None = None,
) -> Corner:
    """Extents of the tiles that keep a run within its memory and read the least beside what they own.

    Parameters
    ----------
    max_memory : str
        Limit for all processes together.
    crew : Crew
        Who works on tiles at the same time.
    model : Model
        Its halo and layers set what a tile takes.
    image_shape : (z, y, x)
        Of the image; nothing is read beyond it.
    held : float
        Bytes that each process of workers holds besides.
    beside : float
        Bytes a pixel that a tile takes beside one pass of the network.
    gpu : GpuRoom, optional
        Where the network runs; a tile's layers are then there, and its input here.

    Returns
    -------
    (z, y, x)
        Of the region that a tile owns: multiples of the model's stride.

    Raises
    ------
    ConfigError
        If the limit is too small for any tile.
    """
    share = crew.share(max_memory, held=held)
    axes = [_splits(*axis) for axis in zip(image_shape, model.halo, model.stride, strict=True)]
    sides, reads, totals = (np.meshgrid(*parts, indexing="ij") for parts in zip(*axes, strict=True))
    pixels = np.prod(reads, axis=0)
    needed = (_bytes(pixels, model) if gpu is None else _input_bytes(pixels, gpu)) + beside * pixels
    overhead = np.prod(totals, axis=0) / np.prod(image_shape, dtype=np.float64)
    fits = needed <= min(share, MOST_BYTES)
    if gpu is not None:
        fits &= _fits_gpu(pixels, model, gpu)
    if gpu is not None and not _fits_gpu(pixels, model, gpu).any():
        raise ConfigError(
            f"the GPU has {gpu.free / 1e9:.1f} GB free for each worker, too little for any tile: "
            "lower --workers, or use --device cpu"
        )
    if not fits.any():
        least = parse_memory(max_memory) + crew.workers * (float(needed.min()) - share)
        raise ConfigError(
            f"max_memory {max_memory} is too little for {crew.workers} workers, "
            f"expected at least {math.ceil(least / 1e8) / 10:.1f}GB"
        )
    # Of the good ones the smallest, else the best; in doubt the smaller.
    rank = np.where(fits, np.maximum(overhead, GOOD_OVERHEAD if gpu is None else GPU_OVERHEAD), np.inf)
    best = np.lexsort((needed.ravel(), rank.ravel()))[0]
    z, y, x = (int(axis.ravel()[best]) for axis in sides)
    return z, y, x


def tile_bytes(read_shape: Corner, model: Model, *, beside: float = 0.0) -> int:
    """Bytes that one tile takes while the network runs.

    Parameters
    ----------
    read_shape : (z, y, x)
        Of the region that it reads.
    model : Model
        Its layers say how much lives together.
    beside : float
        As for `choose_tile_shape`.
    """
    pixels = np.prod(read_shape, dtype=np.float64)
    return int(_bytes(pixels, model) + beside * pixels)


def _bytes(pixels: Any, model: Model) -> Any:
    return FIXED_BYTES + pixels * (PIXEL_BYTES + 4 * _floats_a_pixel(model))


def _input_bytes(pixels: Any, gpu: GpuRoom) -> Any:
    """Bytes in this process of tiles whose features and layers are on a GPU."""
    return FIXED_BYTES + gpu.tiles * pixels * (PIXEL_BYTES + STAGED_BYTES)


def _fits_gpu(pixels: Any, model: Model, gpu: GpuRoom) -> Any:
    """Whether tiles fit into a GPU's memory, and their arrays into what its kernels count in."""
    numbers = pixels * _floats_a_pixel(model)
    signal = 4 * pixels
    held = gpu.tiles * (numbers * gpu.number + signal) / GPU_USE
    return (held <= gpu.free) & (numbers < MOST_NUMBERS)


def _floats_a_pixel(model: Model) -> float:
    """Most numbers an input pixel that are alive together in a forward pass; see `Network.forward`.

    Features that are made a slab at a time count as if they were whole: the arena keeps about as much.
    """
    layers = list(model.network.spec.walk())
    features = float(model.network.spec.input_features)
    cells, before, most = 1.0, features, features
    kept: dict[str, float] = {}
    for index, (layer, _, outputs) in enumerate(layers):
        if layer.spatial:
            cells /= math.prod(layer.stride)
        later = {each.source for each, _, _ in layers[index:]}
        kept = {name: size for name, size in kept.items() if name in later}
        here = cells * outputs
        # A layer's input lives until its output is there.
        most = max(most, sum(kept.values()) + before + here)
        kept_now = layer.name in later
        kept |= {layer.name: here} if kept_now else {}
        before = 0.0 if kept_now else here
    return most


def _splits(extent: int, halo: int, step: int) -> tuple[NDArray[np.int64], ...]:
    """Ways to share an axis among tiles: what each owns, the most that one reads, what all read together."""
    cells = -(-extent // step)
    sides = step * np.unique(-(-cells // np.arange(1, cells + 1)))
    most, total = np.empty_like(sides), np.empty_like(sides)
    for index, side in enumerate(sides):
        low = np.arange(0, extent, side)
        read = np.minimum(-(-(low + side + halo) // step), cells) - np.maximum(low - halo, 0) // step
        most[index], total[index] = step * read.max(), step * read.sum()
    return sides, most, total

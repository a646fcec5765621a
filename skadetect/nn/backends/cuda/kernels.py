"""Kernels by name and options: made, compiled for a device, kept on disk, launched.

A recipe says which factory makes a kernel and with what, so that tests can compile all of them where there is
no device, and a model's kernels can be compiled before its first tile.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.cuda import types

from skadetect._numba import sources_digest
from skadetect.errors import SkadetectError
from skadetect.nn.backends.cuda import (
    columns,
    convolution,
    elementwise,
    filter_gradient,
    inputs,
    loss,
    optimizer,
    pieces,
    pooling,
    selection,
)
from skadetect.nn.backends.cuda.device import SIMULATED, host, ops
from skadetect.nn.backends.cuda.tiles import Tile, element_bytes

#: Shared memory that a kernel has without asking for more.
PLAIN_SHARED = 48 * 1024
#: Blocks of kernels that walk over their numbers.
MOST_BLOCKS = 4096

_lock = threading.Lock()


@dataclass(frozen=True)
class Recipe:
    """How to make one kernel.

    Attributes
    ----------
    factory : callable
        Makes the kernel's Python function from `options`.
    options : tuple
        (name or None for a positional one, value) of its arguments.
    signature : tuple of numba types
        Of the kernel's arguments.
    threads, shared : int
        Of a block; shared memory in bytes.
    """

    factory: Callable[..., Any]
    options: tuple[tuple[str | None, Any], ...]
    signature: tuple[Any, ...]
    threads: int = elementwise.THREADS
    shared: int = 0

    @property
    def name(self) -> str:
        """For messages and the cache."""
        return f"{self.factory.__name__}{[value for _, value in self.options]}"

    def make(self) -> Any:
        """The kernel's Python function."""
        given = [value for name, value in self.options if name is None]
        return self.factory(*given, **{name: value for name, value in self.options if name is not None})


def launch(recipe: Recipe, grid: Sequence[int], arguments: Sequence[Any], stream: Any = 0) -> None:
    """Run a kernel, which is compiled if it has not been.

    Parameters
    ----------
    recipe : Recipe
        Of the kernel.
    grid : sequence of int
        Blocks along x, y, z.
    arguments : sequence
        Flat device arrays and numbers, in the order of the signature.
    stream : numba.cuda stream
        Where it is put.
    """
    given = [_as(kind, value) for kind, value in zip(recipe.signature, arguments, strict=True)]
    if SIMULATED:
        with _lock:
            ops.launch(_made(recipe), grid, recipe.threads, recipe.shared, given)
    else:
        compiled(recipe)[tuple(map(int, grid)), recipe.threads, stream, recipe.shared](*given)


def compiled(recipe: Recipe) -> Any:
    """The kernel, compiled for the current device (or loaded from the cache), ready to launch."""
    with _lock:
        return _compiled(recipe, host.get_current_device().id)


def blocks_for(count: int, threads: int = elementwise.THREADS) -> tuple[int]:
    """Grid of a kernel that walks over so many numbers."""
    return (max(1, min(MOST_BLOCKS, -(-count // threads))),)


@functools.cache
def _made(recipe: Recipe) -> Any:
    return recipe.make()


@functools.cache
def _compiled(recipe: Recipe, device: int) -> Any:
    from numba.cuda.cudadrv.error import CudaDriverError, NvvmError

    dispatcher = host.jit(lto=False, launch_bounds=(recipe.threads, 1))(_made(recipe))
    dispatcher.enable_caching()
    # Numba would know a kernel by its bytecode and a pickle of what it closes over, which differs at every
    # run.
    key = (recipe.name, sources_digest())
    dispatcher._cache._index_key = lambda signature, codegen: (signature, codegen.magic_tuple(), *key)
    try:
        kernel = dispatcher.compile(recipe.signature)
    except (CudaDriverError, NvvmError, ImportError, RuntimeError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise SkadetectError(
            f"the GPU kernel {recipe.factory.__name__} cannot be compiled ({said[0]}): "
            "check driver and toolkit, or use --device cpu"
        ) from error
    if recipe.shared > PLAIN_SHARED:
        _allow_shared(kernel, recipe.shared)
    return dispatcher


def _allow_shared(kernel: Any, size: int) -> None:
    """Let a kernel have more shared memory than 48 KB; Numba has no setter (NVIDIA/numba-cuda#94)."""
    from cuda.bindings import driver

    function = kernel._codelibrary.get_cufunc()
    attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    (error,) = driver.cuKernelSetAttribute(attribute, size, function.handle, function.device.id)
    if error != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"{size} bytes of shared memory refused: {error.name}")


def _as(kind: Any, value: Any) -> Any:
    """A number in the type that the kernel wants; arrays as they are."""
    if isinstance(kind, types.Array):
        return value
    return _NUMBERS[kind](value)


_NUMBERS = {
    types.int32: np.int32,
    types.int64: np.int64,
    types.uint64: np.uint64,
    types.float32: np.float32,
    types.float64: np.float64,
}


# Recipes: precisions are those of what is stored ------------------------------------------------------------

_INT, _LONG, _FLOAT = types.int32, types.int64, types.float32
_FLOATS, _INTS, _LONGS = types.float32[::1], types.int32[::1], types.int64[::1]


def _stored(precision: str) -> Any:
    return types.uint16[::1] if element_bytes(precision) == 2 else _FLOATS


def _positional(*values: Any) -> tuple[tuple[None, Any], ...]:
    return tuple((None, value) for value in values)


def convolution_recipe(
    tile: Tile, precision: str, *, whole: bool, output: str, scattered: bool = False
) -> Recipe:
    """See `convolution.make_convolution`."""
    options = (*_positional(tile, precision), ("whole", whole), ("output", output), ("scattered", scattered))
    kinds = convolution.signature(precision, output)
    return Recipe(convolution.make_convolution, options, kinds, tile.threads, tile.shared_bytes)


def filter_recipe(tile: Any, precision: str, *, whole_x: bool, whole_grad: bool) -> Recipe:
    """See `filter_gradient.make_filter_gradient`."""
    options = (*_positional(tile, precision), ("whole_x", whole_x), ("whole_grad", whole_grad))
    kinds, shared = filter_gradient.signature(precision), tile.stages * tile.stage_bytes(precision)
    return Recipe(filter_gradient.make_filter_gradient, options, kinds, tile.threads, shared)


def merge_filters_recipe() -> Recipe:
    """See `filter_gradient.make_merge_filters`."""
    kinds = (_FLOATS, _FLOATS, *(_INT,) * 5, _FLOAT)
    return Recipe(filter_gradient.make_merge_filters, (), kinds)


def cast_recipe(source: str, target: str) -> Recipe:
    """See `elementwise.make_cast`."""
    kinds = (_stored(source), _stored(target), _FLOAT, _LONG)
    return Recipe(elementwise.make_cast, _positional(source, target), kinds)


def pack_recipe(precision: str) -> Recipe:
    """See `elementwise.make_pack`."""
    kinds = (_FLOATS, _INTS, _stored(precision), _INT, _INT, _INT)
    return Recipe(elementwise.make_pack, _positional(precision), kinds)


def elementwise_recipe(name: str, precision: str) -> Recipe:
    """A kernel of `elementwise` by the name of its factory without ``make_``."""
    stored = _stored(precision)
    kinds: dict[str, tuple[Any, ...]] = {
        "add": (stored, stored, stored, _LONG),
        "affine": (stored, _FLOATS, _FLOATS, stored, _INT, _FLOAT, _LONG),
        "leaky": (stored, stored, _FLOAT, _LONG),
        "leaky_backward": (stored, stored, stored, _FLOAT, _LONG),
        "sigmoid": (stored, stored, _LONG),
        "sigmoid_backward": (stored, stored, stored, _LONG),
        "softmax": (stored, stored, _INT, _LONG),
        "softmax_backward": (stored, stored, stored, _INT, _LONG),
        "dropout": (stored, stored, types.uint64, types.uint64, _FLOAT, _LONG),
    }
    return Recipe(getattr(elementwise, f"make_{name}"), _positional(precision), kinds[name])


def select_recipe(precision: str) -> Recipe:
    """See `selection.make_select`."""
    kinds = (_stored(precision), _FLOATS, _INTS, types.int64[::1], _FLOATS, _INT, _INT, _INT, _LONG, _LONG)
    return Recipe(selection.make_select, _positional(precision), kinds)


def white_noise_recipe() -> Recipe:
    """See `pieces.make_white_noise`."""
    return Recipe(pieces.make_white_noise, (), (_LONGS, _FLOATS, _INT, _INT, _LONG))


def batch_recipe() -> Recipe:
    """See `pieces.make_batch`."""
    return Recipe(pieces.make_batch, (), (*(_FLOATS,) * 3, _LONGS, _FLOATS, _INT, _INT, _INT, _LONG))


def compositions_recipe() -> Recipe:
    """See `pieces.make_compositions`."""
    return Recipe(pieces.make_compositions, (), (*(_FLOATS,) * 3, _LONGS, _LONGS, _INT, _INT, _INT, _LONG))


def peaks_recipe() -> Recipe:
    """See `inputs.make_peaks`."""
    return Recipe(inputs.make_peaks, (), (_FLOATS, _FLOATS, _INTS, _FLOAT, _LONG))


def features_recipe(precision: str) -> Recipe:
    """See `inputs.make_features`."""
    kinds = (_FLOATS, _INTS, _FLOATS, _FLOATS, _stored(precision), _INT, _INT, _LONG, _LONG)
    return Recipe(inputs.make_features, _positional(precision), kinds)


def loss_recipe(name: str) -> Recipe:
    """A kernel of `loss` by the name of its factory without ``make_``."""
    flags, long, double = types.uint8[::1], types.int64[::1], types.float64[::1]
    rows, places, boxes = types.float64[:, ::1], types.int64[:, ::1], types.float64[:, :, ::1]
    truth = (boxes, types.float32[:, ::1], long, _FLOATS)
    settings = (long, double, double, double, rows, long, double, double)
    drawn = (double, flags, flags, types.uint64[::1])
    kinds: dict[str, tuple[Any, ...]] = {
        "predict": (_FLOATS, rows, rows, double, boxes, _INTS, _FLOATS, _LONG, _LONG),
        "ignore": (boxes, boxes, long, places, places, long, _INTS, types.float64, _LONG, _LONG, _LONG),
        "match": (
            *(boxes, boxes, flags, long, long, long, rows, double, *drawn, _INTS, _FLOATS, _INTS),
            *(_LONG, _LONG, _LONG, types.uint64, _LONG, _LONG),
        ),
        "near": (long, _INTS, _LONG, _LONG),
        "terms": (
            *(_FLOATS, _INTS, _FLOATS, rows, *truth, rows, double, *settings, _INTS, _FLOATS, double),
            *(types.float64, _LONG, _LONG, _LONG, _LONG, _LONG),
        ),
        "merge_terms": (double, _INTS, double, _INT),
    }
    return Recipe(getattr(loss, f"make_{name}"), (), kinds[name])


def optimizer_recipe(name: str, *options: Any) -> Recipe:
    """A kernel of `optimizer` by the name of its factory without ``make_``."""
    doubles, double = types.float64[::1], types.float64
    kinds: dict[str, tuple[Any, ...]] = {
        "square_sums": (_FLOATS, doubles, _LONG),
        "control": (doubles, doubles, _INT, double, double),
        "adamw": (*(_FLOATS,) * 4, doubles, *(_FLOAT,) * 6, _LONG, _LONG),
        "momentum": (*(_FLOATS,) * 3, doubles, *(_FLOAT,) * 3, _LONG, _LONG),
        "average": (_FLOATS, doubles, doubles, double, _FLOAT, _LONG),
        "follow": (_FLOATS, _FLOATS, _FLOAT, _LONG, _LONG),
    }
    return Recipe(getattr(optimizer, f"make_{name}"), _positional(*options), kinds[name])


def pooling_recipe(name: str, precision: str, kind: str) -> Recipe:
    """A kernel of `pooling` by the name of its factory without ``make_``."""
    stored = _stored(precision)
    kinds: dict[str, tuple[Any, ...]] = {
        "pool": (stored, stored, _INTS, _INTS, _LONG),
        "pool_backward": (stored, _INTS, stored, _INTS, _LONG),
        "global_pool": (stored, stored, _INTS, _INT, _LONG, _LONG),
        "global_pool_backward": (stored, _INTS, stored, _INT, _LONG, _LONG),
    }
    return Recipe(getattr(pooling, f"make_{name}"), _positional(precision, kind), kinds[name])


def column_recipe(name: str, precision: str = "fp32", **options: Any) -> Recipe:
    """A kernel of `columns` by the name of its factory without ``make_``."""
    stored, five = _stored(precision), (_FLOATS,) * 5
    kinds: dict[str, tuple[Any, ...]] = {
        "moments": (stored, _FLOATS, _INT, _LONG),
        "merge_moments": (_FLOATS, _FLOATS, _FLOATS, _INT, _INT),
        "column_sums": (stored, stored, *five, _INT, _LONG, _FLOAT),
        "merge_sums": (_FLOATS, _FLOATS, _FLOATS, _FLOAT, _INT, _INT),
        "norm_factors": (*five, _FLOATS, _FLOATS, _FLOAT, _INT),
        "normalise": (stored, _FLOATS, _FLOATS, _FLOATS, stored, _INT, _FLOAT, _LONG),
        "norm_backward": (stored, stored, *five, _FLOATS, stored, _INT, _FLOAT, _LONG),
    }
    bare = name in ("merge_moments", "merge_sums", "norm_factors")
    given = () if bare else (*_positional(precision), *options.items())
    threads = columns.THREADS if name in ("moments", "column_sums") else elementwise.THREADS
    return Recipe(getattr(columns, f"make_{name}"), given, kinds[name], threads)

"""The instructions of `ptx` in plain Python, under the same names, for the threads of `simulator`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.nn.backends.cuda.simulator import POISON, WARP, block, cuda, launch

# Memory -----------------------------------------------------------------------------------------------------


def address(array: Any) -> np.uint64:
    """Of the first element; from now on the block may touch the array."""
    block().arrays[array.ctypes.data] = array.reshape(-1).view(np.uint8)
    return np.uint64(array.ctypes.data)


def shared_address(array: Any) -> np.uint32:
    """Addresses in shared memory count from the start of the block's."""
    assert array.ctypes.data == block().shared.ctypes.data
    return np.uint32(0)


def _global(place: Any, size: int) -> NDArray[np.uint8]:
    for start, data in block().arrays.items():
        offset = int(place) - start
        if offset >= 0 and offset + size <= data.size:
            if int(place) % size:
                raise IndexError(f"access of {size} bytes is not aligned")
            return data[offset : offset + size]
    raise IndexError(f"access of {size} bytes beyond every array that the kernel was given")


def _shared(place: Any, size: int) -> NDArray[np.uint8]:
    shared = block().shared
    if int(place) % size or not 0 <= int(place) <= shared.size - size:
        raise IndexError(f"access of {size} bytes at {int(place)} of {shared.size} in shared memory")
    return shared[int(place) : int(place) + size]


def copy_async(target: Any, source: Any, size: Any) -> None:
    """Note a copy; what is there until it lands is no number."""
    if int(source) % 16 or int(size) not in (0, 16):
        raise IndexError("a copy in the background is not aligned")
    _shared(target, 16)[:] = POISON
    block().lane.copies[-1].append((int(target), int(source), int(size)))


def commit_copies() -> None:
    """End a group of copies."""
    block().lane.copies.append([])


def _wait(left: int) -> None:
    copies = block().lane.copies
    while len(copies) - 1 > left:
        for target, source, size in copies.pop(0):
            _shared(target, 16)[:] = _global(source, 16) if size else 0


WAIT = {count: (lambda left=count: _wait(left)) for count in range(4)}


def sync_warp() -> None:
    """Meet the warp."""
    block().lane.meet("warp")


def fence_shared() -> None:
    """Nothing to do: there is one way to memory here."""


def load_words(place: Any) -> tuple[Any, ...]:
    """Four words of global memory."""
    return tuple(_global(place, 16).view(np.uint32))


def store_words(place: Any, *words: Any) -> None:
    """Four words to global memory."""
    _global(place, 16).view(np.uint32)[:] = words


def load_word(place: Any) -> Any:
    """One word of global memory."""
    return _global(place, 4).view(np.uint32)[0]


def store_word(place: Any, word: Any) -> None:
    """One word to global memory."""
    _global(place, 4).view(np.uint32)[0] = word


def load_half(place: Any) -> Any:
    """Sixteen bits of global memory."""
    return np.uint32(_global(place, 2).view(np.uint16)[0])


def store_half(place: Any, word: Any) -> None:
    """Sixteen bits to global memory."""
    _global(place, 2).view(np.uint16)[0] = word


load_const_words, load_const_word, load_const_half = load_words, load_word, load_half


def load_shared_floats(place: Any) -> tuple[Any, ...]:
    """Four floats of shared memory."""
    return tuple(_shared(place, 16).view(np.float32))


def load_shared_float(place: Any) -> Any:
    """One float of shared memory."""
    return _shared(place, 4).view(np.float32)[0]


def store_shared_pair(place: Any, a: Any, b: Any) -> None:
    """Two floats to shared memory."""
    _shared(place, 8).view(np.float32)[:] = (a, b)


def store_shared_words(place: Any, *words: Any) -> None:
    """Four words to shared memory."""
    _shared(place, 16).view(np.uint32)[:] = words


# Tensor cores: lane 4 g + q holds row g (and g + 8) and columns of q ----------------------------------------


def load_matrix(place: Any) -> tuple[Any, ...]:
    """ldmatrix: lane 8 m + r names row r of matrix m; lane 4 g + q gets word q of row g of each."""
    return block().lane.meet("warp", int(place), _matrices)


def _matrices(places: Sequence[int]) -> list[tuple[Any, ...]]:
    rows = np.array([_shared(place, 16).view(np.uint32) for place in places]).reshape(4, 8, 4)
    return [tuple(rows[:, lane // 4, lane % 4]) for lane in range(WARP)]


def load_matrix_transposed(place: Any) -> tuple[Any, ...]:
    """ldmatrix.trans: lane 4 g + q gets rows 2 q and 2 q + 1 of column g."""
    return block().lane.meet("warp", int(place), _transposed)


def _transposed(places: Sequence[int]) -> list[tuple[Any, ...]]:
    rows = np.array([_shared(place, 16).view(np.uint16) for place in places]).reshape(4, 8, 8)
    words = np.ascontiguousarray(rows.transpose(0, 2, 1)).view(np.uint32)  # matrix, column, pair of rows
    return [tuple(words[:, lane // 4, lane % 4]) for lane in range(WARP)]


def _mma(precision: str) -> Callable[..., tuple[Any, ...]]:
    def combine(given: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        words = np.array([values[:6] for values in given], np.uint32)
        a = _numbers(words[:, :4], precision).reshape(
            8, 4, 2, 2, -1
        )  # g, q, half of k, half of rows, element
        b = _numbers(words[:, 4:], precision).reshape(8, 4, 2, -1)
        left = a.transpose(3, 0, 2, 1, 4).reshape(16, -1)
        product = left @ b.transpose(2, 1, 3, 0).reshape(left.shape[1], 8)
        spread = product.reshape(2, 8, 4, 2).transpose(1, 2, 0, 3).reshape(WARP, 4)
        return [tuple(row) for row in spread + np.array([values[6:] for values in given], np.float32)]

    return lambda *values: block().lane.meet("warp", values, combine)


def _numbers(words: NDArray[np.uint32], precision: str) -> NDArray[np.float32]:
    """The numbers in words: two of 16 bits or one of 32, of which tf32 drops the last 13 bits."""
    words = np.ascontiguousarray(words)
    if precision == "fp16":
        return words.view(np.float16).astype(np.float32)
    if precision == "bf16":
        return (words.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)
    return (words & np.uint32(0xFFFFE000)).view(np.float32)


mma_fp16, mma_bf16, mma_tf32 = _mma("fp16"), _mma("bf16"), _mma("tf32")
MMA = {"fp16": mma_fp16, "bf16": mma_bf16, "tf32": mma_tf32}


def make_wgmma(columns: int, precision: str) -> Callable[[Any, Any, Any], None]:
    """See `ptx.make_wgmma`."""

    def combine(given: Sequence[tuple[Any, Any, Any]]) -> list[None]:
        a, b = _tile(given[0][1], 64, precision), _tile(given[0][2], columns, precision)
        product = (a @ b.T).reshape(4, 2, 8, columns // 8, 4, 2)  # warp, half, g, block of columns, q, pair
        for lane, values in enumerate(given):
            warp, g, q = lane // WARP, lane % WARP // 4, lane % 4
            values[0][:] += product[warp, :, g, :, q].transpose(1, 0, 2).reshape(-1)
        return [None] * len(given)

    return lambda accumulators, a, b: block().lane.meet("group", (accumulators, a, b), combine)


def _tile(descriptor: Any, rows: int, precision: str) -> NDArray[np.float32]:
    """Rows of 128 bytes that a descriptor names; its swizzle moves 16-byte parts by the row, modulo eight."""
    start, jump = (int(descriptor) & 0x3FFF) << 4, ((int(descriptor) >> 32) & 0x3FFF) << 4
    if start % 1024 or int(descriptor) >> 62 != 1:
        raise IndexError("a tile is not aligned to 1024 bytes, or not swizzled by 128")
    parts = [
        _shared(start + row // 8 * jump + row % 8 * 128 + ((part ^ (row % 8)) << 4), 16)
        for row in range(rows)
        for part in range(8)
    ]
    return _numbers(np.concatenate(parts).view(np.uint32).reshape(rows, 32), precision).reshape(rows, -1)


# Numbers ----------------------------------------------------------------------------------------------------


def float_of_fp16(word: Any) -> Any:
    """The number in the low half of a word."""
    return np.float32(np.uint16(int(word) & 0xFFFF).view(np.float16))


def float_of_bf16(word: Any) -> Any:
    """The number in the low half of a word."""
    return np.uint32((int(word) & 0xFFFF) << 16).view(np.float32)


def fp16_of_float(value: Any) -> Any:
    """In the low half of a word, to nearest even; beyond the range infinity."""
    with np.errstate(over="ignore"):
        return np.uint32(np.float16(value).view(np.uint16))


def bf16_of_float(value: Any) -> Any:
    """In the low half of a word, to nearest even."""
    word = int(np.float32(value).view(np.uint32))
    if np.isnan(value):
        return np.uint32(0x7FFF)
    return np.uint32((word + 0x7FFF + ((word >> 16) & 1)) >> 16)


def fp16_pair(a: Any, b: Any) -> Any:
    """Two numbers in one word, the first in the low half."""
    return fp16_of_float(a) | (fp16_of_float(b) << np.uint32(16))


def bf16_pair(a: Any, b: Any) -> Any:
    """Two numbers in one word, the first in the low half."""
    return bf16_of_float(a) | (bf16_of_float(b) << np.uint32(16))


def round_tf32(value: Any) -> Any:
    """To the nearest of 10 bits of mantissa, ties away from zero."""
    word = int(np.float32(value).view(np.uint32))
    return np.uint32((word + 0x1000) & 0xFFFFE000)


def divide(a: Any, b: Any) -> Any:
    """Whole quotient."""
    return np.uint32(int(a) // int(b))


def float_of_word(word: Any) -> Any:
    """The same bits."""
    return np.uint32(word).view(np.float32)


def word_of_float(value: Any) -> Any:
    """The same bits."""
    return np.float32(value).view(np.uint32)


__all__ = ["WARP", "cuda", "launch"]

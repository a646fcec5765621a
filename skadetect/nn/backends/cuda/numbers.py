"""Stored numbers inside kernels: 16-bit ones are words of unsigned integers, computed with in float32."""

from __future__ import annotations

from typing import Any

from skadetect.nn.backends.cuda.device import float32, inlined, ops, uint32, uint64
from skadetect.nn.backends.cuda.tiles import element_bytes


def reader(precision: str) -> Any:
    """Device function: the number at an index of an array that starts at an address, as float32."""
    if element_bytes(precision) == 4:

        def read(start: Any, index: Any) -> Any:
            return ops.float_of_word(ops.load_word(start + uint64(index) * uint64(4)))

        return inlined(read)
    unpack = ops.float_of_fp16 if precision == "fp16" else ops.float_of_bf16

    def read_half(start: Any, index: Any) -> Any:
        return unpack(ops.load_half(start + uint64(index) * uint64(2)))

    return inlined(read_half)


def writer(precision: str) -> Any:
    """Device function: store a float32 at an index of an array that starts at an address."""
    if element_bytes(precision) == 4:

        def write(start: Any, index: Any, value: Any) -> None:
            ops.store_word(start + uint64(index) * uint64(4), ops.word_of_float(float32(value)))

        return inlined(write)
    pack = ops.fp16_of_float if precision == "fp16" else ops.bf16_of_float

    def write_half(start: Any, index: Any, value: Any) -> None:
        ops.store_half(start + uint64(index) * uint64(2), pack(float32(value)))

    return inlined(write_half)


def eight_reader(precision: str) -> Any:
    """Device function: read eight numbers from an aligned place and add them to a local array."""
    if element_bytes(precision) == 4:

        def add_eight(start: Any, index: Any, values: Any) -> None:
            for half in range(2):
                words = ops.load_words(start + uint64(index + 4 * half) * uint64(4))
                for e in range(4):
                    values[4 * half + e] += ops.float_of_word(words[e])

        return inlined(add_eight)
    unpack = ops.float_of_fp16 if precision == "fp16" else ops.float_of_bf16

    def add_eight_halves(start: Any, index: Any, values: Any) -> None:
        words = ops.load_words(start + uint64(index) * uint64(2))
        for e in range(4):
            values[2 * e] += unpack(words[e] & uint32(0xFFFF))
            values[2 * e + 1] += unpack(words[e] >> uint32(16))

    return inlined(add_eight_halves)


def eight_writer(precision: str) -> Any:
    """Device function: store eight numbers of a local array at an aligned place."""
    if element_bytes(precision) == 4:

        def write_eight(start: Any, index: Any, values: Any) -> None:
            for half in range(2):
                ops.store_words(
                    start + uint64(index + 4 * half) * uint64(4),
                    ops.word_of_float(values[4 * half]),
                    ops.word_of_float(values[4 * half + 1]),
                    ops.word_of_float(values[4 * half + 2]),
                    ops.word_of_float(values[4 * half + 3]),
                )

        return inlined(write_eight)
    pair = ops.fp16_pair if precision == "fp16" else ops.bf16_pair

    def write_eight_halves(start: Any, index: Any, values: Any) -> None:
        ops.store_words(
            start + uint64(index) * uint64(2),
            pair(values[0], values[1]),
            pair(values[2], values[3]),
            pair(values[4], values[5]),
            pair(values[6], values[7]),
        )

    return inlined(write_eight_halves)

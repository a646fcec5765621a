"""Random words that follow from a seed and an index alone: SplitMix64 (doi:10.1145/2660193.2660195)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, the generator's step
MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))  # shifts and factors
WORD = 0xFFFFFFFFFFFFFFFF


def words(count: int, seed: int) -> NDArray[np.uint64]:
    """The first words of the generator (Steele, Lea & Flood 2014), started at the mixed seed.

    Near seeds so give unrelated words.
    """
    index = np.arange(1, count + 1, dtype=np.uint64)
    return mixed(index * np.uint64(GOLDEN) + mixed(np.array([seed & WORD], np.uint64)))


def mixed(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function."""
    for shift, factor in MIX:
        word = (word ^ (word >> np.uint64(shift))) * np.uint64(factor)
    return word ^ (word >> np.uint64(31))


def mixed_seed(seed: int) -> int:
    """Where the words start that follow from a seed."""
    return int(mixed(np.array([seed & WORD], np.uint64))[0])

"""SplitMix64 gives the published words, and seeds give unrelated ones."""

import numpy as np
import pytest

from skadetect.nn.backends.splitmix import GOLDEN, mixed, mixed_seed, words

# Of the generator's reference program, started at 1234567.
PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]


def test_the_output_function_gives_the_published_words():
    state = np.arange(1, 6, dtype=np.uint64) * np.uint64(GOLDEN) + np.uint64(1234567)
    assert mixed(state).tolist() == PUBLISHED


def test_words_are_the_generators_from_the_mixed_seed():
    first = (mixed_seed(7) + GOLDEN) % 2**64
    assert words(3, 7)[0] == mixed(np.array([first], np.uint64))[0]
    np.testing.assert_array_equal(words(3, 7), words(10, 7)[:3])


@pytest.mark.parametrize("seed", [0, -1, 2**64 - 1, 2**70 + 3])
def test_any_whole_number_is_a_seed(seed):
    np.testing.assert_array_equal(words(5, seed), words(5, seed % 2**64))


def test_near_seeds_share_half_of_their_bits():
    one, two = words(4000, 1), words(4000, 2)
    differing = np.unpackbits((one ^ two).view(np.uint8)).mean()
    assert differing == pytest.approx(0.5, abs=0.005)
    assert len(np.unique(np.concatenate([one, two]))) == 8000

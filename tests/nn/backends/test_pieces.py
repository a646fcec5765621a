"""Samples that NumPy makes: white noise, noise through a kernel, cubes of galaxies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from skadetect.nn.backends.pieces import Composition, Piece, Stamp, batch, composed, white_noise


def test_white_noise_is_standard_normal():
    noise = white_noise((4, 200, 250), seed=7)
    size = noise.size
    assert noise.dtype == np.float32 and abs(noise.mean()) < 4 / np.sqrt(size)
    assert abs((noise**2).mean() - 1) < 4 * np.sqrt(2 / size)
    assert abs((noise**4).mean() - 3) < 4 * np.sqrt(96 / size)
    assert stats.kstest(noise.reshape(-1)[::10], "norm").pvalue > 0.01


@pytest.mark.parametrize(("shift", "seed"), [(0, 6), (1, 5), (2, 5), (64, 5), (1, 6)])
def test_white_noise_of_near_seeds_and_elements_is_unrelated(shift, seed):
    size = 40_000
    first, second = white_noise((size,), 5), white_noise((size + shift,), seed)[shift:]
    assert abs((first * second).mean()) < 4 / np.sqrt(size)


def test_noise_is_summed_with_the_kernel_round_the_edges_and_blanks_stay():
    pixels = np.zeros((1, 3, 4), np.float32)
    pixels[0, 0, 0] = 8.0
    kernel = np.array([[1.0, 2.0, 4.0]], np.float32)
    white = white_noise(pixels.shape, 9)
    made = batch([Piece(pixels, 0.5, kernel, 9)])
    assert made.shape == (1, 1, 3, 4) and np.count_nonzero(made) == 1
    expected = 4.0 + white[0, 0, 3] + 2.0 * white[0, 0, 0] + 4.0 * white[0, 0, 1]
    assert made[0, 0, 0, 0] == pytest.approx(expected, rel=1e-6)


def quiet(shape, **parts) -> Composition:
    """A cube of nothing but what is given."""
    none = {"curves": np.empty((0, shape[0])), "planes": np.empty((0, *shape[1:])), "stamps": ()}
    noise = {"kernel": np.ones((1, 1), np.float32), "seed": 3, "smooth": False}
    planes = {"gain": np.zeros(shape[0], np.float32), "level": np.zeros(shape[0], np.float32)}
    return Composition(**{"space": np.empty(shape, np.float32), **noise, **planes, **none, **parts})


def test_a_cube_is_the_sum_of_its_parts():
    curve, plane = np.array([[1.0, 2.0]], np.float32), np.array([[[1.0, 0.0, 5.0]]], np.float32)
    stamps = [Stamp(np.full((1, 1, 2), 3.0, np.float16), 2.0, (1, 0, 1))]
    made = composed(quiet((2, 1, 3), level=np.array([10.0, 20.0]), curves=curve, planes=plane, stamps=stamps))
    assert made.tolist() == [[[11.0, 10.0, 15.0]], [[22.0, 26.0, 36.0]]]


@pytest.mark.parametrize("smooth", [False, True])
def test_noise_of_a_cube_has_unit_rms_smoothed_or_not(smooth):
    made = composed(quiet((60, 30, 30), smooth=smooth, gain=np.ones(60, np.float32)))
    assert made.std() == pytest.approx(1.0, abs=0.03)
    assert (made[1:] * made[:-1]).mean() == pytest.approx(2 / 3 if smooth else 0.0, abs=0.03)


def test_a_view_of_its_space_is_that_part_of_a_cube():
    parts = quiet((3, 4, 5), gain=np.ones(3, np.float32))
    view = np.s_[::-1, 1:3, :1:-1]
    made = batch([Piece(parts.space[view], composition=parts)])[0]
    np.testing.assert_array_equal(made, composed(parts)[view])

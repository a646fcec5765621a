from __future__ import annotations

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.train.augment import (
    AugmentOptions,
    add_noise,
    augment,
    correlated_noise,
    flip_x,
    flip_y,
    rescale,
    transpose,
)
from tests.train.patches import assert_correlated_as, expected_moments, gaussian_patch, moments

QUIET = AugmentOptions(noise=0.0, flux=0.0)


def assert_consistent(patch):
    for found, wanted in zip(moments(patch), expected_moments(patch), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-2)


@pytest.mark.parametrize("change", [lambda p: p, flip_x, flip_y, transpose, lambda p: rescale(p, 1.7)])
def test_pixels_beam_and_source_change_together(change):
    assert_consistent(change(gaussian_patch()))


def test_every_draw_is_consistent_and_all_eight_orientations_occur():
    seen = set()
    for seed in range(60):
        patch = augment(gaussian_patch(), np.random.default_rng(seed), QUIET)
        assert_consistent(patch)
        seen.add(tuple(patch.sources.position[0].round(3)))
    assert len(seen) == 8


@pytest.mark.parametrize("change", [flip_x, flip_y, transpose])
def test_twice_is_nothing(change):
    patch = gaussian_patch()
    again = change(change(patch))
    np.testing.assert_array_equal(again.snr, patch.snr)
    np.testing.assert_allclose(again.sources.position, patch.sources.position)
    np.testing.assert_allclose(np.cos(2 * (again.sources.theta - patch.sources.theta)), 1.0)
    assert np.cos(2 * (again.beam.theta - patch.beam.theta)) == pytest.approx(1.0)


def test_an_oblong_patch_is_not_transposed():
    patch = augment(gaussian_patch(shape=(36, 44)), np.random.default_rng(1), QUIET)
    assert patch.snr.shape == (1, 36, 44)


@pytest.mark.parametrize("beam", [PixelBeam(3.0, 3.0), PixelBeam(5.0, 2.5, 0.7)])
def test_noise_has_unit_rms_and_the_shape_of_the_beam(beam):
    noise = np.stack([correlated_noise((1, 128, 128), beam, np.random.default_rng(k))[0] for k in range(4)])
    assert noise.std() == pytest.approx(1.0, abs=0.03)
    assert_correlated_as(noise, beam)


def test_added_noise_keeps_unit_rms_dims_sources_and_leaves_blanks():
    rng = np.random.default_rng(5)
    patch = gaussian_patch(shape=(128, 128), flux=0.0)
    patch.snr[:] = correlated_noise(patch.snr.shape, patch.beam, rng)
    patch.snr[0, :8] = 0.0
    patch = patch.__class__(patch.snr, patch.beam, patch.sources.with_(peak_snr=np.array([10.0])))
    noisy = add_noise(patch, rng, 0.75)
    assert noisy.snr[0, 8:].std() == pytest.approx(1.0, abs=0.05)
    assert not noisy.snr[0, :8].any()
    assert noisy.sources.peak_snr[0] == pytest.approx(8.0)


def test_same_random_numbers_give_the_same_patch():
    one, two = (augment(gaussian_patch(), np.random.default_rng(8), AugmentOptions()) for _ in range(2))
    np.testing.assert_array_equal(one.snr, two.snr)
    np.testing.assert_array_equal(one.sources.flux, two.sources.flux)

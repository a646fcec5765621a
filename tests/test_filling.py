"""Blank voxels become noise like that around them, the same in every window."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.filling import fill_blanks

SHAPE = (40, 60, 70)


def _filled(pixels: np.ndarray, low: tuple[int, int, int], beam: PixelBeam) -> np.ndarray:
    s = np.nan_to_num(pixels)
    fill_blanks(s, pixels, beam, low=low, high=SHAPE)
    return s


@pytest.mark.parametrize("fwhm", [0.7, 3.0, 5.0])
def test_the_noise_has_unit_rms_and_the_beams_correlation(fwhm: float) -> None:
    noise = _filled(np.full(SHAPE, np.nan, np.float32), (0, 0, 0), PixelBeam(fwhm, fwhm, 0.0))
    assert noise.std() == pytest.approx(1.0, rel=0.05)
    assert abs(noise.mean()) < 0.03
    assert np.abs(noise).max() < 6.0
    expected = np.exp(-2.0 * np.log(2.0) / fwhm**2)  # of a Gaussian beam at a distance of one pixel
    for axis in (1, 2):
        ahead, behind = (np.take(noise, range(k, SHAPE[axis] - 1 + k), axis) for k in (0, 1))
        assert (ahead * behind).mean() == pytest.approx(expected, abs=0.07)
    assert abs((noise[1:] * noise[:-1]).mean()) < 0.03


def test_a_voxel_is_the_same_in_every_window_and_known_ones_are_left_alone() -> None:
    rng, beam = np.random.default_rng(0), PixelBeam(3.0, 2.5, 0.3)
    pixels = rng.normal(size=SHAPE).astype(np.float32)
    pixels[:, 10:30, 20:50] = np.nan
    pixels[7] = np.nan
    whole = _filled(pixels, (0, 0, 0), beam)
    known = np.isfinite(pixels)
    np.testing.assert_array_equal(whole[known], pixels[known])
    assert (whole[~known] != 0).all()
    part = _filled(np.ascontiguousarray(pixels[5:20, 13:40, 30:]), (5, 13, 30), beam)
    # within three standard deviations of the beam from the window's edge the nearest known voxel is not seen
    np.testing.assert_allclose(part[:, 4:, 4:], whole[5:20, 17:40, 34:], atol=1e-5)


@pytest.mark.parametrize("fwhm", [2.5, 4.0])
def test_no_step_where_blanks_begin(fwhm: float) -> None:
    beam = PixelBeam(fwhm, fwhm, 0.0)
    noise = _filled(np.full(SHAPE, np.nan, np.float32), (0, 0, 0), beam)
    pixels = np.where(np.arange(SHAPE[2]) < 35, np.roll(noise, 7, axis=0), np.nan).astype(np.float32)
    s = _filled(pixels, (0, 0, 0), beam)
    steps = np.diff(s, axis=2).std(axis=(0, 1))
    assert steps[34] == pytest.approx(np.median(steps), rel=0.15)
    assert s[..., 35:].std() == pytest.approx(1.0, rel=0.05)


def test_beyond_the_cube_nothing_is_put() -> None:
    s = _filled(np.full((16, 16, 16), np.nan, np.float32), (32, 52, 62), PixelBeam(3.0, 3.0, 0.0))
    assert (s[:8, :8, :8] != 0).all()
    assert (s[8:] == 0).all() and (s[:, 8:] == 0).all() and (s[:, :, 8:] == 0).all()

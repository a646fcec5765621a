"""Noise, interference and continuum of simulated cubes."""

from dataclasses import replace

import numpy as np
import pytest

from skadetect.simulate.hi_continuum import Continuum
from skadetect.simulate.hi_observe import ChannelNoise, faint_response, interference, noise_level, sdc2_noise
from skadetect.simulate.hi_options import HiOptions, HiTelescope

QUIET = HiOptions(shape=(48, 64, 60), seed=3, rfi=0.0, frequency=1050.0)


def noise_of(options: HiOptions) -> tuple[ChannelNoise, HiTelescope]:
    telescope = HiTelescope.from_options(options)
    return ChannelNoise(telescope, options, noise_level(telescope, options)), telescope


def cube_of(options: HiOptions) -> np.ndarray:
    noise, telescope = noise_of(options)
    return np.stack([noise.plane(z) for z in range(telescope.shape[0])])


def test_noise_has_sdc2s_rms_and_the_beams_correlation():
    noise = cube_of(QUIET)
    assert noise.std() == pytest.approx(28.3e-6, rel=0.01)
    unit = noise / noise.std()
    # white noise through a Gaussian beam of width sigma is correlated as exp(-r^2 / 4 sigma^2)
    sigma = 2.5 / 2.3548
    for lag in (1, 2, 3):
        expected = np.exp(-(lag**2) / (4 * sigma**2))
        assert (unit[:, :, lag:] * unit[:, :, :-lag]).mean() == pytest.approx(expected, abs=0.02)
        assert (unit[:, lag:] * unit[:, :-lag]).mean() == pytest.approx(expected, abs=0.02)
    assert (unit[1:] * unit[:-1]).mean() == pytest.approx(0.0, abs=0.01)


def test_sdc2_noise_at_the_edges_of_the_band():
    np.testing.assert_allclose(
        1e6 * sdc2_noise(np.array([950e6, 1050e6, 1150e6])), [26.6, 28.3, 30.1], atol=0.05
    )


def test_channels_come_out_the_same_in_any_order():
    noise, _ = noise_of(replace(QUIET, hanning=True))
    forward = [noise.plane(z) for z in range(5)]
    np.testing.assert_array_equal(noise.plane(2), forward[2])
    again, _ = noise_of(replace(QUIET, hanning=True))
    np.testing.assert_array_equal(again.plane(4), forward[4])


def test_velocity_axis_is_the_frequency_axis_turned_round():
    ascending, descending = cube_of(QUIET), cube_of(replace(QUIET, spectral_axis="velocity"))
    np.testing.assert_array_equal(descending, ascending[::-1])


def test_hanning_keeps_the_rms_and_correlates_neighbours():
    noise = cube_of(replace(QUIET, hanning=True))
    noise /= noise.std(axis=(1, 2), keepdims=True)
    for lag, expected in ((1, 2 / 3), (2, 1 / 6), (3, 0.0)):
        assert (noise[lag:] * noise[:-lag]).mean() == pytest.approx(expected, abs=0.02)
    assert cube_of(replace(QUIET, hanning=True)).std() == pytest.approx(28.3e-6, rel=0.02)


def test_elongated_beam_elongates_the_noise_along_its_position_angle():
    # position angle 0 is north: along y
    noise = cube_of(replace(QUIET, beam_major=14.0, beam_minor=7.0, beam_pa=0.0))
    along, across = (noise[:, 3:] * noise[:, :-3]).mean(), (noise[:, :, 3:] * noise[:, :, :-3]).mean()
    assert along > 3 * abs(across)


def test_interference_is_where_sdc2_had_it():
    megahertz = np.arange(950.0, 1150.0, 0.03)
    factor = interference(megahertz, HiOptions(seed=1))
    low, high = megahertz < 960, (megahertz >= 1080) & (megahertz < 1100)
    assert np.all(factor[~low & ~high] == 1)
    assert np.median(factor[low]) == pytest.approx(1.28, abs=0.12)
    assert 2 < factor[low].max() <= 12
    assert 1.1 < factor[high].max() <= 1.4
    assert np.all(interference(megahertz, HiOptions(rfi=0.0)) == 1)


def test_flagged_channel_loses_large_scales_and_keeps_small_ones():
    options = HiOptions(shape=(8, 128, 128), frequency=955.0, seed=2)
    telescope = HiTelescope.from_options(options)
    level = replace(noise_level(telescope, options), factor=np.full(8, 4.0), channel=np.zeros(8))
    noise = ChannelNoise(telescope, options, level)
    assert noise.flagged(0)
    x = np.arange(128)
    for cycles, least, most in ((1, 0.0, 0.2), (32, 0.99, 1.0)):
        wave = np.broadcast_to(np.sin(2 * np.pi * cycles * x / 128), (128, 128)).astype(np.float32)
        kept = np.abs(noise.flag(wave, 0)).max()
        assert least <= kept <= most + 1e-4


def test_noise_rises_across_the_field():
    noise = cube_of(replace(QUIET, noise_gradient=0.8))
    near, far = slice(0, 20), slice(-20, None)
    corners = [noise[:, rows, columns].std() for rows in (near, far) for columns in (near, far)]
    assert max(corners) > 1.8 * min(corners)


def test_faint_emission_is_dimmed_and_bright_emission_keeps_its_top():
    sky = np.array([[1.0, 3.0, 10.0]], np.float32)
    faint_response(sky, 1.0, 0.8)
    np.testing.assert_allclose(sky, [[0.8, 2.4, 9.4]], rtol=1e-6)


def test_continuum_residual_is_a_thousandth_and_coherent_over_its_bandwidth():
    options = replace(QUIET, shape=(64, 96, 96), continuum=30.0, absorption_rate=0.0, channel_width=1000.0)
    telescope = HiTelescope.from_options(options)
    continuum = Continuum(telescope, options, 28e-6)
    assert continuum.image.max() > 3e-3
    planes = np.zeros((64, 96, 96), np.float32)
    for z in range(64):
        continuum.add(planes[z], z)
    gain = planes[:, continuum.image > 1e-4] / continuum.image[continuum.image > 1e-4]
    assert gain.std() == pytest.approx(1e-3, rel=0.25)
    near, far = (gain[2:] * gain[:-2]).mean(), (gain[25:] * gain[:-25]).mean()
    assert near > 0.9 * gain.var()
    assert abs(far) < 0.5 * gain.var()


def test_absorption_is_a_hole_in_front_of_a_bright_source():
    options = replace(QUIET, continuum=30.0, gain_error=0.0, absorption_rate=2.0)
    telescope = HiTelescope.from_options(options)
    continuum = Continuum(telescope, options, 28e-6)
    assert continuum.lines
    line = max(continuum.lines, key=lambda each: each.depth * each.brightness)
    assert line.brightness > options.absorption_flux
    plane = np.zeros(telescope.shape[1:], np.float32)
    continuum.add(plane, int(np.clip(round(line.z), 0, telescope.shape[0] - 1)))
    assert plane[line.y, line.x] < 0
    assert plane.min() >= -1.5 * continuum.image.max()


def test_no_continuum_adds_nothing():
    options = replace(QUIET, continuum=0.0)
    plane = np.zeros((64, 60), np.float32)
    Continuum(HiTelescope.from_options(options), options, 28e-6).add(plane, 0)
    assert not plane.any()

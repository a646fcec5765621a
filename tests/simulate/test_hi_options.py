"""What the two settings give to options left open."""

import numpy as np
import pytest

from skadetect.errors import ConfigError
from skadetect.simulate.hi_options import HiOptions, HiTelescope


def test_sdc2_is_sdc2():
    telescope = HiTelescope.from_options(HiOptions(shape=(6667, 16, 16)))
    assert (telescope.pixel_scale, telescope.beam_major, telescope.beam_minor) == (2.8, 7.0, 7.0)
    assert telescope.beam.area == pytest.approx(7.08, abs=0.01)
    assert telescope.gain_scale == pytest.approx(59, abs=0.5)
    frequencies = telescope.frequencies
    np.testing.assert_allclose(np.diff(frequencies), 30e3)
    assert frequencies[0] == pytest.approx(950e6, abs=1e5)
    assert frequencies[-1] == pytest.approx(1150e6, abs=1e5)


@pytest.mark.parametrize("seed", range(20))
def test_cubes_lie_in_their_bands(seed):
    frequencies = HiTelescope.from_options(HiOptions(shape=(1024, 16, 16), seed=seed)).frequencies
    assert 950e6 <= frequencies[0] < frequencies[-1] <= 1150e6
    nearby = HiTelescope.from_options(HiOptions(shape=(384, 16, 16), seed=seed, setting="nearby"))
    velocity = 299792.458 * (1 - nearby.frequencies / 1420405752.0)
    assert velocity.min() >= 149
    assert velocity.max() < 12000
    assert 2.2 <= nearby.beam_minor / nearby.pixel_scale <= nearby.beam_major / nearby.pixel_scale < 6.6
    assert 4 <= 299792.458 * nearby.channel_width / 1420405752.0 <= 20
    assert nearby.ascending == (frequencies[0] < frequencies[-1] and nearby.spectral_axis == "frequency")


def test_given_values_win():
    options = HiOptions(
        setting="nearby", frequency=1400.0, beam_major=40.0, pixel_scale=10.0, channel_width=50.0
    )
    telescope = HiTelescope.from_options(options)
    assert (telescope.beam_major, telescope.beam_minor) == (40.0, 40.0)
    assert (telescope.frequency, telescope.channel_width) == (1400e6, 50e3)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"shape": (0, 64, 64)}, "shape"),
        ({"density": 0.0}, "density = 0.0: expected a positive number"),
        ({"noise_rms": -1.0}, "0 or more"),
        ({"setting": "sdc3"}, "expected one of sdc2, nearby"),
        ({"dec": 91.0}, "-90 to 90"),
        ({"beam_major": 3.0}, "beam_minor"),
        ({"frequency": 1600.0}, "MHz"),
        ({"noise_gradient": 1.0}, "noise_gradient"),
        ({"ra": float("nan")}, "finite"),
    ],
)
def test_wrong_values_are_named(wrong, text):
    with pytest.raises(ConfigError, match=text):
        HiOptions(**wrong)

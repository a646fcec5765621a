import numpy as np
import pytest

from skadetect.simulate import bands


@pytest.mark.parametrize("frequency", bands.BANDS)
def test_clip_is_three_sigma_of_the_shallow_map(frequency):
    band = bands.BANDS[frequency]
    assert band.clip == pytest.approx(3 * band.thermal_noise[8], rel=0.01)


@pytest.mark.parametrize("frequency", bands.BANDS)
def test_thermal_noise_integrates_down(frequency):
    noise = bands.BANDS[frequency].thermal_noise
    for hours in (8, 100):
        assert noise[hours] * np.sqrt(hours) == pytest.approx(noise[1000] * np.sqrt(1000), rel=0.01)


def test_noise_spectrum_integrates_to_the_measured_rms():
    k = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None, :])
    power = np.interp(k, bands.NOISE_WAVENUMBER, bands.NOISE_POWER)
    assert np.sqrt(power.mean()) == pytest.approx(0.341, rel=0.03)


def test_counts_of_all_classes_share_one_flux_grid_and_fall():
    for table in bands.COUNTS.values():
        assert table.shape == bands.COUNTS_LOG_FLUX.shape
        assert np.all(np.diff(table) < 0)


def test_axis_ratio_quantiles_rise_with_probability():
    assert np.all(np.diff(bands.RATIO_QUANTILES, axis=1) > 0)
    assert bands.RATIO_QUANTILES.min() > 0
    assert bands.RATIO_QUANTILES.max() < 1

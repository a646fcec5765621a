import numpy as np
import pytest

from skadetect.simulate import bands
from skadetect.simulate.options import ContinuumOptions
from skadetect.simulate.sources import Sources, counts, draw_log_flux, draw_sources

PIXEL = 0.604249


@pytest.fixture(scope="module")
def sky():
    rng = np.random.default_rng(3)
    return draw_sources((2048, 2048), PIXEL, options=ContinuumOptions(), rng=rng)


def select(sources, kind, low, high):
    log_flux = np.log10(sources.flux)
    return sources.take((sources.kind == kind) & (log_flux >= low) & (log_flux < high))


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_counts_pass_through_the_measured_table(kind):
    np.testing.assert_allclose(counts(kind, bands.COUNTS_LOG_FLUX), bands.COUNTS[kind])


def test_counts_go_on_below_the_table():
    assert counts(3, np.array([-8.0]))[0] > counts(3, np.array([-6.875]))[0]


def test_slope_pivots_on_ten_microjansky():
    log_flux = np.array([-6.0, -5.0, -4.0])
    ratio = counts(3, log_flux, slope=0.3) / counts(3, log_flux)
    np.testing.assert_allclose(ratio, 10 ** np.array([-0.3, 0.0, 0.3]))


def test_number_of_sources_follows_the_counts():
    options = ContinuumOptions(density=2.0)
    log_flux = draw_log_flux(3, area=0.2, options=options, rng=np.random.default_rng(0))
    expected = 2 * 0.2 * 0.1 * counts(3, np.array([-5.0]))[0]
    assert np.sum(np.abs(log_flux + 5.0) < 0.05) == pytest.approx(expected, rel=0.1)
    assert log_flux.min() >= -7


def test_sky_has_the_measured_densities(sky):
    area = (2048 * PIXEL / 3600) ** 2
    assert len(sky) / area == pytest.approx(6.18e5, rel=0.06)
    assert np.sum(sky.kind == 1) / area == pytest.approx(8e3, rel=0.25)
    assert np.sum(sky.kind == 2) / area == pytest.approx(1.4e4, rel=0.25)


@pytest.mark.parametrize(
    ("low", "high", "quantiles"), [(-7, -6.5, (0.028, 0.074, 0.218)), (-5, -4.5, (0.18, 0.43, 1.07))]
)
def test_disc_scales_follow_the_measured_quantiles(sky, low, high, quantiles):
    discs = select(sky, 3, low, high)
    scale = np.sqrt(discs.major * discs.minor) * np.where(discs.size_type == 3, 1.0, 0.7)
    np.testing.assert_allclose(np.quantile(scale, [0.05, 0.5, 0.95]), quantiles, rtol=0.15)


@pytest.mark.parametrize(
    ("low", "high", "quantiles"), [(-6.8, -6.6, (0.44, 0.65, 0.79)), (-4.8, -4.6, (0.13, 0.28, 0.45))]
)
def test_axis_ratios_follow_the_measured_quantiles(sky, low, high, quantiles):
    discs = select(sky, 3, low, high)
    found = np.quantile(discs.minor / discs.major, [0.05, 0.5, 0.95])
    np.testing.assert_allclose(found, quantiles, rtol=0.12)


def test_catalogue_conventions(sky):
    assert np.all(sky.minor <= sky.major)
    assert np.all(sky.minor > 0)
    discs = sky.kind == 3
    assert np.all(np.abs(sky.pa[discs]) <= 90)
    assert np.all((sky.pa[~discs] >= 0) & (sky.pa[~discs] < 360))
    assert np.all(sky.size_type[sky.kind == 2] == 2)
    assert np.all((sky.size_type == 3) <= discs)
    assert np.all((sky.size_type == 1) <= (sky.kind == 1))
    assert np.all(sky.major[sky.size_type == 1] > 3 * PIXEL)
    assert np.all(sky.core_fraction[discs] == 0)
    assert sky.core_fraction[sky.kind == 2].mean() == pytest.approx(0.76, abs=0.02)
    assert np.all((sky.core_x == sky.x) | (sky.size_type == 1))


def test_scales_act_on_sizes_fluxes_and_density():
    def draw(**settings):
        options = ContinuumOptions(seed=1, **settings)
        return draw_sources((512, 512), PIXEL, options=options, rng=np.random.default_rng(1))

    plain, scaled = draw(), draw(angular_scale=2.0, flux_scale=10.0)
    assert len(scaled) == pytest.approx(len(plain) / 4, rel=0.1)
    assert np.median(scaled.flux) == pytest.approx(10 * np.median(plain.flux), rel=0.1)
    assert np.median(scaled.major) == pytest.approx(2 * np.median(plain.major), rel=0.1)


def test_higher_bands_are_fainter_by_the_spectral_index():
    options = ContinuumOptions(frequency=1400)
    low = draw_sources((512, 512), PIXEL, options=ContinuumOptions(), rng=np.random.default_rng(1))
    high = draw_sources((512, 512), PIXEL, options=options, rng=np.random.default_rng(1))
    factor = np.median(high.flux[high.kind == 3]) / np.median(low.flux[low.kind == 3])
    assert factor == pytest.approx(2.5**-0.775, rel=0.05)


def test_concatenate_undoes_take(sky):
    mask = np.arange(len(sky)) < 100
    both = Sources.concatenate([sky.take(mask), sky.take(~mask)])
    np.testing.assert_array_equal(both.flux, sky.flux)
    np.testing.assert_array_equal(both.kind, sky.kind)

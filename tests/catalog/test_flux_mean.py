"""The flux of the network and that of the voxels are one in the catalogue, each by how well it is known."""

import numpy as np
import pytest

from skadetect.catalog.flux_mean import FluxMean, fit_flux_mean
from skadetect.catalog.flux_scale import FluxScale


@pytest.fixture
def drawn():
    rng = np.random.default_rng(2)
    true, size = np.exp(rng.uniform(3, 8, 6000)), np.exp(rng.uniform(-0.5, 2, 6000))
    noise = np.full(6000, 5.0)
    network = true * np.exp(0.15 * rng.standard_normal(6000))
    ideal = true * np.exp(0.05 * rng.standard_normal(6000)) + noise * rng.standard_normal(6000)
    return true, size, network, ideal / FluxScale(0.1, -0.05).factor(size), noise


def test_a_fit_gives_back_errors_and_scale(drawn):
    true, size, network, aperture, noise = drawn
    bright = true > 300
    found = fit_flux_mean(
        *(each[bright] for each in (network, aperture, noise, true)),
        size=size[bright],
        snr=true[bright] / 5.0,
    )
    assert found.network == pytest.approx(0.15, abs=0.01)
    assert found.aperture == pytest.approx(0.05, abs=0.005)
    assert (found.scale.constant, found.scale.slope) == pytest.approx((0.1, -0.05), abs=0.01)
    assert FluxMean.of({"flux_mean": found.to_dict()}) == found


def test_a_loss_of_faint_emission_is_fitted_where_it_is_known_what_lies_outside(drawn):
    true, size, network, _, noise = drawn
    outside, snr = FluxScale(0.1), true / 5.0
    loss = 0.06 * np.sqrt(30.0 / snr)
    sums = true * np.exp(-loss) / np.exp(0.1) * np.exp(0.03 * np.random.default_rng(3).standard_normal(6000))
    found = fit_flux_mean(network, sums, noise, true, size=size, snr=snr, scale=outside)
    assert found.loss == pytest.approx(0.06, abs=0.003) and found.scale == outside
    np.testing.assert_allclose(found.factor([1.0], [1e6]), np.exp(0.1), rtol=1e-3)


def test_the_mean_is_better_than_either(drawn):
    true, size, network, aperture, noise = drawn
    scale = FluxScale(0.1, -0.05)
    given = FluxMean(0.15, 0.05, scale)
    aperture, noise = aperture * scale.factor(size), noise * scale.factor(size)
    faint, middle, bright = true < 40, (true > 40) & (true < 80), true > 300
    both = given.flux(network, aperture, noise)
    spread = {
        name: [np.std(np.log(flux[rows].clip(1e-3) / true[rows])) for rows in (faint, middle, bright)]
        for name, flux in (("network", network), ("aperture", aperture), ("both", both))
    }
    assert (np.array(spread["both"]) < 1.06 * np.minimum(spread["network"], spread["aperture"])).all()
    assert spread["both"][1] < 0.9 * min(spread["network"][1], spread["aperture"][1])
    assert spread["both"][2] < 0.4 * spread["network"][2]
    assert np.median(both / true) == pytest.approx(1.0, abs=0.01)


def test_a_sum_that_is_of_something_else_or_not_known_is_left_alone():
    given = FluxMean(0.15, 0.05)
    aperture = np.array([200.0, -3.0, 0.0, np.nan, np.inf, 110.0])
    flux = given.flux(np.full(6, 100.0), aperture, np.full(6, 1.0))
    assert (flux[:5] == 100.0).all() and 105 < flux[5] < 110
    assert np.isnan(given.flux([np.nan], [5.0], [1.0])).all()


def test_a_sum_that_is_far_lower_is_right_if_it_stands_out():
    flux = FluxMean(0.15, 0.05).flux(np.full(3, 100.0), [30.0, 30.0, 30.0], [1.0, 5.0, 20.0])
    np.testing.assert_allclose(flux[:2], 30.0)
    assert flux[2] > 60.0


def test_of_cleaned_pixels_a_higher_sum_is_right_up_to_a_limit():
    mean = FluxMean(0.1, 0.02)
    network, error = np.full(3, 100.0), np.full(3, 1.0)
    sums = np.array([105.0, 145.0, 180.0])
    np.testing.assert_allclose(mean.flux(network, sums, error)[1:], 100.0)  # a neighbour's may be in it
    cleaned = mean.flux(network, sums, error, cleaned=True)
    assert cleaned[0] == mean.flux(network, sums, error)[0]
    np.testing.assert_allclose(cleaned[1:], [145.0, 100.0])
    assert mean.flux(network, sums, np.full(3, 40.0), cleaned=True)[1] < 110.0  # the noise may be in it


def test_a_model_without_one_has_the_networks_fluxes():
    network = np.array([1.0, 5.0])
    assert (FluxMean.of({}).flux(network, network * 1.1, network * 0.01) == network).all()

"""Fluxes that are off by a power of the size are put right, whatever else scatters them."""

import numpy as np
import pytest

from skadetect.catalog.flux_scale import LARGEST, FluxScale, fit_flux_scale


@pytest.mark.parametrize(("constant", "slope"), [(0.0, 0.0), (0.05, 0.04), (-0.1, 0.2)])
def test_a_fit_gives_back_what_was_off(constant, slope):
    rng = np.random.default_rng(1)
    size = np.exp(rng.uniform(np.log(0.5), np.log(LARGEST), 4000))
    scatter = np.exp(rng.standard_t(3, 4000) * 0.1)
    scale = fit_flux_scale(scatter / FluxScale(constant, slope).factor(size), size)
    assert scale.constant == pytest.approx(constant, abs=0.01)
    assert scale.slope == pytest.approx(slope, abs=0.01)


def test_sizes_beyond_those_known_and_unknown_ones_change_nothing_more():
    scale = FluxScale(0.1, 0.2)
    np.testing.assert_allclose(scale.factor([LARGEST, 1e3]), scale.factor([LARGEST] * 2))
    assert scale.factor([np.nan])[0] == pytest.approx(np.exp(0.1))


def test_a_model_without_one_leaves_fluxes_alone():
    assert (FluxScale.of({}).factor([0.1, 2.0, np.nan]) == 1.0).all()
    scale = FluxScale(0.1, -0.2)
    assert FluxScale.of({"flux_scale": scale.to_dict()}) == scale

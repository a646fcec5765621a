from __future__ import annotations

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.simulate.discs import render
from skadetect.simulate.galaxies import LIGHT_KMS, PopulationOptions, draw_galaxies, line_flux, to_disc
from tests.data_paths import shared

BAND = (0.95e9, 1.15e9)


@pytest.fixture(scope="module")
def galaxies():
    return draw_galaxies(BAND, 0.25, flux_limit=2.0, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def truth():
    path = shared("sdc2_catalogue/sky_dev_truthcat_v2.txt")
    return np.genfromtxt(path, names=True)


@pytest.mark.parametrize("limit", [3.0, 5.0, 10.0, 30.0])
def test_counts_are_those_of_sdc2(galaxies, truth, limit):
    wanted = int((truth["line_flux_integral"] > limit).sum())
    assert int((galaxies.flux > limit).sum()) == pytest.approx(wanted, rel=0.1, abs=3 * np.sqrt(wanted))


@pytest.mark.parametrize(("column", "name", "tolerance"), [("hi_size", "hi_size", 0.12), ("incl", "i", 0.08)])
def test_sizes_and_inclinations_are_those_of_sdc2(galaxies, truth, column, name, tolerance):
    quantiles = [16, 50, 84]
    ours = np.percentile(getattr(galaxies, column)[galaxies.flux > 4], quantiles)
    theirs = np.percentile(truth[name][truth["line_flux_integral"] > 4], quantiles)
    np.testing.assert_allclose(ours, theirs, rtol=tolerance)


def test_drawn_lines_are_as_wide_as_sdc2s(galaxies, truth):
    rng = np.random.default_rng(2)
    bright = galaxies.take(galaxies.flux > 4)
    widths = []
    for row in rng.choice(len(bright), 150, replace=False):
        disc = to_disc(bright, row, pixel=2.8, channel=3e4, theta=0.0).irregular(rng)
        cubelet = render(disc, PixelBeam(2.5, 2.5), rng=rng, points=3000)
        widths.append(cubelet.w20 * LIGHT_KMS * 3e4 / bright.freq[row])
    theirs = np.percentile(truth["w20"][truth["line_flux_integral"] > 4], [16, 50, 84])
    np.testing.assert_allclose(np.percentile(widths, [16, 50, 84]), theirs, rtol=0.2)


def test_flux_falls_with_distance_and_grows_with_mass():
    flux = line_flux(np.array([9.0, 10.0, 10.0]), np.array([1.1e9, 1.1e9, 1.3e9]))
    assert flux[1] == pytest.approx(10 * flux[0]) and flux[2] > flux[1]


def test_limits_density_and_seed_hold():
    draw = {"flux_limit": 20.0}
    some = draw_galaxies((1.38e9, 1.41e9), 4.0, rng=np.random.default_rng(3), **draw)
    more = draw_galaxies((1.38e9, 1.41e9), 4.0, rng=np.random.default_rng(3), density=5.0, **draw)
    assert some.flux.min() >= 19.0 and ((some.freq > 1.38e9) & (some.freq < 1.41e9)).all()
    assert len(more) == pytest.approx(5 * len(some), rel=0.3)
    again = draw_galaxies((1.38e9, 1.41e9), 4.0, rng=np.random.default_rng(3), **draw)
    np.testing.assert_array_equal(some.flux, again.flux)
    none = draw_galaxies((1.40e9, 1.41e9), 1e-6, flux_limit=1e6, rng=np.random.default_rng(3))
    assert len(none) == 0
    light = PopulationOptions(least_log_mass=9.5)
    heavy = draw_galaxies((1.38e9, 1.41e9), 4.0, rng=np.random.default_rng(3), options=light, **draw)
    assert heavy.log_mass.min() >= 9.5

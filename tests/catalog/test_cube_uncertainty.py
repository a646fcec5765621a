"""Errors of galaxies scale as they should, and are those of fits where fits can be made."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from skadetect.beams import PixelBeam, convolve
from skadetect.catalog.cube_uncertainty import (
    W20_PER_SIGMA,
    WIDEST_INCLINATION,
    cube_errors,
    cube_floor_scale,
)

BEAM = PixelBeam(3.0, 3.0)


def errors(beam=BEAM, **columns):
    true = {"line_flux": 100.0, "w20": 10.0, "w50": 8.0, "hi_size": 6.0, "incl": 1.0} | columns
    values = {name: np.atleast_1d(np.asarray(value, np.float64)) for name, value in true.items()}
    size = values["hi_size"]
    return cube_errors(values, convolve(size, size * np.cos(values["incl"]), 0.0, beam), beam=beam)


def test_the_flux_of_a_point_in_one_channel_has_the_noise_of_one_beam():
    assert errors(hi_size=1e-9, w20=1.0).line_flux[0] == pytest.approx(1.0)


def test_the_flux_error_is_the_scatter_of_sums_over_independent_beams_and_channels():
    rng = np.random.default_rng(3)
    beams, channels = 5, 12
    scatter = rng.normal(size=(4000, beams * channels)).sum(axis=1).std()
    # a face-on disc of two beams through the beam has an area of five
    assert errors(w20=float(channels), incl=0.0).line_flux[0] == pytest.approx(scatter, rel=0.04)


def test_channel_and_width_errors_are_those_of_fits_to_a_line_in_white_noise():
    rng, z, sigma = np.random.default_rng(5), np.arange(64.0), 4.0

    def line(z, height, centre, width):
        return height * np.exp(-0.5 * ((z - centre) / width) ** 2)

    clean = line(z, 8.0, 31.3, sigma)
    fits = [curve_fit(line, z, clean + rng.normal(size=64), p0=(8.0, 31.0, 4.0))[0] for _ in range(400)]
    matched = np.sqrt((clean**2).sum())
    _, centre, width = np.std(fits, axis=0)
    w20 = W20_PER_SIGMA * sigma
    found = errors(line_flux=matched * np.sqrt(w20), w20=w20, hi_size=1e-9)
    assert found.snr[0] == pytest.approx(matched, rel=1e-6)
    assert found.z[0] == pytest.approx(centre, rel=0.1)
    assert found.w20[0] == pytest.approx(W20_PER_SIGMA * width, rel=0.1)


def test_errors_fall_with_flux_and_are_bounded_where_nothing_is_known():
    faint, bright = errors(line_flux=20.0), errors(line_flux=2000.0)
    for name in ("major", "minor", "z", "w20", "w50", "hi_size", "incl"):
        assert getattr(bright, name)[0] < getattr(faint, name)[0], name
    lost = errors(line_flux=0.01, hi_size=0.1, incl=0.0)
    assert lost.hi_size[0] == pytest.approx(0.1) and lost.incl[0] == pytest.approx(WIDEST_INCLINATION)
    rng = np.random.default_rng(2)
    assert np.arccos(rng.uniform(0, 1, 100_000)).std() == pytest.approx(WIDEST_INCLINATION, rel=0.01)


def test_a_size_below_the_beam_is_known_less_well_than_one_above():
    small, large = errors(hi_size=1.0, incl=0.0), errors(hi_size=9.0, incl=0.0)
    assert small.hi_size[0] / 1.0 > 3 * large.hi_size[0] / 9.0


def test_unknown_widths_and_angles_stay_unknown():
    found = errors(w50=np.nan, incl=np.nan)
    assert np.isnan(found.w50[0]) and np.isnan(found.incl[0]) and np.isfinite(found.z[0])


def test_floors_are_fractions_of_what_the_error_is_of():
    columns = {"ell_maj": 9.0, "w20": 299.792458, "freq": 1e9, "f_sum": 7.0, "hi_size": 3.0}
    expected = {
        "ra": 9.0,
        "freq": 1e6,
        "f_sum": 7.0,
        "hi_size": 3.0,
        "incl": np.degrees(1),
        "kin_pa": np.degrees(1),
    }
    for name, value in expected.items():
        assert cube_floor_scale(f"err_{name}", columns) == pytest.approx(value), name

"""Condon's errors: the limits that he gives, and their shape."""

import numpy as np
import pytest

from skadetect.beams import FWHM_PER_SIGMA, PixelBeam
from skadetect.catalog.moment_mean import ALIKE
from skadetect.catalog.uncertainty import floor_scale, gaussian_errors

BEAM = PixelBeam(4.0, 3.0, 0.3)


def _errors(snr, bmaj=BEAM.bmaj, bmin=BEAM.bmin, beam=BEAM):
    return gaussian_errors(np.atleast_1d(snr), bmaj, bmin, beam=beam, int_flux=2.0, peak=1.0)


def test_a_round_point_source_has_the_textbook_errors():
    errors = _errors(10.0, 3.0, 3.0, PixelBeam(3.0, 3.0))
    assert errors.peak[0] == pytest.approx(1.0 / 10)
    assert errors.bmaj[0] == errors.bmin[0] == pytest.approx(3.0 / 10)
    assert errors.major[0] == pytest.approx(3.0 / FWHM_PER_SIGMA / 10)
    assert errors.int_flux[0] == pytest.approx(2.0 * np.sqrt(3) / 10)
    assert errors.theta[0] == pytest.approx(np.pi / np.sqrt(12))


def test_errors_fall_as_one_over_signal_to_noise():
    faint, bright = _errors(20.0, 8.0, 4.0), _errors(200.0, 8.0, 4.0)
    for name in ("peak", "int_flux", "bmaj", "bmin", "theta", "major", "minor"):
        assert getattr(faint, name)[0] == pytest.approx(10 * getattr(bright, name)[0]), name


def test_a_source_much_larger_than_the_beam_gains_from_its_many_beams():
    # theta >> theta_N: rho^2 -> bmaj bmin snr^2 / (4 theta_N^2), his limit of uncorrelated noise
    errors = _errors(10.0, 400.0, 300.0)
    assert errors.peak[0] == pytest.approx(np.sqrt(8 * 12.0 / (400 * 300)) / 10, rel=1e-3)


def test_less_than_one_sigma_counts_as_one_and_negative_flux_has_a_positive_error():
    errors = gaussian_errors([-3.0, 1.0], 4.0, 3.0, beam=BEAM, int_flux=[-2.0, 2.0], peak=[-1.0, 1.0])
    assert errors.peak[0] == errors.peak[1] > 0
    assert errors.int_flux[0] == errors.int_flux[1] > 0


def test_floors_are_fractions_of_what_the_error_is_of():
    columns = {"bmaj": [5.0], "bmin": [2.0], "int_flux": [7.0], "peak_flux": [4.0]}
    columns |= {"snr": [0.0]}
    wanted = {"e_ra": 5.0, "e_dec": 5.0, "e_int_flux": 7.0, "e_peak_flux": 4.0}
    for name, value in wanted.items():
        assert floor_scale(name, columns, beam=BEAM) == [value], name
    # intrinsic axes 3 and 0, and 3 % of the beam's area more
    for name, value in {"e_bmaj": (9.0 + 0.36) / 10.0, "e_bmin": 0.36 / 4.0}.items():
        assert floor_scale(name, columns, beam=BEAM) == pytest.approx([value]), name
    assert floor_scale("e_pa", columns, beam=BEAM) == pytest.approx(57.29578)


def test_what_pixels_tell_of_a_size_needs_no_floor():
    columns = {"bmaj": np.full(3, 5.0), "bmin": np.full(3, 3.0)}
    snr = np.array([0.1, ALIKE * 15.0 / 9.36, 1e5])
    floors = floor_scale("e_bmaj", columns | {"snr": snr}, beam=BEAM)
    assert floors == pytest.approx([0.936, 0.936 * np.sqrt(0.5), 0.0], abs=1e-3)

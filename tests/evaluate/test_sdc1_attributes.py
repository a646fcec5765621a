"""Each SDC1 formula against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.evaluate.sdc1_attributes import (
    ATTRIBUTES,
    attribute_scores,
    convolved_size,
    pair_distance,
    separation_arcsec,
)

BASE = {
    "ra_core": 10.0, "dec_core": -30.0, "ra_cent": 10.0, "dec_cent": -30.0, "flux": 1e-6, "core_frac": 0.0,
    "b_maj": 2.0, "b_min": 1.0, "pa": 0.0, "size": 2, "class": 3,
}  # fmt: skip


def source(**changes):
    return {name: np.array([value], float) for name, value in {**BASE, **changes}.items()}


def score(name, sub, truth, beam=0.625):
    return attribute_scores(source(**sub), source(**truth), beam)[0, ATTRIBUTES.index(name)]


@pytest.mark.parametrize(("size", "factor"), [(1, 2.355 / 5), (2, 1.0), (3, np.sqrt(2)), (4, 1.0)])
def test_convolved_size(size, factor):
    got = convolved_size(source(size=size, b_maj=0.5, b_min=3.0), 0.625)
    assert got[0] == pytest.approx(np.sqrt((3.0 * factor) ** 2 + 0.625**2))


def test_pair_distance_adds_three_errors_in_quadrature():
    sub, truth = source(flux=1.36e-6, b_maj=5.0, b_min=1.0), source()
    got = pair_distance(sub, truth, np.array([2.0]), np.array([0.93]))
    assert got[0] == pytest.approx(np.sqrt(0.5**2 + 1.0 + (1.5 / 2.0 / 4.38) ** 2))
    assert np.isnan(pair_distance(source(size=4), truth, np.array([2.0]), np.array([0.0]))[0])


@pytest.mark.parametrize(("flux", "expected"), [(1e-6, 1.0), (1.05e-6, 1.0), (1.2e-6, 0.5), (0.6e-6, 0.25)])
def test_flux_score(flux, expected):
    assert score("flux", {"flux": flux}, {}) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sub", "truth", "factor"),
    [
        (1, 2, 2.355 / 5), (1, 3, 2.355 / 5 / np.sqrt(2)), (2, 1, 5 / 2.355), (2, 3, 1 / np.sqrt(2)),
        (3, 1, np.sqrt(2) * 5 / 2.355), (3, 2, np.sqrt(2)), (3, 3, 1.0), (4, 2, 1.0),
    ],
)  # fmt: skip
def test_sizes_are_converted_to_the_truth_type(sub, truth, factor):
    assert score(
        "b_maj", {"size": sub, "b_maj": 1.6 / factor}, {"size": truth, "b_maj": 1.0}
    ) == pytest.approx(0.5)


def test_minor_axis_and_angle_do_not_count_where_the_truth_is_a_largest_size():
    wrong = {"b_min": 9.0, "pa": 40.0}
    for name in ("b_min", "pa"):
        assert score(name, wrong, {"size": 1}) == 1.0
        assert score(name, wrong, {}) < 0.3


@pytest.mark.parametrize(
    ("sub", "truth", "difference"),
    [
        (20.0, 0.0, 20.0),
        (200.0, 0.0, 20.0),
        (110.0, 0.0, 20.0),
        (60.0, 0.0, 15.0),
        (-60.0, 0.0, 15.0),
        (300.0, 40.0, 25.0),
    ],
)
def test_angles_fold_once_in_sequence(sub, truth, difference):
    # 300 -> 120 -> 30 and stops; against 40 that would be 10, were it not that -45 < 30 < 45 stays
    expected = {25.0: 1.0}.get(difference, 10.0 / difference)
    assert score("pa", {"pa": sub}, {"pa": truth}) == pytest.approx(expected)


def test_position_takes_the_nearer_of_core_and_centroid():
    norm = np.hypot(2 * 0.625, 1.5)
    far, near = 2.0 * norm / 3600, 0.6 * norm / 3600
    assert score("position", {"dec_core": -30 + far, "dec_cent": -30 + near}, {}) == pytest.approx(0.5)
    assert score("position", {"dec_core": -30 + near, "dec_cent": -30 + far}, {}) == pytest.approx(0.5)


def test_core_fraction_and_class():
    assert score("core_frac", {"core_frac": 0.075}, {}) == pytest.approx(0.5)
    assert score("class", {"class": 1}, {}) == 0.0
    assert score("class", {}, {}) == 1.0


def test_undefined_scores_are_nan_and_zero_errors_score_one():
    assert np.isnan(score("b_min", {"b_min": 0.0}, {"b_min": 0.0}))
    assert score("b_min", {"b_min": 0.1}, {"b_min": 0.0}) == 0.0
    assert np.all(attribute_scores(source(), source(), 0.625) == 1.0)


def test_separation_is_great_circle():
    east = separation_arcsec(source(), source(ra_core=10.001), "core")[0]
    assert east == pytest.approx(3.6 * np.cos(np.radians(30)), rel=1e-8)
    assert separation_arcsec(source(ra_cent=-179.9), source(ra_cent=180.1), "cent")[0] == pytest.approx(
        0, abs=1e-6
    )

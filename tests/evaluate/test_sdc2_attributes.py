"""The formulas of SDC2 against Astropy's cosmology and coordinates, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.cosmology import LambdaCDM

from skadetect.evaluate.sdc2_attributes import (
    ATTRIBUTES,
    REST_FREQUENCY,
    angular_distance,
    attribute_scores,
    convolved_size,
    line_width,
    pair_distance,
    plane_points,
    search_radius,
)

COSMOLOGY = LambdaCDM(H0=67, Om0=0.32, Ode0=0.68)
ROW = {
    "ra": 180.2,
    "dec": -30.1,
    "hi_size": 12.0,
    "line_flux_integral": 40.0,
    "central_freq": 1.05e9,
    "pa": 100.0,
    "i": 50.0,
    "w20": 200.0,
}


def rows(**changes: float) -> dict[str, np.ndarray]:
    """One source with some columns changed."""
    return {name: np.array([value], np.float64) for name, value in {**ROW, **changes}.items()}


def test_distances_are_those_of_the_cosmology() -> None:
    frequency = np.array([0.2e9, 0.95e9, 1.0e9, 1.15e9, 1.4e9])
    expected = COSMOLOGY.angular_diameter_distance(REST_FREQUENCY / frequency - 1.0).value
    np.testing.assert_allclose(angular_distance(frequency), expected, rtol=1e-6)
    assert angular_distance(np.array([1.43e9]))[0] < 0
    assert np.isnan(angular_distance(np.array([0.0, -1e9, 1e6]))).all()


def test_points_lie_as_offsets_in_the_field() -> None:
    rng = np.random.default_rng(1)
    sky = {"ra": 180.0 + rng.uniform(-2, 2, 50), "dec": -30.0 + rng.uniform(-2, 2, 50)}
    distance = rng.uniform(500, 1500, 50)
    x, y, z = plane_points(sky, (180.0, -30.0), distance).T
    frame = SkyCoord(180 * u.deg, -30 * u.deg).skyoffset_frame()
    offsets = SkyCoord(sky["ra"] * u.deg, sky["dec"] * u.deg).transform_to(frame)
    np.testing.assert_allclose(x / distance, offsets.lon.wrap_at(180 * u.deg).rad, atol=1e-12)
    np.testing.assert_allclose(y / distance, offsets.lat.rad, atol=1e-12)
    np.testing.assert_array_equal(z, distance)


def test_width_in_frequency_is_that_of_the_velocity_at_rest() -> None:
    (width,) = line_width(rows())
    redshift = REST_FREQUENCY / 1.05e9 - 1.0
    assert width == pytest.approx(200.0 / 299792.458 * 1.05e9 / (1.0 + redshift), rel=1e-12)


@pytest.mark.parametrize(("w20", "by_depth"), [(30.0, True), (1e-6, False)])
def test_a_row_searches_as_far_as_its_size_or_its_line_reaches(w20: float, by_depth: bool) -> None:
    row = rows(w20=w20)
    distance = angular_distance(row["central_freq"])
    size = convolved_size(row["hi_size"], 7.0)
    (radius,) = search_radius(row, size, distance)
    across = float(size[0] / 206265.0 * distance[0])
    assert radius > across if by_depth else radius == pytest.approx(across)


def test_a_perfect_row_has_no_distance_and_full_scores() -> None:
    row = rows()
    distance, near = pair_distance(row, row, convolved_size(row["hi_size"], 7.0), line_width(row))
    assert distance.tolist() == [0.0] and near.tolist() == [True]
    assert attribute_scores(row, row, 7.0).tolist() == [[1.0] * len(ATTRIBUTES)]


@pytest.mark.parametrize(
    ("name", "changes", "score"),
    [
        ("flux", {"line_flux_integral": 44.0}, 1.0),
        ("flux", {"line_flux_integral": 60.0}, 0.2),
        ("hi_size", {"hi_size": 24.0}, 0.3),
        ("w20", {"w20": 80.0}, 0.5),
        ("pa", {"pa": 80.0}, 0.5),
        ("pa", {"pa": 100.0 + 360.0 - 20.0}, 0.5),
        ("pa", {"pa": 280.0}, 10.0 / 180.0),
        ("i", {"i": 10.0}, 0.25),
        ("position", {"dec": -30.1 + 0.6 * np.sqrt(4 * 49 + 144) / 3600.0}, 0.5),
        ("central_freq", {"central_freq": 1.05e9 + 0.6 * float(line_width(rows())[0])}, 0.5),
    ],
)
def test_a_score_falls_with_its_own_error_alone(name: str, changes: dict[str, float], score: float) -> None:
    scores = dict(zip(ATTRIBUTES, attribute_scores(rows(**changes), rows(), 7.0)[0], strict=True))
    assert scores.pop(name) == pytest.approx(score, rel=1e-6)
    assert all(other == 1.0 for other in scores.values())


def test_pairs_beyond_the_size_or_the_line_are_no_candidates() -> None:
    truth = rows()
    size, width = convolved_size(truth["hi_size"], 7.0), line_width(truth)
    step = {"dec": -30.1 + 1.01 * size[0] / 3600.0}, {"central_freq": 1.05e9 + 1.01 * width[0]}
    for changes in step:
        distance, near = pair_distance(rows(**changes), truth, size, width)
        assert not near[0] and distance[0] == pytest.approx(1.01, rel=1e-6)


def test_what_is_not_defined_is_nan_and_no_error() -> None:
    truth, found = rows(line_flux_integral=0.0), rows(line_flux_integral=0.0)
    distance, _ = pair_distance(found, truth, convolved_size(truth["hi_size"], 7.0), line_width(truth))
    scores = dict(zip(ATTRIBUTES, attribute_scores(found, truth, 7.0)[0], strict=True))
    assert np.isnan(distance[0]) and np.isnan(scores["flux"]) and scores["w20"] == 1.0

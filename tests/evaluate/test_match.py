"""Positional matches are one to one, within the radius, and respect the order of choice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skadetect.evaluate.match import match_positions, match_sky


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 1000), st.booleans())
def test_matches_are_one_to_one_and_maximal(n, n_truth, seed, ranked):
    rng = np.random.default_rng(seed)
    points, truth = rng.uniform(0, 10, (n, 2)), rng.uniform(0, 10, (n_truth, 2))
    match = match_positions(points, truth, 1.0, confidence=rng.random(n) if ranked else None)
    taken = match.truth[match.matched]
    assert len(set(taken.tolist())) == len(taken) == match.found.sum()
    distance = np.linalg.norm(points[:, None] - truth[None], axis=2)
    np.testing.assert_allclose(match.distance[match.matched], distance[match.matched, taken])
    assert np.all(match.distance[match.matched] <= 1.0)
    # no pair within the radius is left with both sides free
    assert not (distance[~match.matched][:, ~match.found] <= 1.0).any()


def test_nearest_pair_wins_unless_confidence_says_otherwise():
    points, truth = np.array([[0.0, 0.0], [0.4, 0.0]]), np.array([[0.5, 0.0]])
    assert match_positions(points, truth, 1.0).truth.tolist() == [-1, 0]
    assert match_positions(points, truth, 1.0, confidence=np.array([0.9, 0.1])).truth.tolist() == [0, -1]


def test_coincident_points_match_at_distance_zero():
    match = match_positions(np.zeros((1, 3)), np.zeros((1, 3)), 0.5)
    assert match.truth.tolist() == [0]
    assert match.distance.tolist() == [0.0]


@pytest.mark.parametrize(("ra", "dec"), [(0.0, -30.0), (359.9999, 0.0), (120.0, 89.9)])
def test_sky_match_holds_across_zero_and_at_the_pole(ra, dec):
    offset = 1.5 / 3600
    truth = (np.array([ra, ra + 50.0]), np.array([dec, dec - 20.0]))
    near = (np.array([(ra + offset / np.cos(np.radians(dec))) % 360]), np.array([dec]))
    match = match_sky(near, truth, 2.0)
    assert match.truth.tolist() == [0]
    assert match.distance[0] == pytest.approx(1.5, rel=1e-2)
    assert match.found.tolist() == [True, False]
    assert not match_sky(near, truth, 1.0).matched.any()

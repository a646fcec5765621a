from __future__ import annotations

import numpy as np
import pytest

from skadetect.train.blanks import Coverage, draw_coverage

SHAPE = (32, 24, 24)


def drawn(count, share=1.0):
    return [draw_coverage(SHAPE, np.random.default_rng(seed), share) for seed in range(count)]


def test_a_share_of_patches_lies_at_an_edge_and_most_of_each_has_data():
    blank = np.array([1 - one.channels.mean() * one.plane.mean() for one in drawn(400, share=0.3)])
    assert np.mean(blank > 0) == pytest.approx(0.3, abs=0.06)
    assert 0.15 < blank[blank > 0].mean() < 0.45


def test_without_a_share_nothing_is_drawn():
    rng = np.random.default_rng(1)
    assert draw_coverage(SHAPE, rng, 0.0).whole
    assert rng.random() == np.random.default_rng(1).random()


def test_edges_lie_on_every_side_straight_and_round():
    ends = {"z": set(), "y": set(), "x": set()}
    slanted = 0
    for one in drawn(300):
        ends["z"] |= set(np.flatnonzero([one.channels[0] == 0, one.channels[-1] == 0]))
        rows, columns = one.plane.any(axis=1), one.plane.any(axis=0)
        ends["y"] |= set(np.flatnonzero([not rows[0], not rows[-1]]))
        ends["x"] |= set(np.flatnonzero([not columns[0], not columns[-1]]))
        slanted += not np.array_equal(one.plane, np.outer(rows, columns))
    assert all(sides == {0, 1} for sides in ends.values())
    assert 80 < slanted < 200


def test_what_has_no_data_is_blanked_and_known():
    coverage = Coverage(np.array([1.0, 0.0], np.float32), np.array([[1.0, 1.0, 0.0]], np.float32))
    snr = np.full((2, 1, 3), 5.0, np.float32)
    coverage.blank(snr)
    assert snr.tolist() == [[[5.0, 5.0, 0.0]], [[0.0] * 3]]
    z, y, x = np.indices(snr.shape)
    position = np.stack([z.ravel(), y.ravel(), x.ravel()], axis=1) + 0.3
    assert coverage.holds(position).tolist() == (snr.ravel() != 0).tolist()
    galaxy = np.array([[[1.0, 2.0]], [[2.0, 4.0]]], np.float16)
    assert coverage.share(galaxy, (0, 0, 0)) == pytest.approx(5 / 25)
    assert coverage.share(galaxy, (0, 0, 1)) == pytest.approx(1 / 25)

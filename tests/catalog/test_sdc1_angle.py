"""Angles as the challenge counts them."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.catalog.sdc1_angle import angle_score, best_angle, fold


def test_fold_by_hand() -> None:
    np.testing.assert_array_equal(
        fold([0.0, 44.0, 46.0, 90.0, 91.0, 140.0, 181.0, 300.0, -46.0, -90.0]),
        [0.0, 44.0, 1.0, 45.0, 1.0, 5.0, 1.0, -15.0 + 45.0, -1.0, -45.0],
    )


def test_certain_angles_stay_and_unknown_errors_change_nothing() -> None:
    pa = np.linspace(-89.9, 90.0, 400)
    np.testing.assert_array_equal(best_angle(pa, np.full(400, np.nan)), pa)
    far = np.abs(np.abs(fold(pa)) - 45) > 8
    far &= np.abs(fold(pa)) > 8
    np.testing.assert_allclose(best_angle(pa, np.full(400, 0.5))[far], pa[far])


@pytest.mark.parametrize("error", [5.0, 15.0, 30.0, 52.0])
def test_the_expected_score_never_falls(error: float) -> None:
    rng = np.random.default_rng(1)
    measured = rng.uniform(-90, 90, 200_000)
    true = np.mod(measured + rng.normal(0, error, measured.size) + 90, 180) - 90
    before = angle_score(measured, true).mean()
    after = angle_score(best_angle(measured, np.full(measured.size, error)), true).mean()
    assert after > before - 1e-3
    if error > 20:
        assert after > before + 0.03
    assert (best_angle(measured, np.full(measured.size, error)) > -90.0001).all()

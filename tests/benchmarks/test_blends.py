"""The benchmark of blends counts what it says it counts."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.blends import APART, FWHM, pairs, report


def test_pairs_are_as_far_apart_as_it_is_told() -> None:
    true = pairs()
    first, second = true[::2].reset_index(drop=True), true[1::2].reset_index(drop=True)
    apart = np.hypot(first["y"] - second["y"], first["x"] - second["x"]) / FWHM
    np.testing.assert_allclose(apart, first["apart"], atol=1.5 / FWHM)
    assert true["apart"].between(APART[0], APART[-1]).all()
    assert (first["pair"] == second["pair"]).all() and len(true) > 1000


def test_half_of_a_pair_is_no_pair(capsys: pytest.CaptureFixture[str]) -> None:
    true = pairs()
    report("all", true, true)
    report("half", true, true[::2])
    text = capsys.readouterr().out
    assert "all: 1922 rows of 1922 sources, 100.0% of the pairs whole" in text
    assert "1.00 whole, flux 1.000 +- 0.000, place 0.000 beams" in text
    assert "half: 961 rows of 1922 sources, 0.0% of the pairs whole" in text

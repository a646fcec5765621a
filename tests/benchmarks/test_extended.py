"""The benchmark of large sources counts rows as it says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def extended():
    with pytest.MonkeyPatch.context() as patching:
        patching.syspath_prepend(Path(__file__).parent)
        import extended

        yield extended
        for name in ("extended", "sparse_fields"):
            sys.modules.pop(name, None)


@pytest.fixture
def truth(extended) -> pd.DataFrame:
    placed = extended._placed(np.random.default_rng(3), np.zeros((1500, 1500)), 4.0)
    return placed.assign(int_flux=10.0)


def test_a_row_of_its_own_has_place_and_flux(extended, truth):
    right = truth[["y", "x", "int_flux"]]
    assert extended.judged(right, truth)["own"].all()
    assert not extended.judged(right.assign(int_flux=6.0), truth)["own"].any()  # a piece
    assert not extended.judged(right.assign(x=right["x"] + 0.4 * truth["bmaj"]), truth)["own"].any()
    halves = pd.concat([right.assign(int_flux=5.0)] * 2, ignore_index=True)
    found = extended.judged(halves, truth)
    assert not found["own"].any()
    np.testing.assert_allclose(found["sum"], 1.0)
    np.testing.assert_array_equal(found["rows"], 2)
    assert (extended.judged(right.iloc[:0], truth)["rows"] == 0).all()


def test_sources_stand_apart_and_off_blanks(extended):
    pixels = np.zeros((1500, 1500))
    pixels[:, :700] = np.nan
    placed = extended._placed(np.random.default_rng(3), pixels, 4.0)
    assert (placed["x"] - 700 > placed["bmaj"] - 1).all() and len(placed) > 3
    for _, one in placed.iterrows():
        others = placed[placed.index != one.name]
        apart = np.hypot(others["x"] - one["x"], others["y"] - one["y"])
        assert (apart > np.minimum(others["bmaj"], one["bmaj"])).all()


@pytest.mark.parametrize("kind", ["Gaussian", "layered", "double"])
def test_parts_add_up_to_the_source(extended, truth, kind):
    source = truth.iloc[0].copy()
    source["kind"] = kind
    parts = pd.concat(extended._parts(source))
    assert parts["int_flux"].sum() == pytest.approx(10.0)
    assert np.hypot(parts["x"] - source["x"], parts["y"] - source["y"]).max() <= 0.36 * source["bmaj"]

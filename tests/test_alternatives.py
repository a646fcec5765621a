"""Doubtful rows of one emission on several levels make one row, those of different ones do not."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.alternatives import Candidates, best_alternatives


def rows(*columns: tuple[float, float, float, float, float, int, bool]) -> Candidates:
    """Rows of (y, x, radius, flux, prob, level, kept)."""
    y, x, radius, flux, prob, level, kept = (np.array(column) for column in zip(*columns, strict=True))
    return Candidates(np.stack([y, x], axis=1), radius, flux, prob, level.astype(np.int64), kept)


def test_two_halves_make_the_better_one_probable() -> None:
    index, prob = best_alternatives(
        rows((50.0, 50.0, 10.0, 1.0, 0.5, 1, False), (52.0, 49.0, 12.0, 1.2, 0.55, 2, False)), 0.6
    )
    assert index.tolist() == [1]
    assert prob == pytest.approx([1 - 0.5 * 0.45])


@pytest.mark.parametrize(
    "other",
    [
        (70.0, 50.0, 10.0, 1.0, 0.5, 2, False),  # beside it
        (50.0, 50.0, 10.0, 4.0, 0.5, 2, False),  # far brighter
        (50.0, 50.0, 30.0, 1.0, 0.5, 2, False),  # far larger
        (52.0, 50.0, 10.0, 1.0, 0.5, 1, False),  # of the same view: a view tells it once
    ],
)
def test_other_emission_is_none(other: tuple[float, float, float, float, float, int, bool]) -> None:
    index, _ = best_alternatives(rows((50.0, 50.0, 10.0, 1.0, 0.5, 1, False), other), 0.6)
    assert not len(index)


def test_what_is_in_the_catalogue_is_told() -> None:
    doubtful = (50.0, 50.0, 10.0, 1.0, 0.5, 1, False), (50.0, 50.0, 12.0, 1.0, 0.5, 2, False)
    assert len(best_alternatives(rows(*doubtful), 0.6)[0]) == 1
    assert not len(best_alternatives(rows(*doubtful, (51.0, 50.0, 11.0, 1.1, 0.9, 3, True)), 0.6)[0])


def test_the_order_of_rows_has_no_say() -> None:
    rng = np.random.default_rng(0)
    n = 300
    columns = (
        *rng.uniform(0, 100, (2, n)),
        rng.uniform(3, 9, n),
        rng.uniform(1, 4, n),
        rng.uniform(0.2, 0.6, n),
        rng.integers(1, 4, n),
        rng.random(n) < 0.1,
    )
    every = rows(*zip(*columns, strict=True))
    order = rng.permutation(n)
    index, prob = best_alternatives(every, 0.6)
    shuffled = rows(*zip(*(column[order] for column in columns), strict=True))
    other, same = best_alternatives(shuffled, 0.6)
    np.testing.assert_array_equal(order[other], index)
    np.testing.assert_allclose(same, prob)
    assert 5 < len(index) < n and not every.kept[index].any()
    joined = Candidates.joined([every, every])
    assert len(joined.prob) == 2 * n


def test_no_rows_are_no_rows() -> None:
    none = rows((50.0, 50.0, 10.0, 1.0, 0.9, 1, True))
    index, prob = best_alternatives(none, 0.6)
    assert len(index) == len(prob) == 0

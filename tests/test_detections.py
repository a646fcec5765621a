import numpy as np
import pytest

from skadetect.detections import Detections


def rows(n=6, ndim=2, n_parameters=3, seed=0):
    rng = np.random.default_rng(seed)
    position = rng.uniform(0, 100, (n, ndim))
    return Detections.from_columns(
        position=position,
        boxes=np.stack([position - 2, position + 3], axis=1),
        score=rng.uniform(size=n).round(1),
        parameters=rng.normal(size=(n, n_parameters)),
        prior=np.arange(n),
    )


def same(a, b):
    names = a.__dataclass_fields__
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in names)


def test_columns_keep_their_types_and_missing_ones_are_zero():
    found = rows()
    assert found.position.dtype == np.float64
    assert found.score.dtype == np.float32
    assert found.flags.dtype == np.int32
    assert not found.flags.any()
    assert found.ndim == 2


@pytest.mark.parametrize("ndim", [2, 3])
def test_empty_joins_with_rows(ndim):
    found = rows(ndim=ndim)
    empty = Detections.empty(ndim, 3)
    assert len(empty) == 0
    assert empty.ndim == ndim
    assert same(Detections.concatenate([empty, found, empty]), found)
    assert len(empty.sorted()) == 0


def test_take_concatenate_round_trip():
    found = rows()
    assert same(Detections.concatenate([found.take(slice(0, 2)), found.take(np.arange(2, 6))]), found)
    assert np.array_equal(found.take(found.score > 0.5).score, found.score[found.score > 0.5])


def test_with_replaces_and_leaves_the_original():
    found = rows()
    moved = found.with_(position=found.position + 5)
    assert np.array_equal(moved.position, found.position + 5)
    assert same(moved.with_(position=found.position), found)


@pytest.mark.parametrize("ndim", [2, 3])
def test_sorted_forgets_the_order(ndim):
    found = rows(40, ndim)
    shuffled = found.take(np.random.default_rng(1).permutation(40))
    assert same(found.sorted(), shuffled.sorted())
    assert (np.diff(found.sorted().score) <= 0).all()


def test_sorted_breaks_ties_of_score_and_place_by_the_other_columns():
    twins = rows(1).take([0, 0]).with_(prior=np.array([4, 2]))
    assert list(twins.sorted().prior) == [2, 4]
    assert list(twins.take([1, 0]).sorted().prior) == [2, 4]


@pytest.mark.parametrize("column", ["score", "boxes", "parameters", "flags"])
def test_columns_of_other_length_are_refused(column):
    found = rows()
    with pytest.raises(ValueError, match=column):
        found.with_(**{column: getattr(found, column)[:-1]})


def test_nothing_to_concatenate_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Detections.concatenate([])


def test_some_rows_may_be_changed_and_others_added():
    before, other, more = rows(), rows(2, seed=1), rows(3, seed=2)
    after = before.changed(np.array([4, 1]), other, more)
    assert same(after.take([0, 2, 3, 5]), before.take([0, 2, 3, 5]))
    assert same(after.take([4, 1]), other) and same(after.take(slice(6, None)), more)
    assert same(before, rows())


def test_a_row_is_as_sure_as_its_probability_or_else_its_score():
    found = rows(3).with_(score=[0.9, 0.8, 0.7], prob=[0.1, np.nan, 0.3])
    np.testing.assert_allclose(found.confidence, [0.1, 0.8, 0.3], rtol=1e-6)

import numba
import numpy as np
import pytest

from skadetect.boxes import pairwise_overlap
from skadetect.errors import ModelError
from skadetect.formulas import OVERLAPS, overlap
from skadetect.nn.association import BACKGROUND, IGNORED, associate
from skadetect.nn.head import HeadSpec, decode
from skadetect.nn.loss_options import AssociationOptions
from skadetect.nn.targets import Targets

ONE = HeadSpec(priors=((8, 8),))
TWO = HeadSpec(priors=((8, 8), (4, 16)))
SIX = HeadSpec(priors=((6, 6),) * 4 + ((12, 9), (24, 24)))
CUBE = HeadSpec(priors=((4, 8, 8), (8, 6, 12)), stride=(2, 4, 4), ndim=3)


def boxes(*centres_and_sides):
    """Boxes from (centre, sides) pairs."""
    pairs = np.array(centres_and_sides, dtype=float)
    return np.stack([pairs[:, 0] - pairs[:, 1] / 2, pairs[:, 0] + pairs[:, 1] / 2], axis=1)


def blank(head, shape=(1, 4, 4)):
    """Outputs whose boxes sit in the middle of their cells with the priors' sides."""
    return np.zeros((1, *shape, head.n_outputs), dtype=np.float32)


def scene(head, shape, n, seed=0, patches=1, spread=1.0):
    """Random outputs and targets."""
    rng = np.random.default_rng(seed)
    extent = np.array(shape[3 - head.ndim :]) * head.stride[3 - head.ndim :]
    parts = []
    for _ in range(patches):
        centre, sides = rng.uniform(0, extent, (n, head.ndim)), np.exp(rng.normal(1.8, 0.5, (n, head.ndim)))
        true = np.stack([centre - sides / 2, centre + sides / 2], axis=1)
        parts.append(Targets.of_patch(true, difficult=rng.random(n) < 0.2))
    outputs = rng.normal(0, spread, (patches, *shape, head.n_outputs)).astype(np.float32)
    return outputs, Targets.concatenate(parts)


def predicted(outputs, head):
    """Every predicted box of one patch, (cells, n_boxes, 2, ndim)."""
    return decode(outputs, head, threshold=0.0).boxes.reshape(-1, head.n_boxes, 2, head.ndim)


def cells_of(targets, head, shape):
    """Flat cell of each target."""
    index = (targets.boxes.mean(axis=1) // head.stride[3 - head.ndim :]).astype(int)
    return np.ravel_multi_index(tuple(index.T), shape[3 - head.ndim :])


class TestOrder:
    def test_the_first_of_two_in_a_cell_wins(self):
        found = associate(
            blank(ONE), Targets.of_patch(boxes(((7, 7), (3, 3)), ((6, 6), (8, 8)))), ONE, AssociationOptions()
        )
        assert found.target[0, 5, 0] == 0
        assert found.n_matched == 1
        assert found.overlap[0, 5, 0] == pytest.approx(9 / 64 - np.sqrt(2 / 128))

    def test_each_takes_the_nearest_prior(self):
        true = boxes(((6, 6), (4, 15)), ((5, 5), (4, 16)), ((10, 10), (9, 9)))
        found = associate(blank(TWO), Targets.of_patch(true), TWO, AssociationOptions())
        assert list(found.target[0, 5]) == [1, 0]  # the second gets what is left
        assert list(found.target[0, 10]) == [2, BACKGROUND]

    def test_equal_priors_go_by_overlap(self):
        outputs = blank(SIX)
        outputs[0, 0, 1, 1, 2 * SIX.box_width : 2 * SIX.box_width + 2] = 1.0
        found = associate(outputs, Targets.of_patch(boxes(((7.0, 7.0), (6, 6)))), SIX, AssociationOptions())
        assert found.target[0, 5, 2] == 0

    def test_outside_the_cells_is_skipped(self):
        true = boxes(((-1, 3), (8, 8)), ((3, 16.5), (8, 8)), ((3, 15.9), (8, 8)))
        found = associate(blank(ONE), Targets.of_patch(true), ONE, AssociationOptions())
        assert found.n_matched == 1
        assert found.target[0, 3, 0] == 2


class TestOverlap:
    def test_the_best_pair_goes_first(self):
        true = Targets.of_patch(boxes(((7, 7), (3, 3)), ((6, 6), (8, 8))))
        assert associate(blank(ONE), true, ONE, AssociationOptions(rule="overlap")).target[0, 5, 0] == 1

    def test_hopeless_overlap_takes_the_nearest_prior(self):
        outputs = blank(TWO)
        outputs[
            0, 0, 1, 1, 2:4
        ] = -3.0  # the square box shrinks to a dot: best of both overlaps is the long one
        true = Targets.of_patch(boxes(((6, 6), (8, 8))))
        loose = AssociationOptions(rule="overlap", min_overlap=-1.0)
        strict = AssociationOptions(rule="overlap", min_overlap=0.9)
        assert list(associate(outputs, true, TWO, loose).target[0, 5]) == [BACKGROUND, 0]
        assert list(associate(outputs, true, TWO, strict).target[0, 5]) == [0, BACKGROUND]

    def test_prior_choice_by_probability(self):
        outputs, true = scene(TWO, (1, 16, 16), 150)
        by_prior = associate(outputs, true, TWO, AssociationOptions(rule="overlap", prior_choice=1.0)).target
        by_overlap = associate(outputs, true, TWO, AssociationOptions(rule="overlap")).target
        half = associate(outputs, true, TWO, AssociationOptions(rule="overlap", prior_choice=0.5)).target
        differ = (by_prior != by_overlap).any(axis=2)
        share = (half == by_prior).all(axis=2)[differ].mean()
        assert differ.sum() > 20
        assert 0.25 < share < 0.75

    @pytest.mark.parametrize(("head", "shape"), [(SIX, (1, 3, 4)), (CUBE, (2, 3, 4))], ids=["2D", "3D"])
    @pytest.mark.parametrize("kind", OVERLAPS)
    def test_greedy_by_definition(self, head, shape, kind):
        outputs, true = scene(head, shape, 40)
        options = AssociationOptions(overlap=kind, rule="overlap", min_overlap=-2.0, ignore_difficult=False)
        found = associate(outputs, true, head, options)
        every, cells = predicted(outputs, head), cells_of(true, head, shape)
        for cell in range(len(every)):
            members, free = list(np.flatnonzero(cells == cell)), list(range(head.n_boxes))
            expected = np.full(head.n_boxes, BACKGROUND)
            while members and free:
                pairs = [
                    (overlap(OVERLAPS[kind], true.boxes[t], every[cell, b]), t, b)
                    for t in members
                    for b in free
                ]
                value, t, b = max(pairs)
                expected[b] = t
                assert found.overlap[0, cell, b] == pytest.approx(value, abs=1e-5)
                members.remove(t)
                free.remove(b)
            assert list(found.target[0, cell]) == list(expected)


class TestGoodButNotBest:
    @pytest.mark.parametrize(("head", "shape"), [(SIX, (1, 8, 9)), (CUBE, (4, 5, 6))], ids=["2D", "3D"])
    @pytest.mark.parametrize("good", [0.05, 0.3, 0.5, 0.65])
    def test_all_pairs_and_no_others(self, head, shape, good):
        head = HeadSpec(priors=head.priors, stride=head.stride, ndim=head.ndim, position_scale=1.6)
        outputs = scene(head, shape, 1, spread=0.3)[0]
        every = predicted(outputs, head)
        rng = np.random.default_rng(2)
        copies = every.reshape(-1, 2, head.ndim)[rng.choice(every.shape[0] * head.n_boxes, 60)]
        true = Targets.of_patch(copies + rng.normal(0, 0.5, (60, 1, head.ndim)))
        found = associate(outputs, true, head, AssociationOptions(overlap="iou", good_iou=good))
        best = (
            pairwise_overlap(every.reshape(-1, 2, head.ndim), true.boxes)
            .max(axis=1)
            .reshape(-1, head.n_boxes)
        )
        unmatched = found.target[0] < 0
        assert np.array_equal(found.target[0][unmatched] == IGNORED, (best > good)[unmatched])
        assert (found.target[0] == IGNORED).any()

    def test_off_by_default(self):
        outputs, true = scene(ONE, (1, 8, 8), 60)
        assert not (
            associate(outputs, true, ONE, AssociationOptions(ignore_difficult=False)).target == IGNORED
        ).any()


class TestDifficult:
    true = Targets.of_patch(
        boxes(((7, 7), (3, 3)), ((6, 6), (8, 8)), ((2, 2), (8, 8))), difficult=[True, False, True]
    )

    def test_its_box_is_ignored_and_others_choose_first(self):
        found = associate(blank(ONE), self.true, ONE, AssociationOptions())
        assert found.target[0, 5, 0] == 1
        assert found.target[0, 0, 0] == IGNORED
        assert found.n_matched == 1

    def test_it_takes_what_is_left(self):
        assert list(associate(blank(TWO), self.true, TWO, AssociationOptions()).target[0, 5]) == [1, IGNORED]

    def test_it_counts_when_asked_to(self):
        found = associate(blank(ONE), self.true, ONE, AssociationOptions(ignore_difficult=False))
        assert list(found.target[0, [0, 5], 0]) == [2, 0]


class TestRandom:
    options = AssociationOptions(rule="overlap", random_box=0.5, prior_choice=0.3)

    @pytest.mark.parametrize("startup", [True, False])
    def test_no_box_or_target_twice(self, startup):
        outputs, true = scene(SIX, (1, 4, 4), 120)
        options = AssociationOptions(rule="overlap", random_box=0.5, prior_choice=0.3, ignore_difficult=False)
        target = associate(outputs, true, SIX, options, startup=startup).target[0]
        matched = target[target >= 0]
        assert len(set(matched)) == len(matched)
        per_cell = np.bincount(cells_of(true, SIX, (1, 4, 4)), minlength=16)
        assert np.array_equal((target >= 0).sum(axis=1), np.minimum(per_cell, SIX.n_boxes))

    def test_startup_spreads_over_all_boxes(self):
        outputs, true = blank(SIX, (1, 40, 40)), Targets.of_patch(scene(SIX, (1, 40, 40), 600)[1].boxes)
        options = AssociationOptions()
        taken = (associate(outputs, true, SIX, options, startup=True, seed=3).target[0] >= 0).sum(axis=0)
        assert taken.sum() > 400
        assert (abs(taken / taken.sum() - 1 / 6) < 0.06).all()
        orderly = (associate(outputs, true, SIX, options).target[0] >= 0).sum(axis=0)
        assert orderly[1] < 0.3 * orderly[0]  # only where a cell has several targets

    def test_by_seed_and_not_by_threads(self):
        outputs, true = scene(SIX, (1, 8, 8), 100, patches=3)
        first = associate(outputs, true, SIX, self.options, seed=5).target
        threads = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            again = associate(outputs, true, SIX, self.options, seed=5).target
        finally:
            numba.set_num_threads(threads)
        assert np.array_equal(first, again)
        assert not np.array_equal(first, associate(outputs, true, SIX, self.options, seed=6).target)


def test_targets_that_do_not_fit_are_refused():
    outputs, true = scene(ONE, (1, 4, 4), 3, patches=2)
    with pytest.raises(ModelError, match="2 patches"):
        associate(outputs[:1], true, ONE, AssociationOptions())
    with pytest.raises(ModelError, match="3 axes"):
        associate(
            outputs,
            Targets.concatenate([Targets.of_patch(np.zeros((1, 2, 3)))] * 2),
            ONE,
            AssociationOptions(),
        )


def test_no_targets_is_all_background():
    empty = Targets.of_patch(np.empty((0, 2, 2)))
    assert (associate(blank(TWO), empty, TWO, AssociationOptions(good_iou=0.5)).target == BACKGROUND).all()

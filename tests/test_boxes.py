import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skadetect import boxes as bx
from skadetect.detections import Detections
from skadetect.errors import ConfigError
from skadetect.formulas import OVERLAPS, overlap

CASCADE = ((0.7, -0.1), (0.5, -0.3), (0.3, -0.5))
SETTINGS = [
    {"threshold": 0.3, "overlap": "iou"},
    {"threshold": 0.05, "overlap": "diou", "cascade": CASCADE},
    {"threshold": -0.6, "overlap": "giou"},
    {"threshold": -0.3, "overlap": "diou_squared"},
    {"threshold": 0.5, "overlap": "inner"},
]
IDS = [setting["overlap"] for setting in SETTINGS]


def crowd(seed, n, ndim=2, extent=40.0):
    """Random boxes of widely spread sizes, and rounded scores, so that some are equal."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, extent, (n, ndim))
    half = 0.5 * np.exp(rng.normal(1, 1, (n, ndim)))
    return np.stack([centre - half, centre + half], axis=1), rng.uniform(size=n).round(2)


def greedy(boxes, scores, *, threshold, overlap, cascade=()):
    """NMS by its definition, every pair looked at."""
    kept = []
    for i in np.lexsort([*boxes.reshape(len(boxes), 2 * boxes.shape[2]).T[::-1], -scores]):
        limit = min([threshold, *(strict for below, strict in cascade if scores[i] < below)])
        if all(bx.pairwise_overlap(boxes[[j]], boxes[[i]], kind=overlap)[0, 0] <= limit for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("setting", SETTINGS, ids=IDS)
@pytest.mark.parametrize("ndim", [2, 3])
@given(seed=st.integers(0, 10**6), n=st.integers(0, 40))
def test_nms_is_greedy_by_score(setting, ndim, seed, n):
    boxes, scores = crowd(seed, n, ndim, 40 if ndim == 2 else 15)
    assert list(bx.nms(boxes, scores, **setting)) == greedy(boxes, scores, **setting)


@pytest.mark.parametrize("setting", SETTINGS, ids=IDS)
@given(seed=st.integers(0, 10**6))
def test_nms_forgets_the_order_and_repeats_itself(setting, seed):
    boxes, scores = crowd(seed, 60)
    kept = bx.nms(boxes, scores, **setting)
    order = np.random.default_rng(seed).permutation(60)
    assert np.array_equal(order[bx.nms(boxes[order], scores[order], **setting)], kept)
    assert np.array_equal(bx.nms(boxes[kept], scores[kept], **setting), np.arange(len(kept)))


def test_nms_of_one_giant_among_many_dwarfs():
    boxes, scores = crowd(3, 300, extent=500.0)
    boxes = np.concatenate([boxes, [[[-4000, -4000], [4500, 4500]]]])
    scores = np.append(scores, 0.5)
    setting = {"threshold": -0.1, "overlap": "diou"}
    assert list(bx.nms(boxes, scores, **setting)) == greedy(boxes, scores, **setting)


def test_cascade_is_harder_on_weak_boxes():
    boxes = np.array([[[0, 0], [4, 4]], [[0, 5], [4, 9]]], dtype=float)  # DIoU = -5 / sqrt(97) = -.51
    assert len(bx.nms(boxes, np.array([0.9, 0.8]), threshold=0.05, cascade=CASCADE)) == 2
    assert len(bx.nms(boxes, np.array([0.9, 0.2]), threshold=0.05, cascade=CASCADE)) == 2
    nearer = boxes - np.array([[[0, 0]], [[0, 0.5]]])  # -4.5 / sqrt(88.25) = -.479
    assert len(bx.nms(nearer, np.array([0.9, 0.4]), threshold=0.05, cascade=CASCADE)) == 2
    assert list(bx.nms(nearer, np.array([0.9, 0.2]), threshold=0.05, cascade=CASCADE)) == [0]


def test_groups_spare_their_own():
    boxes = np.array([[[0, 0], [4, 4]]] * 3, dtype=float)
    scores = np.array([0.9, 0.8, 0.7])
    assert list(bx.nms(boxes, scores, threshold=0.3)) == [0]
    assert list(bx.nms(boxes, scores, threshold=0.3, groups=np.array([1, 1, 2]))) == [0, 1]


@given(seed=st.integers(0, 1000), n=st.integers(0, 60), levels=st.integers(1, 100))
def test_rows_fall_and_ties_rise_by_their_columns(seed, n, levels):
    rng = np.random.default_rng(seed)
    values, ties = rng.integers(0, levels, n) / 7.0, rng.integers(0, 4, (n, 3)).astype(float)
    order = bx.falling_order(values, ties)
    np.testing.assert_array_equal(order, np.lexsort([*ties.T[::-1], -values]))


def test_nms_limits_that_drop_everything_are_refused():
    boxes, scores = crowd(0, 3)
    with pytest.raises(ConfigError, match="above -1"):
        bx.nms(boxes, scores, threshold=-1.0)
    with pytest.raises(ConfigError, match="0 or more"):
        bx.nms(boxes, scores, threshold=-0.1, overlap="iou")
    with pytest.raises(ConfigError, match="expected one of iou"):
        bx.nms(boxes, scores, threshold=0.1, overlap="ciou")


def test_inner_says_how_deep_a_centre_lies_in_the_better_box():
    better = np.array([[[0, 0, 0], [8, 4, 4]]], dtype=float)
    centres = np.array([[4, 2, 2], [6, 2, 2], [4, 2, 2.5], [8, 2, 2], [4, -1, 2]])
    worse = np.stack([centres - 50, centres + 50], axis=1)
    depth = bx.pairwise_overlap(better, worse, kind="inner")[0]
    assert np.allclose(depth, [1.0, 0.5, 0.75, 0.0, -0.5])
    assert (bx.pairwise_overlap(worse, better, kind="inner") > 0.9).all()  # the size of the better one counts


def test_nms_of_nonsense_is_refused():
    boxes, scores = crowd(0, 3)
    with pytest.raises(ValueError, match="expected"):
        bx.nms(boxes, scores[:2], threshold=0.1)
    boxes[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        bx.nms(boxes, scores, threshold=0.1)


class Columns:
    """Tiles of a given width side by side."""

    def __init__(self, width):
        self.width = width

    def owner(self, positions):
        return np.floor((positions[:, 1] + 0.5) / self.width).astype(int)


def detections(seed, n=80):
    boxes, scores = crowd(seed, n)
    position = boxes.mean(axis=1)
    return Detections.from_columns(position=position, boxes=boxes, score=scores, prior=np.arange(n))


def per_tile(found, grid):
    """NMS inside each tile, tiles in order."""
    tiles = grid.owner(found.position)
    parts = [found.take(tiles == tile) for tile in np.unique(tiles)]
    return [part.take(bx.nms(part.boxes, part.score, threshold=0.1)) for part in parts]


@given(seed=st.integers(0, 10**6))
def test_one_nms_of_all_tiles_is_that_of_the_image(seed):
    found = detections(seed).sorted()
    whole = found.take(bx.nms(found.boxes, found.score, threshold=0.1))
    tiles = Columns(7).owner(found.position)
    joined = Detections.concatenate([found.take(tiles == tile) for tile in np.unique(tiles)[::-1]]).sorted()
    assert np.array_equal(joined.take(bx.nms(joined.boxes, joined.score, threshold=0.1)).prior, whole.prior)


@given(seed=st.integers(0, 10**6))
def test_seam_nms_forgets_the_order_and_repeats_itself(seed):
    grid = Columns(10)
    parts = per_tile(detections(seed), grid)
    once = bx.seam_nms(Detections.concatenate(parts), grid, threshold=0.1, margin=8.0)
    back = bx.seam_nms(Detections.concatenate(parts[::-1]), grid, threshold=0.1, margin=8.0)
    again = bx.seam_nms(once, grid, threshold=0.1, margin=8.0)
    assert np.array_equal(once.prior, back.prior)
    assert np.array_equal(once.prior, again.prior)


def test_seam_nms_drops_the_double_at_the_seam_only():
    position = np.array([[5.0, 9.0], [5.0, 9.8], [5.0, 3.0], [5.0, 3.2]])
    found = Detections.from_columns(
        position=position,
        boxes=np.stack([position - 2, position + 2], axis=1),
        score=np.array([0.9, 0.8, 0.7, 0.6]),
        prior=np.arange(4),
    )
    grid = Columns(10)
    kept = bx.seam_nms(found, grid, threshold=0.1, margin=2.0)
    assert list(kept.prior) == [0, 2, 3]  # the pair inside one tile is not this function's business
    assert len(bx.seam_nms(found.take([]), grid, threshold=0.1, margin=2.0)) == 0


@pytest.mark.parametrize("kind", OVERLAPS)  # the formulas themselves
def test_pairwise_overlap(kind):
    a, b = crowd(1, 4)[0], crowd(2, 3)[0]
    table = bx.pairwise_overlap(a, b, kind=kind)
    expected = [[overlap(OVERLAPS[kind], p, q) for q in b] for p in a]
    assert np.allclose(table, expected, rtol=1e-12)


def test_shift_and_clip():
    boxes = np.array([[[0, 0], [4, 6]], [[10, 10], [12, 12]]], dtype=float)
    assert np.array_equal(bx.shift(boxes, (1, 2))[0], [[1, 2], [5, 8]])
    assert np.array_equal(bx.shift(boxes, np.array([[1, 2], [0, -1]]))[1], [[10, 9], [12, 11]])
    clipped = bx.clip(boxes, (1, 1), (5, 5))
    assert np.array_equal(clipped[0], [[1, 1], [4, 5]])
    assert (clipped[1, 0] == clipped[1, 1]).all()

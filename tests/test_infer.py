"""A model on a map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skadetect.beams import PixelBeam
from skadetect.boxes import nms, pairwise_overlap
from skadetect.detections import Detections
from skadetect.infer import Stopwatch, candidates, infer, merge
from skadetect.nn.backends import cpu, reference
from tests.nn.networks import small_model

BEAM = PixelBeam(3.0, 2.5, 0.4)


def _map(height: int = 40, width: int = 52) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, height, width)).astype(np.float32)


def test_one_candidate_a_cell_at_no_threshold_at_all() -> None:
    model = small_model()
    found = candidates(model, _map(), BEAM, backend=cpu, threshold=1e-9)
    # centres may reach a little beyond their cell, at the border out of the map
    assert 0.8 * 130 < len(found) <= 130
    assert (found.position >= -0.5).all()
    assert (found.position < np.array([39.5, 51.5])).all()
    np.testing.assert_allclose(found.position, found.boxes.mean(axis=1), atol=1e-9)


def test_back_ends_agree() -> None:
    model = small_model()
    a, b = (candidates(model.folded(), _map(), BEAM, backend=backend) for backend in (cpu, reference))
    assert len(a) == len(b) > 10
    np.testing.assert_allclose(a.position, b.position, atol=1e-3)
    np.testing.assert_allclose(a.parameters, b.parameters, atol=1e-3)
    np.testing.assert_array_equal(a.anchor, b.anchor)


def test_maps_of_any_extent() -> None:
    model, s = small_model(), _map(48, 48)
    cut = candidates(model, s[:, :41, :43], BEAM, backend=cpu)
    s[:, 41:], s[:, :, 43:] = 0.0, 0.0
    padded = candidates(model, s, BEAM, backend=cpu)
    inside = (padded.position < np.array([40.5, 42.5])).all(axis=1)
    # the padding of the last cells is the same zeros, whoever put them there
    near = (padded.position < np.array([24.0, 24.0])).all(axis=1) & inside
    kept = (cut.position < 24.0).all(axis=1)
    np.testing.assert_allclose(cut.take(kept).position, padded.take(near).position, atol=1e-4)


def test_merging_is_idempotent_and_blind_to_order() -> None:
    model = replace(small_model(), nms_overlap=0.0)
    found = candidates(model, _map(), BEAM, backend=cpu)
    once = merge(found, model)
    shuffled = merge(found.take(np.random.default_rng(1).permutation(len(found))), model)
    assert 0 < len(once) < len(found)
    for other in (merge(once, model), shuffled, infer(model, _map(), BEAM, backend=cpu)):
        np.testing.assert_array_equal(other.position, once.position)
    assert len(merge(Detections.empty(2, 5), model)) == 0


def test_the_networks_seconds_are_counted() -> None:
    watch = Stopwatch()
    candidates(small_model(), _map(), BEAM, backend=cpu, watch=watch)
    assert watch.network > 0


def _crowd(seed: int) -> Detections:
    """Boxes of galaxies that are much longer along the spectrum, many of them twice."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, [60, 25, 25], (40, 3))
    centre = np.concatenate([centre, centre + rng.normal(0, [4, 0.5, 0.5], centre.shape)])
    side = np.array([20.0, 5.0, 5.0]) * np.exp(rng.normal(0, 0.7, centre.shape))
    boxes = np.stack([centre - side / 2, centre + side / 2], axis=1)
    score = rng.uniform(0.3, 1.0, len(centre)).round(2)
    return Detections.from_columns(position=centre, boxes=boxes, score=score)


@given(seed=st.integers(0, 10**6))
def test_in_a_cube_no_centre_is_left_in_the_inner_half_of_a_better_box(seed: int) -> None:
    model, found = replace(small_model(), nms_overlap=-0.2), _crowd(seed)
    once = merge(found, model)
    assert 0 < len(once) < 45
    depth = pairwise_overlap(once.boxes, once.boxes, kind="inner")
    assert (depth[np.triu_indices(len(once), 1)] <= 0.5).all()  # rows go by falling score
    shuffled = merge(found.take(np.random.default_rng(seed).permutation(len(found))), model)
    for other in (merge(once, model), shuffled):
        np.testing.assert_array_equal(other.position, once.position)


def test_a_long_and_a_short_box_of_one_galaxy_are_one_in_a_cube() -> None:
    boxes = np.array([[[0, 8, 8], [60, 12, 12]], [[33, 8.5, 8.5], [38, 11.5, 11.5]]], float)
    found = Detections.from_columns(position=boxes.mean(axis=1), boxes=boxes, score=np.array([0.9, 0.8]))
    assert len(nms(boxes, found.score, threshold=0.1)) == 2
    assert len(merge(found, replace(small_model(), nms_overlap=0.1))) == 1

"""The loss of a box: its gradient against finite differences and PyTorch, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skadetect.box_loss import TERMS, background_loss, matched_loss
from skadetect.nn.head import HeadSpec
from skadetect.nn.loss_options import LossOptions
from skadetect.nn.loss_task import loss_settings

CLASSES, PARAMETERS = 3, 2
HEADS = {
    2: HeadSpec(priors=((6.0, 9.0),), stride=(1, 4, 4), ndim=2, classes=CLASSES, parameters=PARAMETERS),
    3: HeadSpec(priors=((20.0, 6.0, 9.0),), stride=(8, 4, 4), ndim=3, classes=CLASSES, parameters=PARAMETERS),
}
FORMS = [
    {"position": "squared", "size": "smooth_l1", "parameters": ("squared", "score")},
    {"position": "smooth_l1", "size": "squared", "parameters": ("relative", "l1"), "gamma": (0.7, 1.3)},
    {"probability": "squared", "objectness": "squared", "classes": "bce", "probability_weight": 0.6},
    {"probability": "bce", "objectness": "bce", "classes": "softmax", "probability_weight": 0.6},
    {"classes": "squared", "objectness_target": "overlap"},
]


def of_box(
    values: np.ndarray, head: HeadSpec, options: LossOptions, *, quality: float = 0.4, **truth: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Terms and gradient of a box that is matched to a target near the middle of cell (2, 3, 4)."""
    given = {"parameters": np.array([[0.3, -0.2]]), "class_index": 1, "weight": 0.8} | truth
    centre = np.array([2.4, 3.3, 4.6])[3 - head.ndim :] * head.stride[3 - head.ndim :]
    half = np.array([12.0, 2.5, 5.5])[3 - head.ndim :]
    cell, terms, grad = np.array([2, 3, 4])[3 - head.ndim :], np.zeros(TERMS), np.zeros(len(values))
    target = (
        np.stack([centre - half, centre + half])[None],
        given["parameters"],
        np.array([given["class_index"]]),
        np.array([given["weight"]]),
    )
    layout = head.prior_array, head.geometry, head.classes
    matched_loss(values, (0, quality), (cell, 0), target, layout, loss_settings(options, head), grad, terms)
    return terms, grad


@pytest.mark.parametrize("form", range(len(FORMS)))
@pytest.mark.parametrize("ndim", [2, 3])
def test_gradients_are_the_finite_differences_of_the_sum_of_the_terms(ndim: int, form: int) -> None:
    head, options = HEADS[ndim], LossOptions(**FORMS[form])
    values = np.random.default_rng(form).normal(0.0, 0.8, head.n_outputs)
    _, grad = of_box(values, head, options)
    step = 1e-5
    for index in range(len(values)):
        up, down = values.copy(), values.copy()
        up[index] += step
        down[index] -= step
        slope = (of_box(up, head, options)[0].sum() - of_box(down, head, options)[0].sum()) / (2 * step)
        assert grad[index] == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_cross_entropies_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    head, values = HEADS[2], np.random.default_rng(3).normal(0.0, 1.5, HEADS[2].n_outputs)
    options = LossOptions(probability_weight=1.0)
    terms, grad = of_box(values, head, options)
    raw = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    one = torch.ones((), dtype=torch.float64)
    binary = torch.nn.functional.binary_cross_entropy_with_logits
    probability, objectness = (0.8 * binary(raw[4 + part], one) for part in range(2))
    classes = torch.nn.functional.cross_entropy(raw[6 : 6 + CLASSES][None], torch.tensor([1]))
    (probability + objectness + classes).backward()
    np.testing.assert_allclose(
        terms[2:5], [loss.item() for loss in (probability, objectness, classes)], rtol=1e-12
    )
    np.testing.assert_allclose(grad[4 : 6 + CLASSES], raw.grad[4 : 6 + CLASSES], rtol=1e-10, atol=1e-14)


def test_what_is_unknown_of_a_target_is_not_learned() -> None:
    head, options = HEADS[2], LossOptions(parameters=("squared",))
    values = np.random.default_rng(4).normal(size=head.n_outputs)
    terms, grad = of_box(values, head, options, parameters=np.array([[np.nan, 0.5]]), class_index=-1)
    assert grad[-2] == 0.0 and grad[-1] != 0.0 and terms[4] == 0.0
    assert not grad[6 : 6 + CLASSES].any()


@pytest.mark.parametrize(
    ("limit", "term"), [("objectness_limit", 3), ("classes_limit", 4), ("parameters_limit", 5)]
)
def test_parts_wait_for_an_overlap(limit: str, term: int) -> None:
    head, values = HEADS[3], np.random.default_rng(5).normal(size=HEADS[3].n_outputs)
    for quality, learned in ((0.6, True), (0.4, False)):
        terms, _ = of_box(values, head, LossOptions(**{limit: 0.5}), quality=quality)
        assert bool(terms[term]) == learned and terms[0] > 0 and terms[1] > 0


def test_a_target_larger_than_the_head_can_say_pulls_to_the_limit() -> None:
    head = HeadSpec(priors=((6.0, 9.0),), stride=(1, 4, 4), ndim=2, parameters=2, size_clip=(-0.1, 0.1))
    at_limit = np.zeros(head.n_outputs)
    at_limit[2:4] = -0.1, 0.1  # of sides 5 and 11 beside the prior's 6 and 9
    terms, grad = of_box(at_limit, head, LossOptions())
    assert terms[1] == pytest.approx(0.0, abs=1e-12) and np.abs(grad[2:4]).max() <= 0.3


def test_the_background_learns_that_nothing_is_there() -> None:
    head, options = HEADS[2], LossOptions(probability_weight=0.5)
    values = np.full(head.n_outputs, 1.2)
    terms, grad = np.zeros(TERMS), np.zeros(head.n_outputs)
    background_loss(values, 0.25, head.ndim, loss_settings(options, head), grad, terms)
    chance = 1.0 / (1.0 + np.exp(-1.2))
    np.testing.assert_allclose(terms[2:4], -0.25 * np.log(1.0 - chance) * np.array([0.5, 1.0]), rtol=1e-12)
    np.testing.assert_allclose(grad[4:6], 0.25 * chance * np.array([0.5, 1.0]), rtol=1e-12)
    assert not grad[:4].any() and not grad[6:].any()

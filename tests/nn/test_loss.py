import math
from dataclasses import replace

import numba
import numpy as np
import pytest
import torch
from torch.nn import functional as tf

from skadetect.errors import ConfigError
from skadetect.nn.association import BACKGROUND, IGNORED, NEAR, associate
from skadetect.nn.head import HeadSpec
from skadetect.nn.loss import AssociationOptions, LossOptions, Targets, assigned_loss, yolo_loss
from skadetect.nn.near import mark_near

FLAT = HeadSpec(priors=((6, 8),), parameters=4, position_scale=1.4)
NINE = HeadSpec(priors=((6, 6),) * 6 + ((12, 9), (9, 12), (24, 24)), parameters=5, size_clip=(-1.2, 1.2))
CUBE = HeadSpec(priors=((4, 8, 8), (8, 6, 12)), stride=(2, 4, 4), ndim=3, classes=3, parameters=5)

MODERN = LossOptions(parameters=("l1", "relative", "squared", "squared"), gamma=(1.0, 0.5, 0.2, 0.2))
MIXED = LossOptions(
    association=AssociationOptions(rule="overlap", good_iou=0.3, overlap="giou", min_overlap=-1.0),
    position="l1",
    size="relative",
    objectness_target="overlap",
    objectness_range=(0.02, 0.98),
    probability_weight=0.7,
    parameters=("score", "relative", "smooth_l1", "l1", "squared"),
    tolerance=(0.1, 0.2, 0.3, 0.4, 0.5),
    probability_limit=-0.5,
    classes_limit=-0.4,
    parameters_limit=-0.3,
    normalise="none",
)
CASES = {
    "modern": (FLAT, MODERN),
    "original": (NINE, LossOptions.cianna_sdc1()),
    "cube": (CUBE, MIXED),
    "cube, other classes": (CUBE, replace(MIXED, classes="bce", objectness="squared", normalise="patches")),
    "cube, iou": (CUBE, replace(MIXED, classes="squared", association=AssociationOptions(overlap="iou"))),
}


def scene(head, seed=0, patches=2, n=30):
    """Random outputs and targets, with unknown parameters and classes and difficult ones among them."""
    rng = np.random.default_rng(seed)
    shape = (1, 6, 7) if head.ndim == 2 else (3, 4, 5)
    extent = np.array(shape[3 - head.ndim :]) * head.stride[3 - head.ndim :]
    parts = []
    for _ in range(patches):
        centre, sides = rng.uniform(0, extent, (n, head.ndim)), np.exp(rng.normal(1.8, 0.4, (n, head.ndim)))
        parameters = np.where(
            rng.random((n, head.parameters)) < 0.2, np.nan, rng.normal(size=(n, head.parameters))
        )
        parts.append(
            Targets.of_patch(
                np.stack([centre - sides / 2, centre + sides / 2], axis=1),
                parameters,
                class_index=rng.integers(-1, max(head.classes, 1), n),
                weight=rng.uniform(0.3, 1, n),
                difficult=rng.random(n) < 0.2,
            )
        )
    return rng.normal(size=(patches, *shape, head.n_outputs)).astype(np.float32), Targets.concatenate(parts)


@pytest.mark.parametrize(("head", "options"), CASES.values(), ids=CASES.keys())
def test_gradient_is_that_of_finite_differences(head, options):
    outputs, targets = scene(head)
    matches = associate(outputs, targets, head, options.association)
    gradient = assigned_loss(outputs, targets, matches, head, options)[1]
    assert gradient.dtype == np.float32
    rng = np.random.default_rng(1)
    places = [*rng.choice(outputs.size, 100, replace=False), *rng.choice(np.flatnonzero(gradient), 200)]
    for place in places:
        low, high = outputs.copy(), outputs.copy()
        low.flat[place] -= 2e-3
        high.flat[place] += 2e-3
        rise = (
            assigned_loss(high, targets, matches, head, options)[0].total
            - assigned_loss(low, targets, matches, head, options)[0].total
        )
        slope = rise / (float(high.flat[place]) - float(low.flat[place]))
        assert gradient.flat[place] == pytest.approx(slope, rel=2e-3, abs=2e-4)


def torch_modern(outputs, targets, matched):
    """The default loss for FLAT, written again from its description."""
    planes = torch.tensor(outputs, requires_grad=True)
    cells = planes.reshape(-1, FLAT.n_outputs)
    target = matched.target.reshape(-1)
    positive, learnt = torch.tensor(target >= 0), torch.tensor(target != IGNORED)
    rows = target[target >= 0]
    per_patch = outputs.shape[2] * outputs.shape[3]
    flat = np.flatnonzero(target >= 0) % per_patch
    cell = np.stack(np.divmod(flat, outputs.shape[3]), axis=1)
    boxes = targets.boxes[rows]
    centre, sides = boxes.mean(axis=1) / 4 - cell, boxes[:, 1] - boxes[:, 0]
    hits = cells[positive]
    position = tf.smooth_l1_loss(torch.sigmoid(hits[:, :2]) * 1.4 - 0.2, as_float(centre), reduction="sum")
    size = tf.l1_loss(hits[:, 2:4], as_float(np.log(sides / np.array(FLAT.priors[0]))), reduction="sum")
    weight = np.ones(len(target))
    weight[target >= 0] = targets.weight[rows]
    entropy = tf.binary_cross_entropy_with_logits(cells[:, 5], positive.float(), reduction="none")
    objectness = (entropy * as_float(weight))[learnt].sum()
    true = torch.tensor(targets.parameters[rows])
    d = hits[:, 6:] - torch.nan_to_num(true)
    bend = math.log(4)
    inner = torch.expm1(d[:, 1].clamp(-bend, bend)).abs()
    relative = inner + 4 * (d[:, 1] - bend).clamp(min=0) + 0.25 * (-d[:, 1] - bend).clamp(min=0)
    parts = torch.stack([d[:, 0].abs(), 0.5 * relative, 0.1 * d[:, 2] ** 2, 0.1 * d[:, 3] ** 2], dim=1)
    parameters = torch.where(torch.isnan(true), torch.zeros(()), parts).sum()
    terms = [3 * position, 0.3 * size, objectness, parameters]
    total = sum(terms) / len(rows)
    total.backward()
    return [term.item() / len(rows) for term in terms], planes.grad.numpy()


def as_float(values):
    return torch.tensor(values, dtype=torch.float32)


def test_modern_default_is_that_of_pytorch():
    outputs, targets = scene(FLAT, patches=3)
    matched = associate(outputs, targets, FLAT, MODERN.association)
    terms, gradient = yolo_loss(outputs, targets, FLAT, MODERN)
    expected, torch_gradient = torch_modern(outputs, targets, matched)
    assert [terms.position, terms.size, terms.objectness, terms.parameters] == pytest.approx(
        expected, rel=1e-5
    )
    assert np.allclose(gradient, torch_gradient, rtol=1e-4, atol=1e-7)


def test_classes_are_those_of_pytorch():
    outputs, targets = scene(CUBE)
    matched = associate(outputs, targets, CUBE, AssociationOptions())
    cells = outputs.reshape(-1, CUBE.box_width)
    hit = np.flatnonzero(matched.target.reshape(-1) >= 0)
    true = targets.class_index[matched.target.reshape(-1)[hit]]
    logits, known = torch.tensor(cells[hit, 8:11]), torch.tensor(true)
    softmax = tf.cross_entropy(logits, known, ignore_index=-1, reduction="sum").item()
    assert assigned_loss(outputs, targets, matched, CUBE, LossOptions(normalise="none"))[
        0
    ].classes == pytest.approx(softmax, rel=1e-5)
    one_hot = tf.one_hot(known.clamp(min=0), 3)[known >= 0]
    binary = tf.binary_cross_entropy_with_logits(logits[known >= 0], one_hot.float(), reduction="sum").item()
    options = LossOptions(normalise="none", classes="bce")
    assert assigned_loss(outputs, targets, matched, CUBE, options)[0].classes == pytest.approx(
        binary, rel=1e-5
    )


def test_original_by_hand():
    head = HeadSpec(priors=((6, 6), (12, 12)), parameters=5)
    options = replace(LossOptions.cianna_sdc1(), background=(0.15, 0.01))
    options = replace(options, association=AssociationOptions(rule="overlap"))
    true = np.array([[[0, -1], [6, 5]]], dtype=float)  # centre (3, 2) in a cell of 4, prior's own size
    outputs = np.zeros((1, 1, 1, 1, head.n_outputs), dtype=np.float32)
    targets = Targets.of_patch(true, np.array([[1, np.nan, 2, 1, 1]]))
    terms, gradient = yolo_loss(outputs, targets, head, options)
    quality = 30 / 42 - 1 / math.hypot(7, 6)
    fit = (1 + quality) / 2
    assert terms.n_matched == 1
    assert terms.position == pytest.approx(36 * 0.5 * 0.25**2)
    assert terms.size == 0
    assert terms.probability == pytest.approx(0.5 * 0.5 * (0.48**2 + 0.01 * 0.25))
    assert terms.objectness == pytest.approx(2 * 0.5 * ((0.5 - fit) ** 2 + 0.01 * 0.25))
    assert terms.parameters == pytest.approx(5 * 0.5 * (2 * 1 + 1 * 4 + 0.5 + 0.5))
    assert gradient[0, 0, 0, 0, :2] == pytest.approx([36 * -0.25 * 0.25, 0])
    assert gradient[0, 0, 0, 0, 6:11] == pytest.approx([-10, 0, -10, -2.5, -2.5])


@pytest.mark.parametrize(("head", "options"), CASES.values(), ids=CASES.keys())
def test_terms_add_up_and_do_not_depend_on_threads(head, options):
    outputs, targets = scene(head, patches=3)
    terms, gradient = yolo_loss(outputs, targets, head, options, seed=4)
    parts = terms.to_dict()
    total, _ = parts.pop("total"), parts.pop("n_matched")
    assert total == pytest.approx(sum(parts.values()))
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        single, single_gradient = yolo_loss(outputs, targets, head, options, seed=4)
    finally:
        numba.set_num_threads(threads)
    assert single == terms
    assert np.array_equal(gradient, single_gradient)


@pytest.mark.parametrize("normalise", ["none", "patches", "matched"])
def test_normalisation(normalise):
    outputs, targets = scene(FLAT, patches=3)
    plain = yolo_loss(outputs, targets, FLAT, replace(MODERN, normalise="none"))
    divided = yolo_loss(outputs, targets, FLAT, replace(MODERN, normalise=normalise))
    divisor = {"none": 1, "patches": 3, "matched": plain[0].n_matched}[normalise]
    assert divided[0].total == pytest.approx(plain[0].total / divisor)
    assert np.allclose(divided[1], plain[1] / divisor, rtol=1e-5)


def test_weight_scales_the_presence_of_its_target_only():
    outputs, targets = scene(FLAT, patches=1)
    full, gradient = yolo_loss(outputs, replace(targets, weight=np.ones(30)), FLAT, MODERN)
    half, half_gradient = yolo_loss(outputs, replace(targets, weight=np.full(30, 0.5)), FLAT, MODERN)
    matched = associate(outputs, targets, FLAT, MODERN.association).target.reshape(1, 1, 6, 7) >= 0
    assert np.allclose(half_gradient[matched][:, 5], 0.5 * gradient[matched][:, 5])
    assert np.array_equal(half_gradient[~matched], gradient[~matched])
    assert half.position == full.position
    assert half.parameters == full.parameters


def test_ignored_boxes_learn_nothing():
    outputs, targets = scene(NINE)
    options = LossOptions.cianna_sdc1()
    matched = associate(outputs, targets, NINE, options.association)
    gradient = assigned_loss(outputs, targets, matched, NINE, options)[1]
    per_box = gradient.reshape(2, -1, 9, NINE.box_width)
    assert (matched.target == IGNORED).any()
    assert not per_box[matched.target == IGNORED].any()
    assert not per_box[matched.target == -1][:, :4].any()
    assert per_box[matched.target == -1][:, 5].all()


def test_limits_switch_parts_off():
    outputs, targets = scene(FLAT)
    options = replace(MODERN, parameters_limit=1.5, objectness_limit=1.5)
    terms, gradient = yolo_loss(outputs, targets, FLAT, options)
    matched = associate(outputs, targets, FLAT, options.association).target.reshape(outputs.shape[:4]) >= 0
    assert terms.parameters == 0
    assert not gradient[matched][:, 5:].any()
    assert gradient[matched][:, :2].all()


def test_no_targets_leaves_the_background():
    outputs, _ = scene(FLAT)
    empty = Targets.concatenate([Targets.of_patch(np.empty((0, 2, 2)), np.empty((0, 4)))] * 2)
    terms, gradient = yolo_loss(outputs, empty, FLAT)
    assert terms.n_matched == 0
    assert (
        terms.total
        == terms.objectness
        == pytest.approx(np.log1p(np.exp(outputs[..., 5].astype(float))).sum())
    )
    assert not np.delete(gradient, 5, axis=-1).any()


def test_descent_reaches_the_targets():
    outputs, targets = scene(FLAT, patches=1, n=8)
    targets = replace(targets, difficult=np.zeros(8), weight=np.ones(8))
    start = yolo_loss(outputs, targets, FLAT, MODERN)[0]
    for _ in range(300):
        outputs -= 0.3 * yolo_loss(outputs, targets, FLAT, MODERN)[1]
    assert yolo_loss(outputs, targets, FLAT, MODERN)[0].total < 0.2 * start.total


@pytest.mark.parametrize(
    "values",
    [
        {"gamma": (1.0, 2.0)},
        {"parameters": ("l1",) * 3},
        {"background": (1.0, 2.0)},
        {"tolerance": (1.0,) * 5},
    ],
)
def test_settings_of_other_length_are_refused(values):
    outputs, targets = scene(FLAT)
    with pytest.raises(ConfigError, match=f"loss {next(iter(values))} has"):
        yolo_loss(outputs, targets, FLAT, LossOptions(**values))


def test_other_parameters_are_refused():
    outputs, _ = scene(FLAT)
    with pytest.raises(ConfigError, match="expected 4"):
        yolo_loss(outputs, Targets.concatenate([Targets.of_patch(np.zeros((1, 2, 2)))] * 2), FLAT)


@pytest.mark.parametrize("head", [FLAT, NINE], ids=["one box", "nine boxes"])
def test_cells_around_a_target_learn_the_background_with_their_own_weight(head):
    outputs, targets = scene(head, n=2)
    options = LossOptions(near_weight=0.25)
    plain = yolo_loss(outputs, targets, head, replace(options, near_weight=1.0))[1]
    softer = yolo_loss(outputs, targets, head, options)[1]
    matched = associate(outputs, targets, head, options.association)
    background = matched.target == BACKGROUND
    mark_near(matched, targets, head, outputs.shape[1:4])
    near = matched.target == NEAR
    assert near.any() and (background & ~near).any()
    boxes = (len(outputs), -1, head.n_boxes, head.box_width)
    plain, softer = plain.reshape(boxes), softer.reshape(boxes)
    assert np.allclose(softer[near], 0.25 * plain[near])
    assert np.array_equal(softer[~near], plain[~near])

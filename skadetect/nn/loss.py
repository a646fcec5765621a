"""The YOLO loss and its gradient with respect to the raw outputs.

A matched box learns position, size, probability, objectness, class and parameters of its target; a background
box learns that there is nothing; an ignored box learns nothing. The association is held fixed in the
gradient.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange

from skadetect._numba import JIT, PARALLEL
from skadetect.errors import ConfigError
from skadetect.formulas import (
    IOU,
    OVERLAPS,
    RESIDUALS,
    centre_offset,
    cross_entropy,
    fit_quality,
    residual,
    sigmoid,
)
from skadetect.nn.association import IGNORED, NEAR, Assignment, associate
from skadetect.nn.head import HeadSpec
from skadetect.nn.loss_options import LOGIT_LOSSES, AssociationOptions, LossOptions
from skadetect.nn.near import mark_near
from skadetect.nn.targets import Targets

__all__ = ["AssociationOptions", "LossOptions", "LossTerms", "Targets", "assigned_loss", "yolo_loss"]

_N_TERMS = 6


@dataclass(frozen=True)
class LossTerms:
    """Parts of a loss, weighted and normalised to add up to the total, and the number of matched boxes."""

    position: float
    size: float
    probability: float
    objectness: float
    classes: float
    parameters: float
    total: float
    n_matched: int

    def to_dict(self) -> dict[str, float]:
        """Plain data, for logs."""
        return asdict(self)


class _Settings(NamedTuple):
    """LossOptions as the kernels take them."""

    kinds: np.ndarray  # position, size, probability, objectness, classes: int64
    weights: np.ndarray  # the same five parts and the parameters
    limits: np.ndarray  # probability, objectness, classes, parameters
    binary_range: np.ndarray  # target of the background, largest target
    background: np.ndarray  # (2, n_boxes): anywhere, and next to a target
    parameter_kinds: np.ndarray  # (P,) int64
    gamma: np.ndarray  # (P,)
    tolerance: np.ndarray  # (P,)
    overlap_kind: int
    overlap_target: bool


def yolo_loss(
    outputs: np.ndarray,
    targets: Targets,
    head: HeadSpec,
    options: LossOptions | None = None,
    *,
    startup: bool = False,
    seed: int = 0,
) -> tuple[LossTerms, np.ndarray]:
    """Loss of a batch and its gradient.

    Parameters
    ----------
    outputs : ndarray, shape (B, Z, Y, X, n_outputs), float32
        Raw planes of the last layer.
    targets : Targets
        True boxes of the B patches.
    head, options : HeadSpec, LossOptions
        Layout of the outputs; forms and weights (default `LossOptions()`).
    startup, seed : bool, int
        See `skadetect.nn.association.associate`.

    Returns
    -------
    terms : LossTerms
        Parts of the loss.
    gradient : ndarray, shape of `outputs`, float32
        Derivative of the total with respect to the outputs.

    Raises
    ------
    ModelError, ConfigError
        If outputs, targets, head and options do not fit each other.
    """
    options = LossOptions() if options is None else options
    assignment = associate(outputs, targets, head, options.association, startup=startup, seed=seed)
    if options.near_weight < 1.0:
        mark_near(assignment, targets, head, outputs.shape[1:4])
    return assigned_loss(outputs, targets, assignment, head, options)


def assigned_loss(
    outputs: np.ndarray, targets: Targets, assignment: Assignment, head: HeadSpec, options: LossOptions
) -> tuple[LossTerms, np.ndarray]:
    """`yolo_loss` with the association given: a differentiable function of the outputs."""
    if targets.parameters.shape[1] != head.parameters:
        raise ConfigError(
            f"targets have {targets.parameters.shape[1]} parameters, expected {head.parameters}"
        )
    n_matched = assignment.n_matched
    divisor = {"matched": max(n_matched, 1), "patches": len(outputs), "none": 1}[options.normalise]
    gradient = np.zeros(outputs.shape, dtype=np.float32)
    terms = np.zeros((len(outputs), _N_TERMS))
    truth = (targets.boxes, targets.parameters, targets.class_index, targets.weight)
    layout = (head.prior_array, head.geometry, head.classes)
    settings = _settings(options, head, 1.0 / divisor)
    matched = (assignment.target, assignment.overlap)
    _loss(np.ascontiguousarray(outputs, dtype=np.float32), matched, truth, layout, settings, gradient, terms)
    position, size, probability, objectness, classes, parameters = (float(part) for part in terms.sum(axis=0))
    total = position + size + probability + objectness + classes + parameters
    parts = LossTerms(position, size, probability, objectness, classes, parameters, total, n_matched)
    return parts, gradient


def _spread(name: str, values: tuple[Any, ...], count: int) -> list[Any]:
    """One value per item: as given, or one for all."""
    if len(values) not in (1, count):
        raise ConfigError(f"loss {name} has {len(values)} values, expected 1 or {count}")
    return list(values) * count if len(values) == 1 else list(values)


def _settings(options: LossOptions, head: HeadSpec, scale: float) -> _Settings:
    """Options as arrays, the normalisation folded into the weights."""
    weights = [options.position_weight, options.size_weight, options.probability_weight]
    weights += [options.objectness_weight, options.classes_weight, options.parameters_weight]
    limits = [
        options.probability_limit,
        options.objectness_limit,
        options.classes_limit,
        options.parameters_limit,
    ]
    kinds = [RESIDUALS[options.position], RESIDUALS[options.size], LOGIT_LOSSES[options.probability]]
    kinds += [LOGIT_LOSSES[options.objectness], LOGIT_LOSSES[options.classes]]
    parameter_kinds = [RESIDUALS[name] for name in _spread("parameters", options.parameters, head.parameters)]
    return _Settings(
        kinds=np.array(kinds, dtype=np.int64),
        weights=np.array(weights) * scale,
        limits=np.array(limits),
        binary_range=np.array(options.objectness_range),
        background=np.outer(
            [1.0, options.near_weight], _spread("background", options.background, head.n_boxes)
        ),
        parameter_kinds=np.array(parameter_kinds, dtype=np.int64),
        gamma=np.array(_spread("gamma", options.gamma, head.parameters), dtype=np.float64),
        tolerance=np.array(_spread("tolerance", options.tolerance, head.parameters), dtype=np.float64),
        overlap_kind=OVERLAPS[options.association.overlap],
        overlap_target=options.objectness_target == "overlap",
    )


@njit(**PARALLEL)
def _loss(
    outputs: np.ndarray,
    matched: Any,
    truth: Any,
    layout: Any,
    settings: _Settings,
    gradient: np.ndarray,
    terms: np.ndarray,
) -> None:
    """All patches."""
    for patch in prange(outputs.shape[0]):
        pair = (matched[0][patch], matched[1][patch])
        _loss_patch(outputs[patch], pair, truth, layout, settings, gradient[patch], terms[patch])


@njit(**JIT)
def _loss_patch(
    outputs: np.ndarray,
    matched: Any,
    truth: Any,
    layout: Any,
    settings: _Settings,
    gradient: np.ndarray,
    terms: np.ndarray,
) -> None:
    """Add up the terms of one patch and fill its gradient."""
    raw = outputs.reshape(-1, outputs.shape[3])
    slope = gradient.reshape(-1, outputs.shape[3])
    target, quality = matched
    n_boxes, ndim = layout[0].shape
    width = raw.shape[1] // n_boxes
    cell = np.empty(ndim, dtype=np.int64)
    for flat in range(raw.shape[0]):
        rest = flat
        for k in range(ndim):
            cell[ndim - 1 - k] = rest % outputs.shape[2 - k]
            rest //= outputs.shape[2 - k]
        for b in range(n_boxes):
            t = target[flat, b]
            values, grad = raw[flat, b * width : (b + 1) * width], slope[flat, b * width : (b + 1) * width]
            if t >= 0:
                _box_geometry(values, truth[0][t], cell, b, layout, settings, grad, terms)
                _box_presence(values, truth[3][t], quality[flat, b], ndim, settings, grad, terms)
                if quality[flat, b] > settings.limits[2]:
                    _box_classes(values, truth[2][t], ndim, layout[2], settings, grad, terms)
                if quality[flat, b] > settings.limits[3]:
                    _box_parameters(values, truth[1][t], settings, grad, terms)
            elif t != IGNORED:
                weight = settings.background[1 if t == NEAR else 0, b]
                _background(values, weight, ndim, settings, grad, terms)


@njit(**JIT)
def _box_geometry(
    values: np.ndarray,
    box: np.ndarray,
    cell: np.ndarray,
    b: int,
    layout: Any,
    settings: _Settings,
    grad: np.ndarray,
    terms: np.ndarray,
) -> None:
    """Position and size of a matched box."""
    priors, geometry, _ = layout
    ndim = len(cell)
    scale, low, high = geometry[ndim], geometry[ndim + 1], geometry[ndim + 2]
    for k in range(ndim):
        true = 0.5 * (box[0, k] + box[1, k]) / geometry[k] - cell[k]
        value, slope = residual(settings.kinds[0], centre_offset(values[k], scale) - true, 1.0)
        s = sigmoid(values[k])
        terms[0] += settings.weights[0] * value
        grad[k] = settings.weights[0] * slope * scale * s * (1.0 - s)
        size = math.log(max(box[1, k] - box[0, k], 1e-6) / priors[b, k])
        value, slope = residual(settings.kinds[1], values[ndim + k] - min(max(size, low), high), 1.0)
        terms[1] += settings.weights[1] * value
        grad[ndim + k] = settings.weights[1] * slope


@njit(**JIT)
def _binary(kind: int, x: float, target: float) -> tuple[float, float]:
    """Loss of a logit with a target in [0, 1], and its derivative."""
    s = sigmoid(x)
    if kind == 1:
        return cross_entropy(x, target), s - target
    return 0.5 * (s - target) * (s - target), (s - target) * s * (1.0 - s)


@njit(**JIT)
def _box_presence(
    values: np.ndarray,
    weight: float,
    quality: float,
    ndim: int,
    settings: _Settings,
    grad: np.ndarray,
    terms: np.ndarray,
) -> None:
    """P and O of a matched box."""
    top = settings.binary_range[1]
    target = top
    if settings.overlap_target:
        target = min(top, quality if settings.overlap_kind == IOU else fit_quality(quality))
    for part in range(2):
        if quality > settings.limits[part]:
            factor = settings.weights[2 + part] * weight
            value, slope = _binary(settings.kinds[2 + part], values[2 * ndim + part], target if part else top)
            terms[2 + part] += factor * value
            grad[2 * ndim + part] = factor * slope


@njit(**JIT)
def _background(
    values: np.ndarray, weight: float, ndim: int, settings: _Settings, grad: np.ndarray, terms: np.ndarray
) -> None:
    """P and O of a box with nothing to find."""
    for part in range(2):
        factor = settings.weights[2 + part] * weight
        if factor != 0:
            value, slope = _binary(
                settings.kinds[2 + part], values[2 * ndim + part], settings.binary_range[0]
            )
            terms[2 + part] += factor * value
            grad[2 * ndim + part] = factor * slope


@njit(**JIT)
def _box_classes(
    values: np.ndarray,
    true: int,
    ndim: int,
    classes: int,
    settings: _Settings,
    grad: np.ndarray,
    terms: np.ndarray,
) -> None:
    """Classes of a matched box; a negative class is unknown."""
    first = 2 * ndim + 2
    if true < 0 or classes == 0:
        return
    if settings.kinds[4] == 2:
        _softmax(
            values[first : first + classes], true, settings.weights[4], grad[first : first + classes], terms
        )
        return
    for c in range(classes):
        value, slope = _binary(settings.kinds[4], values[first + c], 1.0 if c == true else 0.0)
        terms[4] += settings.weights[4] * value
        grad[first + c] = settings.weights[4] * slope


@njit(**JIT)
def _softmax(logits: np.ndarray, true: int, weight: float, grad: np.ndarray, terms: np.ndarray) -> None:
    """Cross entropy of the softmax."""
    top = logits.max()
    total = 0.0
    for c in range(len(logits)):
        total += math.exp(logits[c] - top)
    terms[4] += weight * (math.log(total) + top - logits[true])
    for c in range(len(logits)):
        share = math.exp(logits[c] - top) / total
        grad[c] = weight * (share - (1.0 if c == true else 0.0))


@njit(**JIT)
def _box_parameters(
    values: np.ndarray, true: np.ndarray, settings: _Settings, grad: np.ndarray, terms: np.ndarray
) -> None:
    """Regressed quantities of a matched box; NaN is unknown."""
    first = len(values) - len(true)
    for p in range(len(true)):
        if not np.isnan(true[p]):
            factor = settings.weights[5] * settings.gamma[p]
            d = values[first + p] - true[p]
            value, slope = residual(settings.parameter_kinds[p], d, settings.tolerance[p])
            terms[5] += factor * value
            grad[first + p] = factor * slope

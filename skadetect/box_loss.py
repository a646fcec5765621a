"""Formulas of the loss of one predicted box: its terms, added up, and its gradient, filled in.

As in `formulas`, compiled code may call them (CUDA device code among it). Everywhere `values` are the raw
outputs of the box, float32, in the order that `skadetect.nn.head` describes, `grad` is the derivative of
each, and `terms` are sums of `TERMS` parts.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numba.extending import register_jitable

from skadetect.formulas import IOU, centre_offset, cross_entropy, fit_quality, residual, sigmoid

#: Parts of the loss: position, size, probability, objectness, classes, parameters.
TERMS = 6


class LossSettings(NamedTuple):
    """Forms and weights of the parts as arrays; see `skadetect.nn.loss_options.LossOptions`."""

    kinds: Any  # position, size, probability, objectness, classes: int64
    weights: Any  # the same five parts and the parameters
    limits: Any  # probability, objectness, classes, parameters
    binary_range: Any  # target of the background, largest target
    background: Any  # (2, n_boxes): anywhere, and next to a target
    parameter_kinds: Any  # (P,) int64
    gamma: Any  # (P,)
    tolerance: Any  # (P,)
    overlap_kind: int
    overlap_target: bool


class LossTask(NamedTuple):
    """Targets of a batch and how boxes learn from them, as arrays: what a back end's own loss takes.

    Cells are flat over (patch, Z, Y, X).
    """

    boxes: Any  # (N, 2, ndim) float64
    parameters: Any  # (N, P) float32
    class_index: Any  # (N,) int64
    weight: Any  # (N,) float32
    difficult: Any  # (N,) uint8: targets that choose last, and whose boxes are ignored
    patch: Any  # (N,) int64
    window: (
        Any  # (N, ndim) int64 twice: cells whose boxes may be ignored for a target, first index and extent
    )
    cell: Any  # cells that have targets, int64
    first: Any  # rows first[i] to first[i + 1] of the members are those of cell i, int64
    members: Any  # targets, int64
    near: Any  # cells next to a target, int64; some more than once
    shape: Any  # cells of a patch on each axis, int64
    layout: Any  # see `matched_loss`
    rules: Any  # see `skadetect.matching`
    settings: LossSettings  # weights as given
    divisor: float  # of all weights; 0: the number of matched boxes


@register_jitable
def matched_loss(
    values: Any, matched: Any, place: Any, truth: Any, layout: Any, settings: Any, grad: Any, terms: Any
) -> None:
    """Add up the terms of a matched box and fill its gradient, which is zero before.

    Parameters
    ----------
    values, grad, terms : array
        See above.
    matched : tuple
        Target of the box; its overlap with it.
    place : tuple
        Index of its cell on each axis, shape (ndim,); which box of the cell it is.
    truth : tuple
        Of all targets: boxes (N, 2, ndim), parameters (N, P), classes and weights (N,).
    layout : tuple
        Priors (n_boxes, ndim), geometry as in `HeadSpec.geometry`, number of classes.
    settings : LossSettings
        Forms and weights.
    """
    t, quality = matched
    cell, b = place
    priors, geometry, classes = layout
    ndim = priors.shape[1]
    geometry_loss(values, truth[0][t], cell, priors[b], geometry, settings, grad, terms)
    presence_loss(values, truth[3][t], quality, ndim, settings, grad, terms)
    if quality > settings.limits[2]:
        classes_loss(values, truth[2][t], ndim, classes, settings, grad, terms)
    if quality > settings.limits[3]:
        parameters_loss(values, truth[1][t], settings, grad, terms)


@register_jitable
def geometry_loss(
    values: Any, box: Any, cell: Any, prior: Any, geometry: Any, settings: Any, grad: Any, terms: Any
) -> None:
    """Position and size of a matched box."""
    ndim = prior.shape[0]
    scale, low, high = geometry[ndim], geometry[ndim + 1], geometry[ndim + 2]
    for k in range(ndim):
        true = 0.5 * (box[0, k] + box[1, k]) / geometry[k] - cell[k]
        value, slope = residual(settings.kinds[0], centre_offset(values[k], scale) - true, 1.0)
        s = sigmoid(values[k])
        terms[0] += settings.weights[0] * value
        grad[k] = settings.weights[0] * slope * scale * s * (1.0 - s)
        size = math.log(max(box[1, k] - box[0, k], 1e-6) / prior[k])
        value, slope = residual(settings.kinds[1], values[ndim + k] - min(max(size, low), high), 1.0)
        terms[1] += settings.weights[1] * value
        grad[ndim + k] = settings.weights[1] * slope


@register_jitable
def binary_loss(kind: int, x: float, target: float) -> tuple[float, float]:
    """Loss of a logit with a target in [0, 1], and its derivative."""
    s = sigmoid(x)
    if kind == 1:
        return cross_entropy(x, target), s - target
    return 0.5 * (s - target) * (s - target), (s - target) * s * (1.0 - s)


@register_jitable
def presence_loss(
    values: Any, weight: float, quality: float, ndim: int, settings: Any, grad: Any, terms: Any
) -> None:
    """P and O of a matched box."""
    top = settings.binary_range[1]
    target = top
    if settings.overlap_target:
        target = min(top, quality if settings.overlap_kind == IOU else fit_quality(quality))
    for part in range(2):
        if quality > settings.limits[part]:
            factor = settings.weights[2 + part] * weight
            value, slope = binary_loss(
                settings.kinds[2 + part], values[2 * ndim + part], target if part else top
            )
            terms[2 + part] += factor * value
            grad[2 * ndim + part] = factor * slope


@register_jitable
def background_loss(values: Any, weight: float, ndim: int, settings: Any, grad: Any, terms: Any) -> None:
    """P and O of a box with nothing to find."""
    for part in range(2):
        factor = settings.weights[2 + part] * weight
        if factor != 0:
            value, slope = binary_loss(
                settings.kinds[2 + part], values[2 * ndim + part], settings.binary_range[0]
            )
            terms[2 + part] += factor * value
            grad[2 * ndim + part] = factor * slope


@register_jitable
def classes_loss(
    values: Any, true: int, ndim: int, classes: int, settings: Any, grad: Any, terms: Any
) -> None:
    """Classes of a matched box; a negative class is unknown."""
    first = 2 * ndim + 2
    if true < 0 or classes == 0:
        return
    if settings.kinds[4] == 2:
        softmax_loss(values, true, first, classes, settings.weights[4], grad, terms)
        return
    for c in range(classes):
        value, slope = binary_loss(settings.kinds[4], values[first + c], 1.0 if c == true else 0.0)
        terms[4] += settings.weights[4] * value
        grad[first + c] = settings.weights[4] * slope


@register_jitable
def softmax_loss(
    values: Any, true: int, first: int, classes: int, weight: float, grad: Any, terms: Any
) -> None:
    """Cross entropy of the softmax of the values from `first` on."""
    top = values[first]
    for c in range(1, classes):
        top = max(top, values[first + c])
    total = 0.0
    for c in range(classes):
        total += math.exp(values[first + c] - top)
    terms[4] += weight * (math.log(total) + top - values[first + true])
    for c in range(classes):
        share = math.exp(values[first + c] - top) / total
        grad[first + c] = weight * (share - (1.0 if c == true else 0.0))


@register_jitable
def parameters_loss(values: Any, true: Any, settings: Any, grad: Any, terms: Any) -> None:
    """Regressed quantities of a matched box; NaN is unknown."""
    first = len(values) - len(true)
    for p in range(len(true)):
        if not math.isnan(true[p]):
            factor = settings.weights[5] * settings.gamma[p]
            d = values[first + p] - true[p]
            value, slope = residual(settings.parameter_kinds[p], d, settings.tolerance[p])
            terms[5] += factor * value
            grad[first + p] = factor * slope

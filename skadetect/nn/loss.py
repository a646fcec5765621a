"""The YOLO loss and its gradient with respect to the raw outputs.

A matched box learns position, size, probability, objectness, class and parameters of its target; a background
box learns that there is nothing; an ignored box learns nothing. The association is held fixed in the
gradient.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numba import njit, prange

from skadetect._numba import JIT, PARALLEL
from skadetect.box_loss import TERMS, LossSettings, background_loss, matched_loss
from skadetect.matching import IGNORED, NEAR
from skadetect.nn.association import Assignment, associate
from skadetect.nn.backends.base import DeviceArray
from skadetect.nn.head import HeadSpec
from skadetect.nn.loss_options import AssociationOptions, LossOptions
from skadetect.nn.loss_task import check_parameters, loss_settings, loss_task
from skadetect.nn.near import mark_near
from skadetect.nn.targets import Targets

__all__ = ["AssociationOptions", "LossOptions", "LossTerms", "Targets", "assigned_loss", "yolo_loss"]


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


def yolo_loss(
    outputs: np.ndarray | DeviceArray,
    targets: Targets,
    head: HeadSpec,
    options: LossOptions | None = None,
    *,
    startup: bool = False,
    seed: int = 0,
    scale: float = 1.0,
) -> tuple[LossTerms, Any]:
    """Loss of a batch and its gradient.

    Parameters
    ----------
    outputs : ndarray or device array, shape (B, Z, Y, X, n_outputs), float32
        Raw planes of the last layer. Of what is on a device only the terms leave it.
    targets : Targets
        True boxes of the B patches.
    head, options : HeadSpec, LossOptions
        Layout of the outputs; forms and weights (default `LossOptions()`).
    startup, seed : bool, int
        See `skadetect.nn.association.associate`.
    scale : float
        Factor on the gradient.

    Returns
    -------
    terms : LossTerms
        Parts of the loss.
    gradient : ndarray or device array, shape of `outputs`
        Derivative of the total with respect to the outputs; float32, or as the device stores its layers.

    Raises
    ------
    ModelError, ConfigError
        If outputs, targets, head and options do not fit each other.
    """
    options = LossOptions() if options is None else options
    if not isinstance(outputs, np.ndarray):
        task = loss_task(outputs, targets, head, options, startup=startup, seed=seed)
        gradient, found = outputs.box_loss(task, scale=scale)
        return _terms(found[:TERMS], int(found[TERMS])), gradient
    assignment = associate(outputs, targets, head, options.association, startup=startup, seed=seed)
    if options.near_weight < 1.0:
        mark_near(assignment, targets, head, outputs.shape[1:4])
    terms, gradient = assigned_loss(outputs, targets, assignment, head, options)
    return terms, gradient if scale == 1.0 else gradient * np.float32(scale)


def assigned_loss(
    outputs: np.ndarray, targets: Targets, assignment: Assignment, head: HeadSpec, options: LossOptions
) -> tuple[LossTerms, np.ndarray]:
    """`yolo_loss` with the association given: a differentiable function of the outputs."""
    check_parameters(targets, head)
    n_matched = assignment.n_matched
    divisor = {"matched": max(n_matched, 1), "patches": len(outputs), "none": 1}[options.normalise]
    gradient = np.zeros(outputs.shape, dtype=np.float32)
    terms = np.zeros((len(outputs), TERMS))
    truth = (targets.boxes, targets.parameters, targets.class_index, targets.weight)
    layout = (head.prior_array, head.geometry, head.classes)
    settings = loss_settings(options, head, 1.0 / divisor)
    matched = (assignment.target, assignment.overlap)
    _loss(np.ascontiguousarray(outputs, dtype=np.float32), matched, truth, layout, settings, gradient, terms)
    return _terms(terms.sum(axis=0), n_matched), gradient


def _terms(parts: np.ndarray, n_matched: int) -> LossTerms:
    """The sums of the parts, and theirs."""
    position, size, probability, objectness, classes, parameters = (float(part) for part in parts)
    total = position + size + probability + objectness + classes + parameters
    return LossTerms(position, size, probability, objectness, classes, parameters, total, n_matched)


@njit(**PARALLEL)
def _loss(
    outputs: np.ndarray,
    matched: Any,
    truth: Any,
    layout: Any,
    settings: LossSettings,
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
    settings: LossSettings,
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
            values, grad = raw[flat, b * width : (b + 1) * width], slope[flat, b * width : (b + 1) * width]
            t = target[flat, b]
            if t >= 0:
                pair = (t, quality[flat, b])
                matched_loss(values, pair, (cell, b), truth, layout, settings, grad, terms)
            elif t != IGNORED:
                weight = settings.background[1 if t == NEAR else 0, b]
                background_loss(values, weight, ndim, settings, grad, terms)

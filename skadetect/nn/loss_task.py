"""A loss as arrays: settings for the formulas of a box, and all that a back end needs to work it out."""

from __future__ import annotations

from typing import Any

import numpy as np

from skadetect.box_loss import LossSettings, LossTask
from skadetect.errors import ConfigError
from skadetect.formulas import OVERLAPS, RESIDUALS
from skadetect.nn.association import check, rules
from skadetect.nn.head import HeadSpec
from skadetect.nn.loss_options import LOGIT_LOSSES, LossOptions
from skadetect.nn.places import near_cells, occupied, patch_of, windows
from skadetect.nn.targets import Targets


def loss_task(
    outputs: Any, targets: Targets, head: HeadSpec, options: LossOptions, *, startup: bool, seed: int
) -> LossTask:
    """What `skadetect.nn.loss.yolo_loss` does with outputs of which only the shape is looked at.

    Raises
    ------
    ModelError, ConfigError
        If outputs, targets, head and options do not fit each other.
    """
    check(outputs, targets, head)
    check_parameters(targets, head)
    cells, ndim, good = outputs.shape[1:4], head.ndim, options.association.good_iou
    difficult = targets.difficult & options.association.ignore_difficult
    found = occupied(targets, difficult, head, cells)
    nowhere = np.zeros((len(targets), ndim), np.int64)
    near = near_cells(targets, head, cells) if options.near_weight < 1.0 else np.empty(0, np.int64)
    return LossTask(
        boxes=targets.boxes.reshape(-1, 2, ndim),
        parameters=targets.parameters,
        class_index=targets.class_index,
        weight=targets.weight,
        difficult=difficult.astype(np.uint8),
        patch=patch_of(targets).astype(np.int64),
        window=(nowhere, nowhere) if good is None else windows(targets, head, cells, good),
        cell=found.cell,
        first=found.first,
        members=found.members,
        near=near,
        shape=np.array(cells[3 - ndim :], np.int64),
        layout=(head.prior_array, head.geometry, head.classes),
        rules=rules(options.association, startup=startup, seed=seed),
        settings=loss_settings(options, head),
        divisor={"matched": 0.0, "patches": float(outputs.shape[0]), "none": 1.0}[options.normalise],
    )


def check_parameters(targets: Targets, head: HeadSpec) -> None:
    """Raise ConfigError unless the targets have the head's number of parameters."""
    if targets.parameters.shape[1] != head.parameters:
        raise ConfigError(
            f"targets have {targets.parameters.shape[1]} parameters, expected {head.parameters}"
        )


def loss_settings(options: LossOptions, head: HeadSpec, scale: float = 1.0) -> LossSettings:
    """Options as arrays, all weights times a factor."""
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
    return LossSettings(
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


def _spread(name: str, values: tuple[Any, ...], count: int) -> list[Any]:
    """One value per item: as given, or one for all."""
    if len(values) not in (1, count):
        raise ConfigError(f"loss {name} has {len(values)} values, expected 1 or {count}")
    return list(values) * count if len(values) == 1 else list(values)

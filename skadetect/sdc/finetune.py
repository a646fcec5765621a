"""Train on the parts of a training area: a shipped model's network and losses, on the user's own pixels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from skadetect.config import options_from_mapping, options_to_mapping
from skadetect.errors import ConfigError
from skadetect.ledger import file_identity
from skadetect.nn.model import Model
from skadetect.sdc.bootstrap import revise_labels
from skadetect.sdc.steps import Steps
from skadetect.train.fields import FieldGroup
from skadetect.train.loop import train
from skadetect.train.options import TrainOptions, laid_over
from skadetect.train.validate import ValidationOptions


@dataclass(frozen=True)
class FinetuneOptions:
    """How to train on a training area.

    Attributes
    ----------
    steps : int
        Optimiser steps.
    learning_rate : float
        Its peak.
    scratch : bool
        Start from random weights instead of the model's own.
    patch, batch : int
        Side of a patch in pixels, and patches a step; 0 for those of the model's own training.
    validate_every : int
        Steps between validations; 0 validates at the end.
    seed : int
        Of the training.
    bootstrap : int
        How often the labels are revised by what a training found, for another training; images only.
    extra_fields : tuple of str
        More folders of training fields (glob patterns), such as simulated ones, drawn as often as the area.
    settings : dict
        Any other setting of a training, as in its TOML file: ``{"loss": {"gamma": [1, 1, 1, 1, 1]}}``.
    """

    steps: int = 1500
    learning_rate: float = 2e-4
    scratch: bool = False
    patch: int = 0
    batch: int = 0
    validate_every: int = 500
    seed: int = 0
    bootstrap: int = 0
    extra_fields: tuple[str, ...] = ()
    settings: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.learning_rate > 0 or min(self.patch, self.batch, self.bootstrap) < 0:
            raise ConfigError(f"{self}: expected steps >= 1, learning_rate > 0, others >= 0")


@dataclass(frozen=True)
class FinetuneTask:
    """What to train.

    Attributes
    ----------
    start : str or path
        Model to start from.
    parts : mapping of str to Path
        Folders with image.fits, truth.txt and, if there is one, primary_beam.fits: "train" to train on,
        "validate" to choose the best weights by.
    out : Path
        Folder of the training; a run that was stopped goes on from its checkpoint.
    frequency : int
        SDC1 band, MHz, by whose score it is validated; 0 for none.
    """

    start: str | os.PathLike[str]
    parts: Mapping[str, Path]
    out: Path
    frequency: int


def finetune(task: FinetuneTask, options: FinetuneOptions, *, progress: bool = False) -> str:
    """Train a model further on a training area.

    Returns
    -------
    str
        The model's file. Error calibration and other notes are those of the model it started from.

    Raises
    ------
    ModelError
        The model cannot be read.
    ConfigError
        It does not say how it was trained, or a setting is wrong.
    """
    model = Model.load(task.start)
    key = [model.digest, asdict(options), task.frequency]
    key += [file_identity(task.parts[name] / "image.fits") for name in ("train", "validate")]
    target, steps = task.out / "model.safetensors", Steps(task.out)
    if steps.done("train", key, needs=(target,)) is not None:
        return str(target)
    counts: list[dict[str, int]] = []
    for number in range(options.bootstrap + 1):
        here = replace(task, out=task.out / f"round-{number}" if number < options.bootstrap else task.out)
        labels = task.out / f"labels-{number}.npy" if number else None
        made = _train_once(here, options, model, labels, progress=progress)
        if number < options.bootstrap:
            revised = task.out / f"labels-{number + 1}.npy"
            counts.append(revise_labels(made, task.parts["train"], revised, frequency=task.frequency or 560))
    made.save(target)
    steps.record("train", key, {"digest": made.digest, "labels": counts})
    return str(target)


def _train_once(
    task: FinetuneTask, options: FinetuneOptions, model: Model, labels: Path | None, *, progress: bool
) -> Model:
    """One training, going on from its checkpoint if it is of the same settings."""
    settings, steps = _options(model, task, options, labels), Steps(task.out)
    key = [model.digest, options_to_mapping(settings)]
    resume = steps.done("training", key) is not None
    steps.record("training", key, {})
    result = train(settings, resume=resume, progress=progress)
    return _dressed(Model.load(result.best), model, task)


def _dressed(best: Model, start: Model, task: FinetuneTask) -> Model:
    """The trained model with what the training does not know of it."""
    names = ("error_calibration", "flux_mean", "moment_mean", "pyramid")
    kept = {name: start.metadata[name] for name in names if name in start.metadata}
    origin = {"name": start.name, "digest": start.digest}
    return replace(
        best,
        name=f"{start.name}-{task.out.parent.name}",
        threshold=best.threshold if task.frequency else start.threshold,
        nms_overlap=start.nms_overlap,
        metadata={**best.metadata, **kept, "started_from": origin},
    )


def _options(model: Model, task: FinetuneTask, options: FinetuneOptions, labels: Path | None) -> TrainOptions:
    """Settings of the model's own training with what is different here."""
    stages = model.metadata.get("training") or [model.metadata]
    before = stages[-1].get("options")
    if before is None:
        raise ConfigError(f"model {model.name!r} does not say how it was trained, which is needed here")
    changes: dict[str, Any] = {
        "out": str(task.out),
        "initial": "" if options.scratch else os.fspath(task.start),
        "steps": options.steps,
        "seed": options.seed,
        "checkpoint_every": max(1, min(250, options.steps // 4)),
        "optimizer": {"learning_rate": options.learning_rate},
        "schedule": {"warmup": min(50, options.steps // 10)},
        "sampling": {name: size for name in ("patch", "batch") if (size := getattr(options, name))},
    }
    # how the model itself was begun says nothing of random weights
    dropped = ("fields", "banks", "validation", "stop", *(("fold", "grow") if options.scratch else ()))
    table = laid_over({key: value for key, value in before.items() if key not in dropped}, changes)
    table = laid_over(table, options.settings or {})
    groups = [FieldGroup((str(task.parts["train"]),), labels="" if labels is None else str(labels))]
    if options.extra_fields:
        groups.append(FieldGroup(options.extra_fields))
    held = ValidationOptions(
        groups=(FieldGroup((str(task.parts["validate"]),)),) if task.frequency else (),
        every=options.validate_every,
        frequency=task.frequency or 560,
    )
    return options_from_mapping(TrainOptions, {**table, "fields": tuple(groups), "validation": held})

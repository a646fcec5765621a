"""The training loop: batches in, weights out, with checkpoints, curves and validation on the way."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from skadetect import arena
from skadetect.config import options_to_mapping
from skadetect.errors import ModelError, OutputError
from skadetect.nn.backends.base import Backend
from skadetect.nn.backends.select import get_backend
from skadetect.nn.loss import LossTerms, yolo_loss
from skadetect.nn.model import Model
from skadetect.train.augment import Patch
from skadetect.train.bank import load_banks
from skadetect.train.checkpoint import load_checkpoint, save_checkpoint
from skadetect.train.fields import load_fields
from skadetect.train.inputs import network_input, sampler_for
from skadetect.train.learner import HostLearner, Learner, learner_for
from skadetect.train.options import TrainOptions, read_options
from skadetect.train.record import Record, plot_curves
from skadetect.train.sampling import PatchSampler
from skadetect.train.scaling import LossScale
from skadetect.train.schedule import learning_rate
from skadetect.train.state import TrainState, averaged, from_checkpoint, new_state, to_checkpoint
from skadetect.train.targets import batch_targets, patch_targets
from skadetect.train.validate import HeldOut, Metrics, load_held_out, validate

logger = logging.getLogger(__name__)

# Columns of losses.csv that the curves leave out.
NO_LOSSES = ("step", "rate", "gradient", "seconds", "n_matched")


@dataclass(frozen=True)
class TrainResult:
    """What a training left: the model after the last step, the one that validated best, and its metrics."""

    last: Path
    best: Path
    metrics: Metrics | None


@dataclass(frozen=True)
class Training:
    """What does not change while training."""

    options: TrainOptions
    out: Path
    backend: Backend
    sampler: PatchSampler
    held: Sequence[HeldOut]
    losses: Record
    validation: Record


def train(
    config: str | os.PathLike[str] | TrainOptions, *, resume: bool = True, progress: bool = True
) -> TrainResult:
    """Train a network.

    Parameters
    ----------
    config : path or TrainOptions
        TOML file or its contents; relative paths start from the file's folder, or from the current one.
    resume : bool
        Go on from the checkpoint in the output folder if there is one; the result is then the same, bit for
        bit, as that of an uninterrupted training.
    progress : bool
        Show a progress bar with the losses.

    Returns
    -------
    TrainResult
        Files last.safetensors and best.safetensors of the output folder; beside them losses.csv,
        validation.csv and curves.png.

    Raises
    ------
    ConfigError
        If the configuration is wrong or does not fit the checkpoint.
    InputError
        If a field cannot be read.
    ModelError
        If the loss stops being a number.
    OutputError
        If the output folder cannot be written.
    """
    options, base = (config, Path()) if isinstance(config, TrainOptions) else read_options(config)
    training = _prepare(options, base)
    state = _restore(training) if resume and _checkpoint(training).exists() else new_state(options, base)
    if getattr(training.backend, "overflows", False) and not state.scale.moving:
        state.scale = LossScale.start(moving=True)
    with arena.run():
        _run(training, state, progress=progress)
    training.backend.hold(())
    model = _model(training, state)
    if not (training.out / "best.safetensors").exists():
        model.save(training.out / "best.safetensors")
    return TrainResult(
        model.save(training.out / "last.safetensors"), training.out / "best.safetensors", state.metrics
    )


def train_step(
    state: TrainState,
    patches: Sequence[Patch],
    options: TrainOptions,
    *,
    backend: Backend,
    learner: Learner | None = None,
) -> tuple[LossTerms, dict[str, float]]:
    """Make one step on a batch, changing `state` in place.

    Parameters
    ----------
    state : TrainState
        Network, optimiser and average.
    patches : sequence of Patch
        Augmented.
    options : TrainOptions
        The training's settings.
    backend : Backend
        Where the network runs.
    learner : Learner, optional
        Of the state; by default one in NumPy's memory, which makes the state's arrays those of the step.

    Returns
    -------
    LossTerms
        Losses of the batch.
    dict of str to float
        "rate" and "gradient" (the norm before clipping; infinite where a step is left out, see `LossScale`).
    """
    stride, head = options.head.stride, options.head
    learner = HostLearner(state, options.optimizer, backend) if learner is None else learner
    network = learner.network
    features, anchors = network_input(patches, options.normalization, backend, stride=stride)
    targets = batch_targets(
        [
            patch_targets(patch, options.specs, stride=stride, options=options.selection, anchors=each)
            for patch, each in zip(patches, anchors, strict=True)
        ]
    )
    outputs, tape = network.forward_train_on(features, backend, seed=state.step)
    learner.follow(network.statistics(tape))
    startup = state.step < options.loss.association.startup_steps
    scale = state.scale.factor
    terms, gradient = yolo_loss(
        outputs, targets, head, options.loss, startup=startup, seed=state.step, scale=scale
    )
    gradients = network.backward_on(tape, gradient, backend)
    peak = options.optimizer.learning_rate
    rate = learning_rate(state.step, steps=options.steps, peak=peak, options=options.schedule)
    norm, whole = learner.learn(gradients, rate=rate)
    if whole and not np.isfinite(terms.total + norm):
        raise ModelError(
            f"loss {terms.total} and gradient norm {norm} at step {state.step}: expected finite numbers; "
            "try a lower optimizer.learning_rate"
        )
    state.step += 1
    state.targets_seen += len(targets.weight)
    return terms, {"rate": rate, "gradient": norm if whole else np.inf}


def _prepare(options: TrainOptions, base: Path) -> Training:
    """Read the fields and make the output folder."""
    out = base / options.out
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"output folder '{out}' cannot be made: {error}") from error
    # noise and flux jitter can lift a source a little: keep some below the limit
    lowest = 0.8 * options.selection.lowest
    training_fields, weights = load_fields(
        options.fields,
        base,
        normalization=options.normalization,
        min_snr=lowest,
        channels=options.sampling.channels,
    )
    banks, bank_weights = load_banks(options.banks, base)
    logger.info("%d fields, %d sources", len(training_fields), sum(len(f.sources) for f in training_fields))
    logger.info("%d banks, %d galaxies", len(banks), sum(len(bank) for bank in banks))
    held = load_held_out(options.validation, base, normalization=options.normalization)
    backend = get_backend(options.backend, options.precision)
    sampler = sampler_for(
        backend,
        [*training_fields, *banks],
        np.append(weights, bank_weights),
        options=options.sampling,
        seed=options.seed,
    )
    records = Record(out / "losses.csv"), Record(out / "validation.csv")
    return Training(options, out, backend, sampler, held, *records)


def _run(training: Training, state: TrainState, *, progress: bool) -> None:
    """All remaining steps."""
    options = training.options
    learner = learner_for(state, options.optimizer, training.backend)
    bar = tqdm(total=options.last_step, initial=state.step, disable=not progress, unit="step", smoothing=0.05)
    with bar:
        for patches in training.sampler.batches(state.step, options.last_step):
            begun = time.perf_counter()
            terms, numbers = train_step(state, patches, options, backend=training.backend, learner=learner)
            parts = _loss_row(terms)
            training.losses.add(state.step, **parts, **numbers, seconds=time.perf_counter() - begun)
            if state.step % 10 == 0 and progress:
                recent = training.losses.rows[-50:]
                bar.set_postfix({name[:5]: f"{np.mean([r[name] for r in recent]):.3f}" for name in parts})
            bar.update()
            validates = training.held and _due(state.step, options.validation.every, options.last_step)
            saves = _due(state.step, options.checkpoint_every, options.last_step)
            if validates or saves:
                learner.fetch()
            if validates:
                _validate(training, state, bar)
            if saves:
                _save(training, state)


def _due(step: int, every: int, steps: int) -> bool:
    """Whether something done every so many steps, and at the end, is to be done."""
    return step == steps or (every > 0 and step % every == 0)


def _loss_row(terms: LossTerms) -> dict[str, float]:
    """The losses by name."""
    return {f.name: float(getattr(terms, f.name)) for f in fields(terms)}


def _validate(training: Training, state: TrainState, bar: Any) -> None:
    """Validate the averaged network and keep it if it is the best so far."""
    state.metrics = metrics = validate(
        _model(training, state), training.held, training.options.validation, backend=training.backend
    )
    training.validation.add(state.step, **asdict(metrics))
    line = f"step {state.step}: " + " ".join(f"{k} {v:.4g}" for k, v in asdict(metrics).items())
    logger.info(line) if bar.disable else bar.write(line, file=sys.stderr)
    if metrics.merit > state.best:
        state.best = metrics.merit
        _model(training, state).save(training.out / "best.safetensors")


def _model(training: Training, state: TrainState) -> Model:
    """The averaged network as a model with its provenance."""
    options, metrics = training.options, state.metrics
    provenance = {
        "description": options.description,
        "steps": state.step,
        "patches": state.step * options.sampling.batch,
        "targets": state.targets_seen,
        "fields": [Path(one.name).parent.name for one in training.sampler.fields],
        "options": options_to_mapping(options),
        "validation": {} if metrics is None else asdict(metrics),
    }
    return Model(
        network=averaged(state),
        head=options.head,
        normalization=options.normalization,
        parameters=options.specs,
        threshold=0.5 if metrics is None else metrics.threshold,
        name=options.name,
        metadata=provenance,
    )


def _checkpoint(training: Training) -> Path:
    """The checkpoint's path."""
    return training.out / "checkpoint.safetensors"


def _save(training: Training, state: TrainState) -> None:
    """Write curves and checkpoint; the checkpoint last, because it says how far the others count."""
    training.losses.save()
    training.validation.save()
    names = [name for name in training.losses.rows[-1] if name not in NO_LOSSES]
    plot_curves(training.out / "curves.png", training.losses, training.validation, names=names)
    save_checkpoint(_checkpoint(training), to_checkpoint(state))


def _restore(training: Training) -> TrainState:
    """The state of the checkpoint, and the curves up to it."""
    state = from_checkpoint(load_checkpoint(_checkpoint(training)), training.options)
    training.losses.restore(state.step)
    training.validation.restore(state.step)
    return state

"""All that changes while a network is trained, and its way into a checkpoint and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from skadetect.errors import ConfigError
from skadetect.nn.growth import grow
from skadetect.nn.model import Model
from skadetect.nn.network import Network
from skadetect.nn.spec import NetworkSpec
from skadetect.train.checkpoint import Checkpoint
from skadetect.train.optimizers import OptimizerState, WeightAverage
from skadetect.train.options import TrainOptions
from skadetect.train.scaling import LossScale
from skadetect.train.validate import Metrics


@dataclass
class TrainState:
    """What a checkpoint holds.

    Attributes
    ----------
    network : Network
        Its arrays are changed in place by each step.
    average, optimizer : WeightAverage, OptimizerState
        Running average of the weights; moments of the gradient.
    step, targets_seen : int
        Steps made; targets in all their patches.
    best : float
        Highest `Metrics.merit` so far.
    metrics : Metrics or None
        Of the last validation.
    scale : LossScale
        Of gradients in 16 bits.
    """

    network: Network
    average: WeightAverage
    optimizer: OptimizerState = field(default_factory=OptimizerState)
    step: int = 0
    targets_seen: int = 0
    best: float = -np.inf
    metrics: Metrics | None = None
    scale: LossScale = field(default_factory=LossScale)


def new_state(options: TrainOptions, base: Path = Path()) -> TrainState:
    """The state before the first step: random weights, or those of the model that `options.initial` names.

    Relative files start from the folder `base`.

    Raises
    ------
    ConfigError
        If the initial model has other layers.
    ModelError
        If it cannot be read, or cannot grow into the layers asked for.
    """
    spec = options.network_spec
    if not options.initial:
        network = Network.initialise(spec, np.random.default_rng(options.seed))
    else:
        file = base / options.initial
        network = Model.load(file if file.is_file() else options.initial).network
        if options.fold:
            folded = network.folded()
            network = folded.with_parameters({name: np.array(a) for name, a in folded.parameters.items()}, {})
        if options.grow:
            network = grow(network, spec, np.random.default_rng(options.seed))
        if network.spec != spec:
            raise ConfigError(f"initial model '{options.initial}' has other layers than [network]")
    return TrainState(network, WeightAverage(options.optimizer.average))


def averaged(state: TrainState) -> Network:
    """The network with its averaged weights and running statistics, or as it is if no average is kept."""
    values = state.average.value()
    parameters = {name: values.get(name, array) for name, array in state.network.parameters.items()}
    statistics = {name: values.get(name, array) for name, array in state.network.state.items()}
    return state.network.with_parameters(parameters, statistics)


def arrays_of(state: TrainState) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of a state by group and name: the state's own mappings."""
    return {
        "parameters": state.network.parameters,
        "state": state.network.state,
        "first": state.optimizer.first,
        "second": state.optimizer.second,
        "average": state.average.sums,
    }


def to_checkpoint(state: TrainState) -> Checkpoint:
    """Everything of a state, as named arrays and numbers."""
    numbers = {
        "optimizer_step": state.optimizer.step,
        "average_count": state.average.count,
        "targets_seen": state.targets_seen,
        "best": None if np.isinf(state.best) else state.best,
        "metrics": None if state.metrics is None else asdict(state.metrics),
        "network": state.network.spec.to_dict(),
        "scale": asdict(state.scale),
    }
    return Checkpoint(state.step, arrays_of(state), numbers)


def from_checkpoint(saved: Checkpoint, options: TrainOptions) -> TrainState:
    """The inverse of `to_checkpoint`.

    Raises
    ------
    ConfigError
        If the options describe other layers.
    """
    numbers, arrays = saved.numbers, saved.arrays
    if NetworkSpec.from_dict(numbers["network"]) != options.network_spec:
        raise ConfigError("the checkpoint has other layers than [network]; restart, or change 'out'")
    return TrainState(
        network=Network(options.network_spec, arrays["parameters"], arrays["state"]),
        average=WeightAverage(options.optimizer.average, numbers["average_count"], arrays["average"]),
        optimizer=OptimizerState(numbers["optimizer_step"], arrays["first"], arrays["second"]),
        step=saved.step,
        targets_seen=numbers["targets_seen"],
        best=-np.inf if numbers["best"] is None else numbers["best"],
        metrics=None if numbers["metrics"] is None else Metrics(**numbers["metrics"]),
        scale=LossScale(**numbers.get("scale", {})),
    )

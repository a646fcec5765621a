"""Steps in parameter space: momentum SGD, AdamW, clipping by the global norm and averaging of the weights.

Arrays are updated in place, so the network that holds them learns; everything that must survive an
interruption is in `OptimizerState`, a set of named arrays and one counter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from skadetect.descent import adam_move, clip_factor, momentum_move, towards
from skadetect.errors import ConfigError
from skadetect.nn.backends.base import Move

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class OptimizerOptions:
    """Which optimiser, with which constants.

    Attributes
    ----------
    kind : str
        "adamw" (Loshchilov & Hutter 2019) or "sgd" (momentum, Sutskever et al. 2013).
    learning_rate : float
        The peak rate; the schedule scales it.
    momentum, nesterov : float, bool
        Of "sgd".
    betas, epsilon : tuple of float, float
        Of "adamw".
    weight_decay : float
        Decoupled decay a step, times the learning rate, of the arrays whose name ends in `decayed` only: a
        bias or a batch-norm scale must not shrink.
    clip : float
        Largest global norm of the gradient, 0 for no limit.
    average : float
        Decay of the running average of the weights a step, 0 for no average.
    """

    kind: str = "adamw"
    learning_rate: float = 2e-3
    momentum: float = 0.9
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 1e-4
    decayed: str = ".filters"
    clip: float = 5.0
    average: float = 0.998

    def __post_init__(self) -> None:
        if self.kind not in ("adamw", "sgd"):
            raise ConfigError(f"optimizer kind is '{self.kind}', expected 'adamw' or 'sgd'")
        if self.learning_rate <= 0:
            raise ConfigError(f"optimizer learning_rate is {self.learning_rate}, expected > 0")


@dataclass
class OptimizerState:
    """What an optimiser remembers: steps made, first and second moments (named as the parameters)."""

    step: int = 0
    first: dict[str, np.ndarray] = field(default_factory=dict)
    second: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class WeightAverage:
    """A running average of named arrays, biased to zero until `value` corrects it (as in Adam)."""

    decay: float
    count: int = 0
    sums: dict[str, np.ndarray] = field(default_factory=dict)

    def update(self, arrays: Arrays) -> None:
        """Take the arrays of one step into the average."""
        self.count += 1
        for name, array in arrays.items():
            total = self.sums.setdefault(name, np.zeros_like(array, dtype=np.float64))
            total *= self.decay
            total += (1.0 - self.decay) * array

    def value(self) -> dict[str, np.ndarray]:
        """The unbiased averages, float32; of nothing if no step was taken in."""
        bias = 1.0 - self.decay**self.count
        return (
            {name: (total / bias).astype(np.float32) for name, total in self.sums.items()}
            if self.count
            else {}
        )


def global_norm(gradients: Arrays) -> float:
    """Euclidean norm of all gradients taken as one vector."""
    # a plain sum, not a BLAS product: its threads would fight with the network's for microseconds of work
    return math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in gradients.values()))


def clip_gradients(gradients: Arrays, limit: float) -> float:
    """Scale the gradients in place so that their global norm is at most `limit`; returns the norm before."""
    norm = global_norm(gradients)
    factor = clip_factor(norm, limit)
    if factor != 1.0:
        for gradient in gradients.values():
            gradient *= factor
    return norm


def move_of(options: OptimizerOptions, *, rate: float, step: int) -> Move:
    """The numbers of step `step` (1-based) at a learning rate."""
    kept = 1.0 - rate * options.weight_decay
    if options.kind == "sgd":
        return Move(False, kept, rate, options.momentum, nesterov=options.nesterov)
    b1, b2 = options.betas
    return Move(
        True,
        kept,
        rate / (1.0 - b1**step),
        1.0 - b1,
        1.0 - b2,
        math.sqrt(1.0 - b2**step),
        options.epsilon,
    )


def optimizer_step(
    parameters: Arrays, gradients: Arrays, state: OptimizerState, *, rate: float, options: OptimizerOptions
) -> None:
    """Move the parameters, in place, by one step down their gradients.

    Parameters
    ----------
    parameters, gradients : mapping of str to numpy.ndarray
        Same names and shapes; float32.
    state : OptimizerState
        Updated in place.
    rate : float
        Learning rate of this step.
    options : OptimizerOptions
        Which optimiser.
    """
    state.step += 1
    move = move_of(options, rate=rate, step=state.step)
    for name, parameter in parameters.items():
        if move.kept != 1.0 and name.endswith(options.decayed):
            parameter *= move.kept
        (_adamw if move.adam else _momentum)(name, parameter, gradients[name], state, move)


def _momentum(
    name: str, parameter: np.ndarray, gradient: np.ndarray, state: OptimizerState, move: Move
) -> None:
    velocity = state.first.setdefault(name, np.zeros_like(parameter))
    velocity *= move.first
    velocity += gradient
    parameter[...] = momentum_move(parameter, gradient, velocity, move.rate, move.first, move.nesterov)


def _adamw(name: str, parameter: np.ndarray, gradient: np.ndarray, state: OptimizerState, move: Move) -> None:
    """Adam with moments unbiased by the number of steps made."""
    first = state.first.setdefault(name, np.zeros_like(parameter))
    second = state.second.setdefault(name, np.zeros_like(parameter))
    first[...] = towards(first, gradient, move.first)
    second[...] = towards(second, gradient * gradient, move.second)
    parameter[...] = adam_move(parameter, first, np.sqrt(second), move.rate, move.spread, move.epsilon)

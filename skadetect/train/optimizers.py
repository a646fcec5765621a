"""Steps in parameter space: momentum SGD, AdamW, clipping by the global norm and averaging of the weights.

Arrays are updated in place, so the network that holds them learns; everything that must survive an
interruption is in `OptimizerState`, a set of named arrays and one counter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from skadetect.errors import ConfigError

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
    if limit > 0.0 and norm > limit:
        for gradient in gradients.values():
            gradient *= limit / (norm + 1e-6)
    return norm


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
    move = _adamw if options.kind == "adamw" else _sgd
    for name, parameter in parameters.items():
        if options.weight_decay > 0.0 and name.endswith(options.decayed):
            parameter *= 1.0 - rate * options.weight_decay
        move(name, parameter, gradients[name], state, rate, options)


def _sgd(
    name: str, parameter: np.ndarray, gradient: np.ndarray, state: OptimizerState, rate: float,
    options: OptimizerOptions,
) -> None:  # fmt: skip
    """Momentum as PyTorch writes it: v = momentum v + g; p -= rate v."""
    velocity = state.first.setdefault(name, np.zeros_like(parameter))
    velocity *= options.momentum
    velocity += gradient
    step = gradient + options.momentum * velocity if options.nesterov else velocity
    parameter -= rate * step


def _adamw(
    name: str, parameter: np.ndarray, gradient: np.ndarray, state: OptimizerState, rate: float,
    options: OptimizerOptions,
) -> None:  # fmt: skip
    """Adam with moments unbiased by the number of steps made."""
    b1, b2 = options.betas
    first = state.first.setdefault(name, np.zeros_like(parameter))
    second = state.second.setdefault(name, np.zeros_like(parameter))
    first += (1.0 - b1) * (gradient - first)
    second += (1.0 - b2) * (gradient * gradient - second)
    root = np.sqrt(second) / math.sqrt(1.0 - b2**state.step) + options.epsilon
    parameter -= (rate / (1.0 - b1**state.step)) * first / root

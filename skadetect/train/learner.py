"""Who moves the weights in a training: this program, or the back end where that keeps them itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from skadetect.nn.backends.base import Backend, KeepsWeights
from skadetect.nn.layers import MOMENTUM, follow_statistics
from skadetect.nn.network import Network
from skadetect.train.optimizers import OptimizerOptions, clip_gradients, move_of, optimizer_step
from skadetect.train.state import TrainState, arrays_of


class Learner(Protocol):
    """Moves the weights of a training's state.

    Attributes
    ----------
    network : Network
        Its arrays are where the back end wants them.
    """

    network: Network

    def follow(self, found: Mapping[str, Any]) -> None:
        """Let the running statistics follow those of a batch."""
        ...

    def learn(self, gradients: Mapping[str, Any], *, rate: float) -> tuple[float, bool]:
        """Make one step.

        Parameters
        ----------
        gradients : mapping of str to array
            Of the parameters, multiplied by the state's loss scale.
        rate : float
            Learning rate.

        Returns
        -------
        float
            Global norm before clipping.
        bool
            False if the step is left out, because a gradient overflowed that a smaller loss scale may mend.
        """
        ...

    def fetch(self) -> None:
        """Bring the state's arrays up to date."""
        ...


def learner_for(state: TrainState, options: OptimizerOptions, backend: Backend) -> Learner:
    """The back end's own learner if it has one; else this program's."""
    if isinstance(backend, KeepsWeights):
        return KeptLearner(state, options, backend)
    return HostLearner(state, options, backend)


class HostLearner:
    """Steps in NumPy's memory, each changing the state in place."""

    def __init__(self, state: TrainState, options: OptimizerOptions, backend: Backend) -> None:
        self.network, self._state, self._options, self._backend = state.network, state, options, backend

    def follow(self, found: Mapping[str, Any]) -> None:
        """See `Learner.follow`."""
        follow_statistics(found, self.network.state)

    def learn(self, gradients: Mapping[str, Any], *, rate: float) -> tuple[float, bool]:
        """See `Learner.learn`."""
        state, options, network = self._state, self._options, self.network
        found = {name: self._backend.to_host(gradient) for name, gradient in gradients.items()}
        if not state.scale.undo(found):
            return np.inf, False
        norm = clip_gradients(found, options.clip)
        if np.isfinite(norm):
            optimizer_step(network.parameters, found, state.optimizer, rate=rate, options=options)
            if options.average > 0.0:
                state.average.update({**network.parameters, **network.state})
        return norm, True

    def fetch(self) -> None:
        """Nothing to do."""


class KeptLearner:
    """Steps on a back end; the state's counters follow each, its arrays when they are fetched."""

    def __init__(self, state: TrainState, options: OptimizerOptions, backend: KeepsWeights) -> None:
        self._state, self._options = state, options
        self._weights = backend.keep_weights(arrays_of(state), decayed=options.decayed)
        self.network = state.network.with_parameters(self._weights.parameters, self._weights.statistics)

    def follow(self, found: Mapping[str, Any]) -> None:
        """See `Learner.follow`."""
        self._weights.follow(found, MOMENTUM)

    def learn(self, gradients: Mapping[str, Any], *, rate: float) -> tuple[float, bool]:
        """See `Learner.learn`."""
        state, options = self._state, self._options
        move = move_of(options, rate=rate, step=state.optimizer.step + 1)
        norm = self._weights.step(
            gradients, move, factor=state.scale.factor, clip=options.clip, average=options.average
        )
        if not np.isfinite(norm):
            return norm, state.scale.follow(False)
        state.scale.follow(True)
        state.optimizer.step += 1
        state.average.count += options.average > 0.0
        return norm, True

    def fetch(self) -> None:
        """See `Learner.fetch`."""
        found, state = self._weights.arrays(), self._state
        for group, arrays in arrays_of(state).items():
            arrays.update(found[group])

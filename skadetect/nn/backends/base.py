"""What a back end offers: every operation of the network, forward and backward, under one name and meaning.

Arrays are channels-last, (batch, z, y, x, feature), float32 and C-contiguous; a 2D image has z = 1.
`reference` (NumPy) is the specification, `cpu` (Numba and BLAS) the fast one, both plain modules; `cuda` is
an object of one device and precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from skadetect.box_loss import LossTask
from skadetect.nn.backends.pieces import Piece
from skadetect.stretches import Stretches

Array = npt.NDArray[np.floating[Any]]
Axes = tuple[int, int, int]


class Move(NamedTuple):
    """One step of an optimizer as numbers.

    Attributes
    ----------
    adam : bool
        AdamW; else momentum.
    kept : float
        What is left of decayed parameters before they move.
    rate : float
        Of the step, over the bias of the first moment.
    first, second : float
        Shares of a new gradient in the moments; for momentum `first` is that.
    spread, epsilon : float
        See `skadetect.descent.adam_move`.
    nesterov : bool
        Of momentum.
    """

    adam: bool
    kept: float
    rate: float
    first: float
    second: float = 0.0
    spread: float = 1.0
    epsilon: float = 0.0
    nesterov: bool = False


class Backend(Protocol):
    """The operations that `skadetect.nn.network` calls; shapes and meanings are those of `reference`.

    A back end may hold arrays elsewhere than NumPy does: what `to_device` gives goes into its operations, and
    what comes out of those into further ones or into `to_host`.
    """

    def to_device(self, x: Any) -> Any:
        """The array where the operations want it; itself, if that is in NumPy's memory."""
        ...

    def to_host(self, x: Any) -> Any:
        """An operation's result as a NumPy array."""
        ...

    def hold(self, arrays: Sequence[Array]) -> int:
        """Keep some arrays, the first ones if there is no room for all, for pieces that are views of them.

        They take the place of those kept before. How many it is.
        """
        ...

    def batch(self, pieces: Sequence[Piece]) -> Any:
        """Pieces of one shape, made and put together: (batch, z, y, x) for `features`."""
        ...

    def features(self, s: Any, stretches: Stretches, constants: Array) -> Any:
        """A network's input where the operations want it, see `skadetect.stretches.features`.

        `s` is in NumPy's memory or where the operations have their arrays; the result is there.
        """
        ...

    def peaks(self, s: Any, stride: Axes, *, reach: int, least: float) -> Array:
        """Largest pixel of each cell's window, (batch, z / stride, y / stride, x / stride) in NumPy's memory.

        A window reaches so many pixels beyond its cell; where nothing in it is larger, `least` is given.
        """
        ...

    def conv_forward(
        self,
        x: Array,
        filters: Array,
        bias: Array | None,
        *,
        stride: Axes,
        padding: Axes,
        groups: int = 1,
        slope: float = 1.0,
        residual: Array | None = None,
    ) -> Array:
        """leaky(x * filters + bias) + residual; filters are (kz, ky, kx, inputs / groups, outputs)."""
        ...

    def conv_backward(
        self,
        x: Array,
        filters: Array,
        grad: Array,
        *,
        stride: Axes,
        padding: Axes,
        groups: int = 1,
        need_input: bool = True,
    ) -> tuple[Array | None, Array, Array]:
        """Gradients of a linear convolution with respect to input, filters and bias."""
        ...

    def batch_norm_forward(
        self, x: Array, gamma: Array, beta: Array, *, epsilon: float, slope: float
    ) -> tuple[Array, Array, Array]:
        """leaky(gamma * (x - mean) / sqrt(var + epsilon) + beta), and the batch's mean and variance."""
        ...

    def batch_norm_backward(
        self,
        x: Array,
        grad: Array,
        gamma: Array,
        beta: Array,
        mean: Array,
        variance: Array,
        *,
        epsilon: float,
        slope: float,
    ) -> tuple[Array, Array, Array]:
        """Gradients with respect to x, gamma and beta."""
        ...

    def affine(self, x: Array, scale: Array, shift: Array, *, slope: float) -> Array:
        """leaky(scale * x + shift), feature by feature."""
        ...

    def leaky_forward(self, x: Array, slope: float) -> Array:
        """Max(x, slope * x) for slopes below one."""
        ...

    def leaky_backward(self, x: Array, grad: Array, slope: float) -> Array:
        """Gradient with respect to x."""
        ...

    def add(self, a: Array, b: Array) -> Array:
        """Sum of two arrays of one shape."""
        ...

    def pool_forward(
        self, x: Array, *, kind: str, extent: Axes, stride: Axes, padding: Axes
    ) -> tuple[Array, npt.NDArray[np.int32] | None]:
        """Maximum (with the winner's flat index) or average (padding not counted) of a window."""
        ...

    def pool_backward(
        self,
        grad: Array,
        argmax: npt.NDArray[np.int32] | None,
        *,
        kind: str,
        input_shape: tuple[int, ...],
        extent: Axes,
        stride: Axes,
        padding: Axes,
    ) -> Array:
        """Gradient with respect to the pool's input."""
        ...

    def global_pool_forward(self, x: Array, kind: str) -> tuple[Array, npt.NDArray[np.int32] | None]:
        """One value a feature: the maximum or average over (z, y, x)."""
        ...

    def global_pool_backward(
        self, grad: Array, argmax: npt.NDArray[np.int32] | None, *, kind: str, input_shape: tuple[int, ...]
    ) -> Array:
        """Gradient with respect to the global pool's input."""
        ...

    def dense_forward(self, x: Array, filters: Array, bias: Array) -> Array:
        """X (batch, inputs) times filters (inputs, outputs) plus bias."""
        ...

    def dense_backward(self, x: Array, filters: Array, grad: Array) -> tuple[Array, Array, Array]:
        """Gradients with respect to x, filters and bias."""
        ...

    def dropout_forward(self, x: Array, rate: float, *, seed: int) -> Array:
        """Zero a fraction `rate`, scale the rest by 1 / (1 - rate); the mask follows from the seed."""
        ...

    def dropout_backward(self, grad: Array, rate: float, *, seed: int) -> Array:
        """Gradient through the same mask."""
        ...

    def sigmoid_forward(self, x: Array) -> Array:
        """1 / (1 + exp(-x))."""
        ...

    def sigmoid_backward(self, y: Array, grad: Array) -> Array:
        """Gradient from the sigmoid's value y."""
        ...

    def softmax_forward(self, x: Array) -> Array:
        """exp(x) / sum exp(x) over the features."""
        ...

    def softmax_backward(self, y: Array, grad: Array) -> Array:
        """Gradient from the softmax's value y."""
        ...


class DeviceArray(Protocol):
    """An array that a back end holds elsewhere: what is asked of outputs there; see `cuda.tensor.Tensor`."""

    shape: tuple[int, ...]
    ndim: int

    def select(
        self, limits: npt.NDArray[np.float64], *, width: int, place: int
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Rows of `width` numbers whose number at `place` reaches its limit."""
        ...

    def box_loss(self, task: LossTask, *, scale: float) -> tuple[Any, npt.NDArray[np.float64]]:
        """Gradient of these raw outputs, and terms of their loss."""
        ...


class Weights(Protocol):
    """A training's weights, moments, averages and running statistics where a back end computes.

    Attributes
    ----------
    parameters, statistics : mapping of str to device array
        For `skadetect.nn.network.Network`; a step changes what is in them.
    """

    parameters: Mapping[str, Any]
    statistics: Mapping[str, Any]

    def follow(self, found: Mapping[str, Any], share: float) -> None:
        """Move the running statistics by a share of the way to those of a batch."""
        ...

    def step(
        self, gradients: Mapping[str, Any], move: Move, *, factor: float, clip: float, average: float
    ) -> float:
        """Move all parameters and take them, with the statistics, into their average.

        Parameters
        ----------
        gradients : mapping of str to device array
            Of all parameters.
        move : Move
            The optimizer's step.
        factor : float
            Power of two that the gradients are divided by first.
        clip : float
            Largest global norm of the gradients, 0 for no limit.
        average : float
            Decay of the running average, 0 for no average.

        Returns
        -------
        float
            Global norm before clipping. If it is not finite nothing was changed.
        """
        ...

    def arrays(self) -> dict[str, dict[str, Array]]:
        """Copies in NumPy's memory: "parameters", "state", "first", "second" and "average" by name."""
        ...


@runtime_checkable
class KeepsWeights(Protocol):
    """What a back end may offer beyond `Backend`: to keep a training's weights and to move them itself."""

    def keep_weights(self, arrays: Mapping[str, Mapping[str, Array]], *, decayed: str) -> Weights:
        """Take over what `Weights.arrays` gives; absent moments and averages are zero.

        Decay is of the parameters whose name ends in `decayed`.
        """
        ...

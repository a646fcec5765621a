"""The CUDA back end: every operation of `nn.backends.base` on one device.

What comes as a `Tensor` is on the device, and so is what comes back; NumPy arrays are copied there and back.
Each thread of the program has a stream of its own, so that several overlap reading, copying and computing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from skadetect.nn.backends.base import Array, Axes
from skadetect.nn.backends.cuda import column_ops, conv_ops, input_ops, kernels, piece_ops
from skadetect.nn.backends.cuda.context import Context
from skadetect.nn.backends.cuda.device import SIMULATED
from skadetect.nn.backends.cuda.piece_ops import Holdings
from skadetect.nn.backends.cuda.replay import replayed
from skadetect.nn.backends.cuda.tensor import Tensor, integers
from skadetect.nn.backends.cuda.tiles import element_bytes
from skadetect.nn.backends.cuda.weights import DeviceWeights
from skadetect.nn.backends.pieces import Piece
from skadetect.nn.backends.splitmix import mixed_seed
from skadetect.stretches import Stretches

logger = logging.getLogger(__name__)

#: Seconds for a first kernel that tell a compiler from a cache.
SLOW_COMPILATION = 0.3

Method = TypeVar("Method", bound=Callable[..., Any])


def on_device(method: Method) -> Method:
    """Copy NumPy arrays to the device, and results back if the first array was one."""

    @wraps(method)
    def run(self: CudaBackend, first: Any, *rest: Any, **options: Any) -> Any:
        result = method(self, self.to_device(first), *rest, **options)
        if isinstance(first, Tensor):
            return result
        return tuple(map(self.to_host, result)) if isinstance(result, tuple) else self.to_host(result)

    return run  # type: ignore[return-value]


class CudaBackend:
    """Operations on one device in one precision; see `nn.backends.base.Backend` for what they mean.

    Parameters
    ----------
    index : int
        Of the device.
    precision : {"fp16", "bf16", "tf32", "fp32"}
        Of the operands of products, which are summed in float32. The first two are also how numbers are
        stored.
    """

    def __init__(self, index: int = 0, precision: str = "fp16") -> None:
        self.context = Context(index, precision)
        self._held: Any = None

    # Between host and device --------------------------------------------------------------------------------

    def to_device(self, x: Any) -> Any:
        """The same numbers on the device."""
        if isinstance(x, Tensor):
            return self.context.as_kind(x)
        return self.context.as_kind(self.context.upload(np.asarray(x), "fp32"))

    def to_host(self, x: Any) -> Any:
        """The same numbers as a NumPy array, float32; what is none is passed on."""
        return self.context.to_host(x) if isinstance(x, Tensor) else x

    def hold(self, arrays: Sequence[Array]) -> int:
        """Keep as many of the arrays as half of the free memory has room for."""
        self._held = None  # gives back its memory
        self._held = Holdings(self.context, arrays)
        return len(self._held.arrays)

    def batch(self, pieces: Sequence[Piece]) -> Tensor:
        """Pieces in float32: what of them is held is cut here, the rest is sent."""
        if self._held is None:
            self.hold(())
        return piece_ops.batch(self.context, self._held, pieces)

    def peaks(self, s: Any, stride: Axes, *, reach: int, least: float) -> Array:
        """Largest pixel of each cell's window."""
        return input_ops.peaks(self.context, s, stride, reach=reach, least=least)

    def features(self, s: Any, stretches: Stretches, constants: Array) -> Tensor:
        """Stretches of signal to noise, and the constants of each sample."""
        return input_ops.features(self.context, s, stretches, constants)

    def prepare(self, run: Callable[[], Any]) -> int:
        """Compile, or load from the cache, what `run` launches; how many kernels that is.

        Nothing is computed or copied: only the shapes of what it is given count.
        """
        recipes = self.context.rehearse(run)
        started = time.perf_counter()
        for number, recipe in enumerate(recipes, 1):
            logger.debug("GPU kernel %d of %d: %s", number, len(recipes), recipe.name)
            if not SIMULATED:
                kernels.compiled(recipe)
            if number == 1 and time.perf_counter() - started > SLOW_COMPILATION:
                logger.info("compiling %d GPU kernels, which are kept for the next run", len(recipes))
        logger.info("%d GPU kernels ready in %.1f s", len(recipes), time.perf_counter() - started)
        return len(recipes)

    def replay(self, owner: Any, run: Callable[[Any], Any], x: Tensor) -> Tensor:
        """run(x), by a recording where x is small and comes in one shape again and again."""
        return replayed(self.context, owner, run, x)

    def keep_weights(self, arrays: Any, *, decayed: str) -> DeviceWeights:
        """See `skadetect.nn.backends.base.KeepsWeights`."""
        return DeviceWeights(self.context, arrays, decayed=decayed)

    def release(self) -> None:
        """Give back the memory that this thread keeps for its next tensors."""
        self.context.pool.clear()

    def free_bytes(self) -> int:
        """Memory of the device that nothing holds."""
        return self.context.free_bytes()

    @property
    def overflows(self) -> bool:
        """Whether what is stored is easily too large or too small: gradients want loss scaling."""
        return self.context.kind == "fp16"

    @property
    def bytes_a_number(self) -> int:
        """Of what is stored between layers."""
        return element_bytes(self.context.kind)

    # Convolution and dense ----------------------------------------------------------------------------------

    @on_device
    def conv_forward(
        self,
        x: Any,
        filters: Any,
        bias: Any,
        *,
        stride: Axes,
        padding: Axes,
        groups: int = 1,
        slope: float = 1.0,
        residual: Any = None,
    ) -> Any:
        """leaky(x * filters + bias) + residual."""
        added = None if residual is None else self.to_device(residual)
        return conv_ops.conv_forward(
            self.context, x, filters, bias,
            stride=stride, padding=padding, groups=groups, slope=slope, residual=added,
        )  # fmt: skip

    @on_device
    def conv_backward(
        self,
        x: Any,
        filters: Any,
        grad: Any,
        *,
        stride: Axes,
        padding: Axes,
        groups: int = 1,
        need_input: bool = True,
    ) -> Any:
        """Gradients of a linear convolution with respect to input, filters and bias."""
        return conv_ops.conv_backward(
            self.context, x, filters, self.to_device(grad),
            stride=stride, padding=padding, groups=groups, need_input=need_input,
        )  # fmt: skip

    @on_device
    def dense_forward(self, x: Any, filters: Any, bias: Any) -> Any:
        """X times filters plus bias."""
        return conv_ops.dense_forward(self.context, x, filters, bias)

    @on_device
    def dense_backward(self, x: Any, filters: Any, grad: Any) -> Any:
        """Gradients with respect to x, filters and bias."""
        return conv_ops.dense_backward(self.context, x, filters, self.to_device(grad))

    # Norms --------------------------------------------------------------------------------------------------

    @on_device
    def batch_norm_forward(self, x: Any, gamma: Any, beta: Any, *, epsilon: float, slope: float) -> Any:
        """Normalised and activated x, and the batch's mean and variance."""
        return column_ops.batch_norm_forward(self.context, x, gamma, beta, epsilon=epsilon, slope=slope)

    @on_device
    def batch_norm_backward(
        self,
        x: Any,
        grad: Any,
        gamma: Any,
        beta: Any,
        mean: Any,
        variance: Any,
        *,
        epsilon: float,
        slope: float,
    ) -> Any:
        """Gradients with respect to x, gamma and beta."""
        return column_ops.batch_norm_backward(
            self.context, x, self.to_device(grad), gamma, beta, mean, variance, epsilon=epsilon, slope=slope
        )

    @on_device
    def affine(self, x: Any, scale: Any, shift: Any, *, slope: float) -> Any:
        """leaky(scale * x + shift), feature by feature."""
        y, context = self.context.empty(x.shape), self.context
        given = [x, context.parameter(scale), context.parameter(shift), y, x.shape[-1], slope, x.size]
        context.walk(kernels.elementwise_recipe("affine", x.kind), given, x.size)
        return y

    # Number by number ---------------------------------------------------------------------------------------

    @on_device
    def leaky_forward(self, x: Any, slope: float) -> Any:
        """X where it is positive, slope * x elsewhere."""
        return self._map("leaky", [x], slope)

    @on_device
    def leaky_backward(self, x: Any, grad: Any, slope: float) -> Any:
        """Gradient with respect to x."""
        return self._map("leaky_backward", [x, self.to_device(grad)], slope)

    @on_device
    def add(self, a: Any, b: Any) -> Any:
        """Sum of two arrays of one shape."""
        return self._map("add", [a, self.to_device(b)])

    @on_device
    def sigmoid_forward(self, x: Any) -> Any:
        """1 / (1 + exp(-x))."""
        return self._map("sigmoid", [x])

    @on_device
    def sigmoid_backward(self, y: Any, grad: Any) -> Any:
        """Gradient from the sigmoid's value y."""
        return self._map("sigmoid_backward", [y, self.to_device(grad)])

    @on_device
    def softmax_forward(self, x: Any) -> Any:
        """exp(x) / sum exp(x) over the features."""
        return self._rows("softmax", [x])

    @on_device
    def softmax_backward(self, y: Any, grad: Any) -> Any:
        """Gradient from the softmax's value y."""
        return self._rows("softmax_backward", [y, self.to_device(grad)])

    @on_device
    def dropout_forward(self, x: Any, rate: float, *, seed: int) -> Any:
        """Zero a fraction of the numbers, scale the rest; the mask is that of the reference."""
        start = mixed_seed(seed)
        return self._map("dropout", [x], start, int(rate * 2.0**32), 1.0 / (1.0 - rate))

    def dropout_backward(self, grad: Any, rate: float, *, seed: int) -> Any:
        """Gradient through the same mask."""
        return self.dropout_forward(grad, rate, seed=seed)

    # Pooling ------------------------------------------------------------------------------------------------

    def pool_forward(self, x: Any, *, kind: str, extent: Axes, stride: Axes, padding: Axes) -> Any:
        """Maximum (with the winner's flat index) or average of a window."""
        source, context = self.to_device(x), self.context
        sizes = zip(x.shape[1:4], extent, stride, padding)
        shape = (x.shape[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in sizes), x.shape[4])
        y = context.empty(shape)
        argmax, geometry = self._pool_arrays(y.size, x.shape, shape, kind, extent, stride, padding)
        recipe = kernels.pooling_recipe("pool", y.kind, kind)
        context.walk(recipe, [source, y, integers(argmax), geometry, y.size], y.size)
        return self._pooled(x, y, argmax, kind)

    def pool_backward(
        self,
        grad: Any,
        argmax: Any,
        *,
        kind: str,
        input_shape: tuple[int, ...],
        extent: Axes,
        stride: Axes,
        padding: Axes,
    ) -> Any:
        """Gradient with respect to the pool's input."""
        source, context = self.to_device(grad), self.context
        dx = context.empty(input_shape)
        _, geometry = self._pool_arrays(1, input_shape, grad.shape, kind, extent, stride, padding)
        recipe = kernels.pooling_recipe("pool_backward", dx.kind, kind)
        context.walk(recipe, [source, self._winners(argmax), dx, geometry, dx.size], dx.size)
        return dx if isinstance(grad, Tensor) else self.to_host(dx)

    def global_pool_forward(self, x: Any, kind: str) -> Any:
        """One number a feature: the maximum or average over (z, y, x)."""
        source, context = self.to_device(x), self.context
        y = context.empty((x.shape[0], 1, 1, 1, x.shape[4]))
        argmax = context.integers(y.size)
        recipe = kernels.pooling_recipe("global_pool", y.kind, kind)
        pixels = x.size // y.size
        context.walk(recipe, [source, y, integers(argmax), x.shape[4], pixels, y.size], y.size)
        return self._pooled(x, y, argmax, kind)

    def global_pool_backward(self, grad: Any, argmax: Any, *, kind: str, input_shape: tuple[int, ...]) -> Any:
        """Gradient with respect to the global pool's input."""
        source, context = self.to_device(grad), self.context
        dx = context.empty(input_shape)
        recipe = kernels.pooling_recipe("global_pool_backward", dx.kind, kind)
        given = [source, self._winners(argmax), dx, input_shape[4], dx.size // source.size, dx.size]
        context.walk(recipe, given, dx.size)
        return dx if isinstance(grad, Tensor) else self.to_host(dx)

    # Helpers ------------------------------------------------------------------------------------------------

    def _map(self, name: str, tensors: list[Tensor], *numbers: Any) -> Tensor:
        """A kernel that makes each number of the result from those at its place."""
        y = self.context.empty(tensors[0].shape)
        given = [*tensors, y, *numbers, y.size]
        self.context.walk(kernels.elementwise_recipe(name, y.kind), given, y.size)
        return y

    def _rows(self, name: str, tensors: list[Tensor]) -> Tensor:
        """A kernel that makes each pixel of the result from the features at its place."""
        y = self.context.empty(tensors[0].shape)
        pixels = y.size // y.shape[-1]
        self.context.walk(
            kernels.elementwise_recipe(name, y.kind), [*tensors, y, y.shape[-1], pixels], pixels
        )
        return y

    def _pool_arrays(
        self, count: int, source: Any, target: Any, kind: str, extent: Axes, stride: Axes, padding: Axes
    ) -> tuple[Tensor, Any]:
        numbers = (source[4], *source[1:4], *target[1:4], *extent, *stride, *padding)
        geometry = self.context.integers_of(numbers)
        return self.context.integers(count if kind == "max" else 1), geometry

    def _pooled(self, x: Any, y: Tensor, argmax: Tensor, kind: str) -> Any:
        if isinstance(x, Tensor):
            return y, argmax if kind == "max" else None
        winners = self.context.download(integers(argmax), y.size).reshape(y.shape) if kind == "max" else None
        return self.to_host(y), winners

    def _winners(self, argmax: Any) -> Any:
        """Flat indices of maxima on the device; anything for an average."""
        if argmax is None:
            return self.context.constant("no winners", lambda: np.zeros(1, np.int32))
        if isinstance(argmax, Tensor):
            return integers(argmax)
        stored = np.ascontiguousarray(argmax, np.int32).reshape(-1).view(np.float32)
        return integers(self.context.upload(stored, "fp32"))

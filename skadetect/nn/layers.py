"""Each kind of layer: how its parameters start, and how it runs forward and backward on a back end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skadetect.descent import towards
from skadetect.nn.backends.base import Array, Backend
from skadetect.nn.spec import LayerSpec

EPSILON = 1e-5
#: Share of a new batch in the running statistics of a batch norm.
MOMENTUM = 0.03

Parameters = Mapping[str, Array]
Gradients = MutableMapping[str, Array]


@dataclass
class Saved:
    """What a layer's forward pass keeps for its backward pass."""

    x: Array
    values: dict[str, Any] = field(default_factory=dict)


def initial_parameters(
    layer: LayerSpec, inputs: int, outputs: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Draw He-normal filters (He et al. 2015, eq. 10) and the start of biases and norms.

    Parameters
    ----------
    layer : LayerSpec
        The layer.
    inputs, outputs : int
        Features that go in and come out.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of str to ndarray
        float32 arrays by their full names; empty for layers without parameters.
    """
    if layer.kind not in ("conv", "dense"):
        return {}
    shape = (inputs, outputs) if layer.kind == "dense" else (*layer.extent, inputs // layer.groups, outputs)
    gain = np.sqrt(2.0 / (1.0 + min(layer.slope, 1.0) ** 2))
    filters = rng.normal(0.0, gain / np.sqrt(np.prod(shape[:-1])), shape).astype(np.float32)
    start = np.resize(np.asarray(layer.initial_bias or (0.0,), np.float32), outputs)
    if layer.norm:
        norm = {"gamma": np.ones(outputs, np.float32), "beta": start}
    else:
        norm = {"bias": start}
    return {f"{layer.name}.{key}": value for key, value in {"filters": filters, **norm}.items()}


def initial_state(layer: LayerSpec, outputs: int) -> dict[str, Array]:
    """Running statistics of a batch norm before any batch."""
    if not layer.norm:
        return {}
    mean, variance = np.zeros(outputs, np.float32), np.ones(outputs, np.float32)
    return {f"{layer.name}.mean": mean, f"{layer.name}.variance": variance}


def infer_layer(
    layer: LayerSpec,
    x: Array,
    params: Parameters,
    state: Parameters,
    backend: Backend,
    residual: Array | None = None,
) -> Array:
    """Run a layer as at inference: batch norm by its running statistics, no dropout."""
    if layer.kind == "conv":
        filters, bias = folded_filters(layer, params, state)
        return backend.conv_forward(
            x,
            filters,
            bias,
            stride=layer.stride,
            padding=layer.pads,
            groups=layer.groups,
            slope=layer.slope,
            residual=residual,
        )
    if layer.kind == "dropout":
        return x
    return _FORWARD[layer.kind](layer, x, params, backend, 0)[0]


def folded_filters(layer: LayerSpec, params: Parameters, state: Parameters) -> tuple[Array, Array]:
    """Filters and bias with the batch norm's running statistics multiplied in."""
    filters = params[f"{layer.name}.filters"]
    if not layer.norm:
        return filters, params[f"{layer.name}.bias"]
    mean, variance = state[f"{layer.name}.mean"], state[f"{layer.name}.variance"]
    scale = params[f"{layer.name}.gamma"] / np.sqrt(variance + np.float32(EPSILON))
    return filters * scale, params[f"{layer.name}.beta"] - mean * scale


def train_layer(
    layer: LayerSpec,
    x: Array,
    params: Parameters,
    backend: Backend,
    *,
    seed: int,
) -> tuple[Array, Saved]:
    """Run a layer as in training: with the batch's statistics and dropout."""
    return _FORWARD[layer.kind](layer, x, params, backend, seed)


def batch_statistics(layer: LayerSpec, saved: Saved | None) -> dict[str, Any]:
    """Mean and variance of the batch that a layer saved, by the names of the running ones."""
    if not layer.norm or saved is None:
        return {}
    return {f"{layer.name}.{key}": saved.values[key] for key in ("mean", "variance")}


def follow_statistics(found: Mapping[str, Any], state: MutableMapping[str, Array]) -> None:
    """Let the running statistics in `state` follow those of a batch."""
    for name, values in found.items():
        state[name] = towards(state[name], np.asarray(values), np.float32(MOMENTUM))


def backward_layer(
    layer: LayerSpec,
    saved: Saved,
    grad: Array,
    params: Parameters,
    backend: Backend,
    *,
    grads: Gradients,
    need_input: bool = True,
) -> Array | None:
    """Add a layer's parameter gradients to `grads` and return the gradient of its input."""
    if layer.kind == "conv":
        return _conv_backward(layer, saved, grad, params, backend, grads, need_input)
    return _BACKWARD[layer.kind](layer, saved, grad, params, backend, grads)


def _conv_forward(
    layer: LayerSpec, x: Array, params: Parameters, backend: Backend, _: int
) -> tuple[Array, Saved]:
    filters = params[f"{layer.name}.filters"]
    shape = {"stride": layer.stride, "padding": layer.pads, "groups": layer.groups}
    if not layer.norm:
        y = backend.conv_forward(x, filters, params[f"{layer.name}.bias"], slope=layer.slope, **shape)  # type: ignore[arg-type]
        return y, Saved(x, {"y": y})
    linear = backend.conv_forward(x, filters, None, **shape)  # type: ignore[arg-type]
    gamma, beta = params[f"{layer.name}.gamma"], params[f"{layer.name}.beta"]
    y, mean, variance = backend.batch_norm_forward(linear, gamma, beta, epsilon=EPSILON, slope=layer.slope)
    return y, Saved(x, {"linear": linear, "mean": mean, "variance": variance})


def _conv_backward(
    layer: LayerSpec,
    saved: Saved,
    grad: Array,
    params: Parameters,
    backend: Backend,
    grads: Gradients,
    need_input: bool,
) -> Array | None:
    values = saved.values
    if layer.norm:
        gamma, beta = params[f"{layer.name}.gamma"], params[f"{layer.name}.beta"]
        grad, dgamma, dbeta = backend.batch_norm_backward(
            values["linear"],
            grad,
            gamma,
            beta,
            values["mean"],
            values["variance"],
            epsilon=EPSILON,
            slope=layer.slope,
        )
        grads[f"{layer.name}.gamma"], grads[f"{layer.name}.beta"] = dgamma, dbeta
    elif layer.slope != 1.0:
        # The activation keeps the sign, so its output serves as well as its input.
        grad = backend.leaky_backward(values["y"], grad, layer.slope)
    dx, dfilters, dbias = backend.conv_backward(
        saved.x,
        params[f"{layer.name}.filters"],
        grad,
        stride=layer.stride,
        padding=layer.pads,
        groups=layer.groups,
        need_input=need_input,
    )
    grads[f"{layer.name}.filters"] = dfilters
    if not layer.norm:
        grads[f"{layer.name}.bias"] = dbias
    return dx


def _pool_forward(
    layer: LayerSpec, x: Array, _: Parameters, backend: Backend, __: int
) -> tuple[Array, Saved]:
    y, argmax = backend.pool_forward(
        x, kind=layer.pool, extent=layer.extent, stride=layer.stride, padding=layer.pads
    )
    return y, Saved(x, {"argmax": argmax})


def _pool_backward(
    layer: LayerSpec, saved: Saved, grad: Array, _: Parameters, backend: Backend, __: Gradients
) -> Array:
    return backend.pool_backward(
        grad,
        saved.values["argmax"],
        kind=layer.pool,
        input_shape=saved.x.shape,
        extent=layer.extent,
        stride=layer.stride,
        padding=layer.pads,
    )


def _global_forward(
    layer: LayerSpec, x: Array, _: Parameters, backend: Backend, __: int
) -> tuple[Array, Saved]:
    y, argmax = backend.global_pool_forward(x, layer.pool)
    return y, Saved(x, {"argmax": argmax})


def _global_backward(
    layer: LayerSpec, saved: Saved, grad: Array, _: Parameters, backend: Backend, __: Gradients
) -> Array:
    return backend.global_pool_backward(
        grad, saved.values["argmax"], kind=layer.pool, input_shape=saved.x.shape
    )


def _dense_forward(
    layer: LayerSpec, x: Array, params: Parameters, backend: Backend, _: int
) -> tuple[Array, Saved]:
    flat = x.reshape(x.shape[0], -1)
    linear = backend.dense_forward(flat, params[f"{layer.name}.filters"], params[f"{layer.name}.bias"])
    y = linear if layer.slope == 1.0 else backend.leaky_forward(linear, layer.slope)
    return y.reshape(x.shape[0], 1, 1, 1, -1), Saved(x, {"y": y})


def _dense_backward(
    layer: LayerSpec, saved: Saved, grad: Array, params: Parameters, backend: Backend, grads: Gradients
) -> Array:
    flat = grad.reshape(grad.shape[0], -1)
    if layer.slope != 1.0:
        flat = backend.leaky_backward(saved.values["y"], flat, layer.slope)
    x = saved.x.reshape(saved.x.shape[0], -1)
    dx, dfilters, dbias = backend.dense_backward(x, params[f"{layer.name}.filters"], flat)
    grads[f"{layer.name}.filters"], grads[f"{layer.name}.bias"] = dfilters, dbias
    return dx.reshape(saved.x.shape)


def _dropout_forward(
    layer: LayerSpec, x: Array, _: Parameters, backend: Backend, seed: int
) -> tuple[Array, Saved]:
    return backend.dropout_forward(x, layer.rate, seed=seed), Saved(x, {"seed": seed})


def _dropout_backward(
    layer: LayerSpec, saved: Saved, grad: Array, _: Parameters, backend: Backend, __: Gradients
) -> Array:
    return backend.dropout_backward(grad, layer.rate, seed=saved.values["seed"])


def _leaky_forward(
    layer: LayerSpec, x: Array, _: Parameters, backend: Backend, __: int
) -> tuple[Array, Saved]:
    return backend.leaky_forward(x, layer.slope), Saved(x)


def _leaky_backward(
    layer: LayerSpec, saved: Saved, grad: Array, _: Parameters, backend: Backend, __: Gradients
) -> Array:
    return backend.leaky_backward(saved.x, grad, layer.slope)


def _sigmoid_forward(
    _: LayerSpec, x: Array, __: Parameters, backend: Backend, ___: int
) -> tuple[Array, Saved]:
    y = backend.sigmoid_forward(x)
    return y, Saved(x, {"y": y})


def _sigmoid_backward(
    _: LayerSpec, saved: Saved, grad: Array, __: Parameters, backend: Backend, ___: Gradients
) -> Array:
    return backend.sigmoid_backward(saved.values["y"], grad)


def _softmax_forward(
    _: LayerSpec, x: Array, __: Parameters, backend: Backend, ___: int
) -> tuple[Array, Saved]:
    y = backend.softmax_forward(x)
    return y, Saved(x, {"y": y})


def _softmax_backward(
    _: LayerSpec, saved: Saved, grad: Array, __: Parameters, backend: Backend, ___: Gradients
) -> Array:
    return backend.softmax_backward(saved.values["y"], grad)


_FORWARD: dict[str, Callable[[LayerSpec, Array, Parameters, Backend, int], tuple[Array, Saved]]] = {
    "conv": _conv_forward,
    "pool": _pool_forward,
    "global_pool": _global_forward,
    "dense": _dense_forward,
    "dropout": _dropout_forward,
    "leaky": _leaky_forward,
    "sigmoid": _sigmoid_forward,
    "softmax": _softmax_forward,
}
_BACKWARD: dict[str, Callable[[LayerSpec, Saved, Array, Parameters, Backend, Gradients], Array]] = {
    "pool": _pool_backward,
    "global_pool": _global_backward,
    "dense": _dense_backward,
    "dropout": _dropout_backward,
    "leaky": _leaky_backward,
    "sigmoid": _sigmoid_backward,
    "softmax": _softmax_backward,
}

"""A network: its spec, its parameters, and the walks through its layers forward and backward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skadetect.errors import ModelError
from skadetect.nn.backends.base import Array, Axes, Backend
from skadetect.nn.backends.cpu.threads import one_blas_thread, single_blas_thread
from skadetect.nn.layers import (
    Saved,
    backward_layer,
    batch_statistics,
    folded_filters,
    follow_statistics,
    infer_layer,
    initial_parameters,
    initial_state,
    train_layer,
)
from skadetect.nn.slabs import Slabs, convolve_slabs, in_host_memory
from skadetect.nn.spec import LayerSpec, NetworkSpec


@dataclass
class Tape:
    """What a training pass saved, layer by layer."""

    saved: list[Saved | None] = field(default_factory=list)


@dataclass
class Network:
    """Layers with their parameters.

    Attributes
    ----------
    spec : NetworkSpec
        The layers.
    parameters : dict of str to ndarray
        float32 arrays that training changes: ``name.filters`` (kz, ky, kx, inputs, outputs), ``name.bias``,
        ``name.gamma``, ``name.beta`` (outputs,).
    state : dict of str to ndarray
        Running ``name.mean`` and ``name.variance`` of the batch norms, followed by `forward_train`.

    Raises
    ------
    ModelError
        If an array is absent or has another shape than the spec asks for.
    """

    spec: NetworkSpec
    parameters: dict[str, Array]
    state: dict[str, Array]

    def __post_init__(self) -> None:
        wanted = Network._blank(self.spec)
        for name, shape in wanted.items():
            found = {**self.parameters, **self.state}.get(name)
            if found is None or found.shape != shape:
                what = "absent" if found is None else f"of shape {found.shape}"
                raise ModelError(f"network array {name!r} is {what}, expected shape {shape}")

    @classmethod
    def initialise(cls, spec: NetworkSpec, rng: np.random.Generator) -> Network:
        """Draw a network that has not been trained."""
        parameters: dict[str, Array] = {}
        state: dict[str, Array] = {}
        for layer, inputs, outputs in spec.walk():
            parameters.update(initial_parameters(layer, inputs, outputs, rng))
            state.update(initial_state(layer, outputs))
        return cls(spec, parameters, state)

    @property
    def stride(self) -> Axes:
        """Input pixels an output cell spans along (z, y, x)."""
        return self.spec.stride

    @property
    def halo(self) -> Axes:
        """Radius of the receptive field along (z, y, x), in pixels."""
        return self.spec.halo

    def forward(self, x: Array | Slabs, backend: Backend, *, dropout_seed: int | None = None) -> Array:
        """Score a batch; see `forward_on`, whose result this copies to NumPy's memory if it is elsewhere."""
        outputs: Array = backend.to_host(self.forward_on(x, backend, dropout_seed=dropout_seed))
        return outputs

    def forward_on(self, x: Any, backend: Backend, *, dropout_seed: int | None = None) -> Any:
        """Score a batch and leave the outputs where the back end has them.

        Parameters
        ----------
        x : ndarray, shape (batch, z, y, x, features), or Slabs
            Normalised input, float32, dimensionless; freed on the way if the caller keeps no hold of it. What
            can be made a slab at a time is, where the back end works in NumPy's memory.
        backend : Backend
            Operations to run on.
        dropout_seed : int, optional
            Keep the dropout layers on, with masks that follow from this seed: one Monte Carlo sample of the
            network's uncertainty (Gal & Ghahramani 2016).

        Returns
        -------
        ndarray, shape (batch, z / stride, y / stride, x / stride, outputs)
            Raw outputs of the last layer.

        Raises
        ------
        ModelError
            If the input has another number of features than the network.
        """
        self._check(x)
        replay = getattr(backend, "replay", None)
        frozen = not any(array.flags.writeable for array in self.parameters.values())
        with one_blas_thread():
            x, first = self._begun(x, backend)
            begun = [x]
            del x  # no hold of it is kept here: it can be freed on the way
            if replay is None or not frozen or dropout_seed is not None:
                return self._walk(begun.pop(), first, backend, dropout_seed)
            return replay(self, lambda again: self._walk(again, first, backend, None), begun.pop())

    def _walk(self, x: Any, first: int, backend: Backend, dropout_seed: int | None) -> Any:
        """All layers from `first` on, of the input of that layer."""
        kept: dict[str, Array] = {}
        wanted = {layer.source for layer in self.spec.layers}
        layers = self.spec.layers
        if first and layers[0].name in wanted:
            kept[layers[0].name] = x
        for index, layer in enumerate(layers[first:], start=first):
            following = layers[index + 1] if index + 1 < len(layers) else None
            if layer.kind == "add":
                # A convolution just before has already added it in its epilogue.
                x = x if _fuses(layers[index - 1], layer, wanted) else backend.add(x, kept[layer.source])
                if all(later.source != layer.source for later in layers[index + 1 :]):
                    del kept[layer.source]
            elif layer.kind == "dropout" and dropout_seed is not None:
                x = backend.dropout_forward(x, layer.rate, seed=_layer_seed(dropout_seed, index))
            else:
                fuse = following is not None and _fuses(layer, following, wanted)
                residual = kept[following.source] if following is not None and fuse else None
                x = infer_layer(layer, x, self.parameters, self.state, backend, residual)
            if layer.name in wanted:
                kept[layer.name] = x
        return x

    def forward_train(self, x: Array, backend: Backend, *, seed: int = 0) -> tuple[Array, Tape]:
        """Score a batch as in training, and let the running statistics follow; see `forward_train_on`."""
        x, tape = self.forward_train_on(x, backend, seed=seed)
        outputs: Array = backend.to_host(x)
        follow_statistics(self.statistics(tape), self.state)
        return outputs, tape

    @single_blas_thread
    def forward_train_on(self, x: Any, backend: Backend, *, seed: int = 0) -> tuple[Any, Tape]:
        """Score a batch as in training, keep what `backward` needs, and leave the outputs on the back end.

        Parameters
        ----------
        x : ndarray, shape (batch, z, y, x, features)
            Normalised input, float32, dimensionless.
        backend : Backend
            Operations to run on.
        seed : int
            Of the dropout masks; take the step's number.

        Returns
        -------
        ndarray, shape (batch, z / stride, y / stride, x / stride, outputs)
            Raw outputs of the last layer.
        Tape
            For `backward` and `statistics`.
        """
        self._check(x)
        x = backend.to_device(x)
        tape = Tape()
        kept: dict[str, Array] = {}
        wanted = {layer.source for layer in self.spec.layers}
        for index, layer in enumerate(self.spec.layers):
            if layer.kind == "add":
                x, saved = backend.add(x, kept[layer.source]), None
            else:
                x, saved = train_layer(layer, x, self.parameters, backend, seed=_layer_seed(seed, index))
            tape.saved.append(saved)
            if layer.name in wanted:
                kept[layer.name] = x
        return x, tape

    def statistics(self, tape: Tape) -> dict[str, Any]:
        """Mean and variance of the batch in each batch norm, named as in `state`; ask before `backward`."""
        found: dict[str, Any] = {}
        for layer, each in zip(self.spec.layers, tape.saved, strict=True):
            found.update(batch_statistics(layer, each))
        return found

    def backward(self, tape: Tape, grad: Any, backend: Backend) -> dict[str, Array]:
        """Gradients of all parameters in NumPy's memory; see `backward_on`."""
        grads = self.backward_on(tape, grad, backend)
        return {name: backend.to_host(array) for name, array in grads.items()}

    @single_blas_thread
    def backward_on(self, tape: Tape, grad: Any, backend: Backend) -> dict[str, Any]:
        """Gradients of all parameters from the gradient of the outputs, left where the back end has them.

        Parameters
        ----------
        tape : Tape
            From `forward_train`; its arrays are released on the way.
        grad : ndarray, shape (batch, z / stride, y / stride, x / stride, outputs)
            Derivative of the loss with respect to each raw output.
        backend : Backend
            Operations to run on.

        Returns
        -------
        dict of str to ndarray
            Of the same names and shapes as `parameters`.
        """
        grads: dict[str, Array] = {}
        pending: dict[str, Array] = {}
        current: Array = backend.to_device(grad)
        for index in range(len(self.spec.layers) - 1, -1, -1):
            layer = self.spec.layers[index]
            if layer.name in pending:
                current = backend.add(current, pending.pop(layer.name))
            if layer.kind == "add":
                before = pending.get(layer.source)
                pending[layer.source] = current if before is None else backend.add(before, current)
                continue
            saved = tape.saved[index]
            assert saved is not None
            dx = backward_layer(
                layer, saved, current, self.parameters, backend, grads=grads, need_input=index > 0
            )
            tape.saved[index] = None
            if dx is not None:
                current = dx
        return grads

    def folded(self) -> Network:
        """The same function at inference, with every batch norm multiplied into its convolution.

        Its parameters are read-only copies, so that a back end can keep what it makes of them.
        """
        parameters = {k: v for k, v in self.parameters.items() if not k.endswith((".gamma", ".beta"))}
        for layer in self.spec.layers:
            if layer.norm:
                filters, bias = folded_filters(layer, self.parameters, self.state)
                parameters[f"{layer.name}.filters"] = filters
                parameters[f"{layer.name}.bias"] = np.ascontiguousarray(bias, np.float32)
        for name, values in parameters.items():
            parameters[name] = np.array(values, np.float32)
            parameters[name].flags.writeable = False
        return Network(self.spec.without_norm(), parameters, {})

    def with_parameters(self, parameters: Mapping[str, Array], state: Mapping[str, Array]) -> Network:
        """The same layers with other arrays."""
        return replace(self, parameters=dict(parameters), state=dict(state))

    def _begun(self, x: Any, backend: Backend) -> tuple[Any, int]:
        """The input where the back end has it, or the first layer's output; and which layer comes next."""
        if not isinstance(x, Slabs):
            return backend.to_device(x), 0
        layer = self.spec.layers[0]
        alone = len(self.spec.layers) == 1 or self.spec.layers[1].kind != "add"
        if layer.kind != "conv" or layer.groups > 1 or not alone or not in_host_memory(backend):
            return x.on(backend), 0
        filters, bias = folded_filters(layer, self.parameters, self.state)
        return convolve_slabs(layer, x, filters, bias, backend), 1

    def _check(self, x: Array | Slabs) -> None:
        if x.ndim != 5 or x.shape[-1] != self.spec.input_features:
            raise ModelError(
                f"network input has shape {x.shape}, expected (batch, z, y, x, {self.spec.input_features})"
            )

    @staticmethod
    def _blank(spec: NetworkSpec) -> dict[str, tuple[int, ...]]:
        rng = np.random.default_rng(0)
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, inputs, outputs in spec.walk():
            arrays = {**initial_parameters(layer, inputs, outputs, rng), **initial_state(layer, outputs)}
            shapes.update({name: array.shape for name, array in arrays.items()})
        return shapes


def _fuses(layer: LayerSpec, following: LayerSpec, wanted: set[str]) -> bool:
    return layer.kind == "conv" and following.kind == "add" and layer.name not in wanted


def _layer_seed(seed: int, index: int) -> int:
    return seed * 1009 + index

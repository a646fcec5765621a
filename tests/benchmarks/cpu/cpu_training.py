"""A training step beside PyTorch's: forward with batch statistics, backward, update, on the same batch."""

from __future__ import annotations

from typing import Any

import cpu_engines
import cpu_networks
import numpy as np
import onnx_file
import torch
from torch.nn import functional

from skadetect.nn.backends import cpu
from skadetect.nn.network import Network
from skadetect.train.optimizers import OptimizerOptions, OptimizerState, optimizer_step


class OurStep(cpu_engines.Engine):
    """skadetect's step; the loss is the mean square of the outputs, whose gradient costs nothing."""

    name = "skadetect"

    def __init__(self, network: Network, x: Any) -> None:
        self.network, self.x = network, x
        self.state, self.options = OptimizerState(), OptimizerOptions()

    def run(self) -> Any:
        """Outputs before the update."""
        y, tape = self.network.forward_train(self.x, cpu)
        grads = self.network.backward(tape, np.float32(2 / y.size) * y, cpu)
        optimizer_step(self.network.parameters, grads, self.state, rate=1e-3, options=self.options)
        return y


class TorchStep(cpu_engines.Engine):
    """PyTorch's step, channels-last."""

    name = "pytorch"

    def __init__(self, network: Network, x: Any) -> None:
        axes = 2 if onnx_file.flat(network, (1, 1, *x.shape[1:4])) else 3
        self.axes = axes
        self.module = TrainingModule(network, axes)
        self.x = torch.from_numpy(x[:, 0] if axes == 2 else x).movedim(-1, 1)
        self.update = torch.optim.AdamW(self.module.parameters(), lr=1e-3)

    def run(self) -> Any:
        """Outputs before the update."""
        self.update.zero_grad()
        y = self.module(self.x)
        (y * y).mean().backward()
        self.update.step()
        y = y.detach().movedim(1, -1).numpy()
        return y[:, None] if self.axes == 2 else y


class TrainingModule(torch.nn.Module):
    """A network with its batch norms in training."""

    def __init__(self, network: Network, axes: int) -> None:
        super().__init__()
        self.specs, self.axes = network.spec.layers, axes
        self.names = {name: name.replace(".", "_") for name in network.parameters}
        form = torch.channels_last if axes == 2 else torch.channels_last_3d
        for name, array in network.parameters.items():
            value = torch.from_numpy(array.copy())
            if name.endswith(".filters"):
                value = value.permute(4, 3, 0, 1, 2)
                value = (value[:, :, 0] if axes == 2 else value).contiguous(memory_format=form)
            self.register_parameter(self.names[name], torch.nn.Parameter(value))

    def forward(self, x: Any) -> Any:
        convolve = functional.conv2d if self.axes == 2 else functional.conv3d
        kept: dict[str, Any] = {}
        for layer in self.specs:
            if layer.kind == "conv":
                stride, pads = layer.stride[-self.axes :], layer.pads[-self.axes :]
                bias = None if layer.norm else self._of(layer, "bias")
                x = convolve(x, self._of(layer, "filters"), bias, stride, pads, 1, layer.groups)
                if layer.norm:
                    weights = self._of(layer, "gamma"), self._of(layer, "beta")
                    x = functional.batch_norm(x, None, None, *weights, training=True, eps=1e-5)
                x = x if layer.slope == 1.0 else functional.leaky_relu(x, layer.slope, inplace=True)
            elif layer.kind == "add":
                x = x + kept[layer.source]
            kept[layer.name] = x
        return x

    def _of(self, layer: Any, what: str) -> Any:
        return getattr(self, self.names[f"{layer.name}.{what}"])


def engines(name: str, threads: int, *, small: bool = False) -> list[cpu_engines.Engine]:
    """Both engines, each after one step, with the first outputs held against each other."""
    torch.set_num_threads(threads)
    network, patch, batch = cpu_networks.trainable(name)
    if small:
        patch, batch = tuple(min(n, 16) for n in patch), 2
    x = np.random.default_rng(3).standard_normal((batch, *patch, network.spec.input_features), np.float32)
    theirs = TorchStep(network, x)
    ours = OurStep(network, x)
    wanted, found = theirs.run(), ours.run()
    error = np.abs(found - wanted).max() / np.abs(wanted).max()
    if not error < 1e-3:
        raise SystemExit(f"{name}: outputs of the first step differ by {error:.1e} of the largest")
    return [ours, theirs]

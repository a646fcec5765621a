"""A training step on a GPU beside PyTorch's: forward with batch statistics, backward, clipping and AdamW."""

from __future__ import annotations

from typing import Any

import cpu_networks
import cuda_engines
import numpy as np
import onnx_file
import torch
from cpu_training import TrainingModule

from skadetect.nn.layers import MOMENTUM
from skadetect.nn.network import Network
from skadetect.train.optimizers import OptimizerOptions, move_of

#: Factor of the loss, so that gradients in 16 bits are not lost.
SCALE = 1024.0
OPTIMIZER, RATE = OptimizerOptions(), 1e-5


def print_training(name: str, backend: Any, rounds: int, *, small: bool) -> None:
    """Print both rates, and how far the gradients of the first step differ."""
    network, patch, batch = cpu_networks.trainable(name)
    if small:
        patch, batch = tuple(min(n, 16) for n in patch), 2
    x = np.random.default_rng(3).standard_normal((batch, *patch, network.spec.input_features), np.float32)
    ours, theirs = _our_step(network, x, backend), _their_step(network, x, backend.context.precision)
    made = [
        cuda_engines.Engine("skadetect", ours, backend.context.synchronize),
        cuda_engines.Engine("pytorch", theirs, cuda_engines.wait_for_torch),
    ]
    norm = ours()
    mine, other = cuda_engines.interleaved(made, rounds, gradients=True)
    print(
        f"  training, batch {batch} of {patch}: skadetect {batch / mine:.1f} patches/s, "
        f"PyTorch {batch / other:.1f}, ratio {other / mine:.2f}; gradient norm {norm:.3g}"
    )


def _our_step(network: Network, x: np.ndarray, backend: Any) -> Any:
    """A step that answers the norm of its gradient; the weights stay on the device."""
    given, features = backend.to_device(x), network.spec.output_features
    arrays = {"parameters": network.parameters, "state": network.state}
    weights = backend.keep_weights(arrays, decayed=OPTIMIZER.decayed)
    network = network.with_parameters(weights.parameters, weights.statistics)
    move, none = move_of(OPTIMIZER, rate=RATE, step=1), np.zeros(features, np.float32)

    def step() -> float:
        y, tape = network.forward_train_on(given, backend)
        weights.follow(network.statistics(tape), MOMENTUM)
        slope = backend.affine(y, np.full(features, 2 * SCALE / y.size, np.float32), none, slope=1.0)
        gradients = network.backward_on(tape, slope, backend)
        return weights.step(gradients, move, factor=SCALE, clip=OPTIMIZER.clip, average=OPTIMIZER.average)

    return step


def _their_step(network: Network, x: np.ndarray, precision: str) -> Any:
    axes = 2 if onnx_file.flat(network, (1, 1, *x.shape[1:4])) else 3
    module = TrainingModule(network, axes).to(cuda_engines.DEVICE)
    given = torch.from_numpy(x[:, 0] if axes == 2 else x).movedim(-1, 1).to(cuda_engines.DEVICE)
    kind = cuda_engines.KINDS.get(precision, torch.float16)
    options = {"lr": RATE, "betas": OPTIMIZER.betas, "eps": OPTIMIZER.epsilon, "fused": True}
    optimizer = torch.optim.AdamW(module.parameters(), **options)

    def step() -> None:
        module.zero_grad()
        with torch.autocast(cuda_engines.DEVICE, dtype=kind, enabled=precision in cuda_engines.KINDS):
            y = module(given)
        (SCALE * (y.float() ** 2).mean()).backward()
        for parameter in module.parameters():
            parameter.grad /= SCALE
        torch.nn.utils.clip_grad_norm_(module.parameters(), OPTIMIZER.clip)
        optimizer.step()

    return step

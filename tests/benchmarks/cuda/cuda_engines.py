"""The same network on a GPU in skadetect and in PyTorch, eager and compiled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cpu_engines
import numpy as np
import onnx_file
import torch
from torch.nn import functional

from skadetect.nn.backends.cuda.tensor import Tensor, decode, encode
from skadetect.nn.network import Network

#: Runs between two looks at the clock: a short one is not measured alone.
REPEATS = 5
#: Rounds before the ones that count.
WARM_UP = 3
KINDS = {"fp16": torch.float16, "bf16": torch.bfloat16}


#: Without a GPU, PyTorch is held against the simulator on its processors.
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def wait_for_torch() -> None:
    """Until PyTorch's work on the device is done."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


class Engine:
    """One way to run a network on what is on the device already."""

    def __init__(self, name: str, run: Callable[[], Any], synchronize: Callable[[], None]) -> None:
        self.name, self.run, self.synchronize = name, run, synchronize


def draw(network: Network, shape: Sequence[int]) -> np.ndarray:
    """An input as the normalisation makes it: mostly noise within a few units, some bright pixels."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((*shape, network.spec.input_features), dtype=np.float32)
    return np.tanh(x * (1 + 3 * (rng.random(x.shape) < 0.01))).astype(np.float32)


def engines(network: Network, x: np.ndarray, backend: Any, *, compiled: bool) -> list[Engine]:
    """skadetect's first; each has run, and agrees with the first."""
    tensor = backend.to_device(x)
    made = [Engine("skadetect", lambda: network.forward_on(tensor, backend), backend.context.synchronize)]
    module, given = _module(network, x, backend.context.precision)
    made.append(Engine("cudnn", lambda: module(given), wait_for_torch))
    if compiled:
        quick = torch.compile(module, mode="max-autotune-no-cudagraphs")
        made.append(Engine("compiled", lambda: quick(given), wait_for_torch))
    with torch.inference_mode():
        wanted = _channels_last(made[1].run(), x)
    found = backend.to_host(made[0].run())
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    if not error < 5e-2:
        raise SystemExit(f"skadetect's outputs differ from cuDNN's by {error:.1e}")
    return made


def interleaved(made: Sequence[Engine], rounds: int, *, gradients: bool = False) -> list[float]:
    """Median seconds of each engine; they take turns, so that clocks and heat hit all alike."""
    taken: list[list[float]] = [[] for _ in made]
    with torch.inference_mode(not gradients):
        for turn in range(rounds + WARM_UP):
            for place in range(len(made)):
                which = (place + turn) % len(made)
                made[which].synchronize()
                start = time.perf_counter()
                for _ in range(REPEATS):
                    made[which].run()
                made[which].synchronize()
                if turn >= WARM_UP:
                    taken[which].append((time.perf_counter() - start) / REPEATS)
    return [float(np.median(each)) for each in taken]


def layer_errors(network: Network, x: np.ndarray, backend: Any) -> Iterator[tuple[str, float]]:
    """Each convolution and its relative error to PyTorch's in float32, of the same stored numbers."""
    torch.backends.cudnn.allow_tf32 = False
    kind, wide = backend.context.kind, backend.context.precision
    stored = decode(encode(x, kind), kind).reshape(x.shape)
    for layer in (layer for layer in network.spec.layers if layer.kind == "conv"):
        filters, bias = (network.parameters[f"{layer.name}.{what}"] for what in ("filters", "bias"))
        given = _stored(filters, kind if wide in KINDS else "fp32")
        options = {"stride": layer.stride, "padding": layer.pads, "groups": layer.groups}
        found = backend.conv_forward(stored, given, bias, slope=layer.slope, **options)
        weights = torch.from_numpy(np.ascontiguousarray(given.transpose(4, 3, 0, 1, 2))).to(DEVICE)
        source = torch.from_numpy(stored).movedim(-1, 1).to(DEVICE)
        y = functional.conv3d(source, weights, torch.from_numpy(np.array(bias)).to(DEVICE), *options.values())
        y = y if layer.slope == 1.0 else functional.leaky_relu(y, layer.slope)
        wanted = y.movedim(1, -1).cpu().numpy()
        yield layer.name, float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
        stored = decode(encode(wanted, kind), kind).reshape(wanted.shape)


def print_layers(network: Network, x: np.ndarray, backend: Any, rounds: int) -> None:
    """Each convolution's time beside cuDNN's, on what the layers before it made."""
    tensor: Tensor = backend.to_device(x)
    for layer in (layer for layer in network.spec.layers if layer.kind == "conv"):
        filters, bias = (network.parameters[f"{layer.name}.{what}"] for what in ("filters", "bias"))
        options = {"stride": layer.stride, "padding": layer.pads, "groups": layer.groups}

        def ours(given=(tensor, filters, bias), options=options, slope=layer.slope):
            return backend.conv_forward(*given, slope=slope, **options)

        single = network.spec.__class__(tensor.shape[-1], (layer,))
        names = (f"{layer.name}.filters", f"{layer.name}.bias")
        alone = Network(single, {name: network.parameters[name] for name in names}, {})
        module, given = _module(alone, np.asarray(tensor), backend.context.precision)
        theirs = Engine("cudnn", lambda module=module, given=given: module(given), wait_for_torch)
        made = [Engine("skadetect", ours, backend.context.synchronize), theirs]
        mine, other = interleaved(made, rounds)
        print(f"    {layer.name:10} {1e3 * mine:8.3f} ms, cuDNN {1e3 * other:8.3f} ms, {other / mine:5.2f}")
        tensor = backend.to_device(ours())


def _module(network: Network, x: np.ndarray, precision: str) -> tuple[Any, Any]:
    """PyTorch's module and input on the device, channels-last, in the precision."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    axes = 2 if onnx_file.flat(network, (1, 1, *x.shape[1:4])) else 3
    kind = KINDS.get(precision, torch.float32)
    module = cpu_engines._Module(network, axes).eval().to(device=DEVICE, dtype=kind)
    given = torch.from_numpy(x[:, 0] if axes == 2 else x).movedim(-1, 1).to(device=DEVICE, dtype=kind)
    return module, given


def _channels_last(y: Any, x: np.ndarray) -> np.ndarray:
    y = y.movedim(1, -1).float().cpu().numpy()
    return y[:, None] if y.ndim == x.ndim - 1 else y


def _stored(values: np.ndarray, kind: str) -> np.ndarray:
    return decode(encode(values, kind), kind).reshape(values.shape)

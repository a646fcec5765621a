"""The same network in skadetect, onnxruntime and PyTorch, each timed whole and layer by layer."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_file
import onnxruntime
import torch
from torch.nn import functional

from skadetect.nn.backends import cpu
from skadetect.nn.network import Network

Array = np.ndarray
Times = dict[str, float]


class Engine:
    """One way to run a network; `run` scores the patch it was made with, `layers` times a run's layers."""

    name = ""
    #: Seconds as they pass on the wall, or as the processors spend them on this process.
    clock = staticmethod(time.perf_counter)

    def run(self) -> Array:
        """Outputs, channels-last."""
        raise NotImplementedError

    def layers(self) -> Times:
        """Seconds of each convolution of one run, with its activation and sum."""
        raise NotImplementedError


class _Watched:
    """The CPU back end with every convolution timed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds: list[float] = []
        self.clock = clock

    def __getattr__(self, name: str) -> Any:
        operation = getattr(cpu, name)
        return self._timed(operation) if name == "conv_forward" else operation

    def _timed(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = self.clock()
            y = operation(*args, **kwargs)
            self.seconds.append(self.clock() - start)
            return y

        return timed


class Ours(Engine):
    """skadetect's own CPU back end."""

    name = "skadetect"

    def __init__(self, network: Network, x: Array) -> None:
        self.network, self.x = network, x
        self.names = [layer.name for layer in network.spec.layers if layer.kind == "conv"]

    def run(self) -> Array:
        """See `Engine.run`."""
        return self.network.forward(self.x, cpu)

    def layers(self) -> Times:
        """See `Engine.layers`."""
        watched = _Watched(self.clock)
        self.network.forward(self.x, watched)  # type: ignore[arg-type]
        return dict(zip(self.names, watched.seconds, strict=True))


class Onnx(Engine):
    """onnxruntime on the same graph; layer times come from the profile of a second session."""

    name = "onnxruntime"

    def __init__(self, network: Network, x: Array, threads: int) -> None:
        first = np.ascontiguousarray(x.transpose(0, 4, 1, 2, 3))
        data = onnx_file.onnx_model(network, first.shape)
        self.flat = onnx_file.flat(network, first.shape)
        self.feed = {"input": first[:, :, 0] if self.flat else first}
        self.names = [layer.name for layer in network.spec.layers if layer.kind == "conv"]
        self.session = onnxruntime.InferenceSession(data, self._options(threads), ["CPUExecutionProvider"])
        self.data, self.threads = data, threads

    @staticmethod
    def _options(threads: int) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Threads that spin after a run would take the time of the engine that runs next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return options

    def run(self) -> Array:
        """See `Engine.run`."""
        (y,) = self.session.run(None, self.feed)
        return np.moveaxis(y[:, :, None] if self.flat else y, 1, -1)

    def layers(self) -> Times:
        """See `Engine.layers`."""
        with tempfile.TemporaryDirectory() as folder:
            options = self._options(self.threads)
            options.enable_profiling, options.profile_file_prefix = True, f"{folder}/profile"
            session = onnxruntime.InferenceSession(self.data, options, ["CPUExecutionProvider"])
            for _ in range(3):
                session.run(None, self.feed)
            events = json.loads(Path(session.end_profiling()).read_text())
        nodes = [e for e in events if e.get("cat") == "Node" and e["name"].endswith("_kernel_time")]
        return self._of_layers(nodes[-len(nodes) // 3 :])

    def _of_layers(self, nodes: list[dict[str, Any]]) -> Times:
        """Sum the events of one run; activations, sums and changes of layout go to the layer before them."""
        times = dict.fromkeys(self.names, 0.0)
        place = 0
        for node in nodes:
            if "Conv" in node["args"]["op_name"]:
                place += 1
            times[self.names[max(0, place - 1)]] += node["dur"] * 1e-6
        return times


class _Module(torch.nn.Module):
    """A network as a PyTorch module; sizes of one along z are left out where nothing extends along z."""

    def __init__(self, network: Network, axes: int) -> None:
        super().__init__()
        self.specs, self.axes = network.spec.layers, axes
        self.wanted = {layer.source for layer in self.specs}
        self.weights = torch.nn.ParameterList()
        for layer in self.specs:
            if layer.kind == "conv":
                filters = network.parameters[f"{layer.name}.filters"].transpose(4, 3, 0, 1, 2)
                filters = np.ascontiguousarray(filters[:, :, 0] if axes == 2 else filters)
                form = torch.channels_last if axes == 2 else torch.channels_last_3d
                self.weights.append(torch.from_numpy(filters).contiguous(memory_format=form))
                self.weights.append(torch.from_numpy(network.parameters[f"{layer.name}.bias"].copy()))
        self.watch: list[float] | None = None
        self.clock = time.perf_counter

    def forward(self, x: Any) -> Any:
        convolve = functional.conv2d if self.axes == 2 else functional.conv3d
        kept: dict[str, Any] = {}
        weights = iter(self.weights)
        for layer in self.specs:
            start = self.clock() if self.watch is not None else 0.0
            if layer.kind == "conv":
                filters, bias = next(weights), next(weights)
                stride, pads = layer.stride[-self.axes :], layer.pads[-self.axes :]
                x = convolve(x, filters, bias, stride, pads, 1, layer.groups)
                x = x if layer.slope == 1.0 else functional.leaky_relu(x, layer.slope, inplace=True)
            elif layer.kind == "add":
                x = x + kept[layer.source]
            if layer.name in self.wanted:
                kept[layer.name] = x
            if self.watch is not None and layer.kind == "conv":
                self.watch.append(self.clock() - start)
            elif self.watch is not None and layer.kind == "add":
                self.watch[-1] += self.clock() - start
        return x


class Torch(Engine):
    """PyTorch, channels-last, eager or compiled."""

    def __init__(self, network: Network, x: Array, *, compiled: bool = False) -> None:
        self.name = "compiled" if compiled else "pytorch"
        axes = 2 if onnx_file.flat(network, (1, 1, *x.shape[1:4])) else 3
        self.module = _Module(network, axes).eval()
        # A channels-last array seen as channels-first is what PyTorch calls the channels-last format.
        self.x = torch.from_numpy(x[:, 0] if axes == 2 else x).movedim(-1, 1)
        self.call = torch.compile(self.module) if compiled else self.module
        self.axes = axes
        self.names = [layer.name for layer in network.spec.layers if layer.kind == "conv"]

    def run(self) -> Array:
        """See `Engine.run`."""
        with torch.inference_mode():
            y = self.call(self.x).movedim(1, -1).numpy()
        return y[:, None] if self.axes == 2 else y

    def layers(self) -> Times:
        """See `Engine.layers`; of the module before compilation, which knows its layers."""
        self.module.watch, self.module.clock = [], self.clock
        with torch.inference_mode():
            self.module(self.x)
        seconds, self.module.watch = self.module.watch, None
        return dict(zip(self.names, seconds, strict=True))


def engines(
    network: Network, x: Array, threads: int, *, compiled: bool = False, clock: str = "wall"
) -> list[Engine]:
    """All engines that this machine has, skadetect's first; each has run once."""
    torch.set_num_threads(threads)
    Engine.clock = staticmethod(time.process_time if clock == "cpu" else time.perf_counter)
    made: list[Engine] = [Ours(network, x), Onnx(network, x, threads), Torch(network, x)]
    for engine in made:
        engine.run()
    if compiled:
        try:
            candidate = Torch(network, x, compiled=True)
            candidate.run()
            made.append(candidate)
        except Exception as error:  # noqa: BLE001 - no compiler, or one that PyTorch cannot use
            print(f"torch.compile does not work here: {type(error).__name__}")
    return made

"""Networks on small inputs as one launch: the kernels of a run, recorded once and replayed (CUDA graphs).

On a small input the kernels end sooner than Python can launch them. A recording keeps its own memory, in
which layers follow one another as in the run that it was made from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from skadetect.nn.backends.cuda import kernels
from skadetect.nn.backends.cuda.context import Context
from skadetect.nn.backends.cuda.device import SIMULATED
from skadetect.nn.backends.cuda.tensor import Pool, Tensor

logger = logging.getLogger(__name__)

#: Input pixels up to which launches take longer than what they launch.
SMALL_PIXELS = 1 << 20
#: Recordings that a thread keeps, the latest used.
MOST_RECORDINGS = 8


class Recording:
    """What a function of a tensor launches, for one shape.

    Parameters
    ----------
    context : Context
        Where it runs, on the stream of the thread that makes the recording.
    run : callable
        From tensor to tensor; has run before, so that its kernels and parameters are there.
    x : Tensor
        An input of the shape.
    """

    def __init__(self, context: Context, run: Callable[[Tensor], Tensor], x: Tensor) -> None:
        self.context, self.pool = context, Pool()
        with context.memory(self.pool):
            self.input = context.empty(x.shape, x.kind)
            self._copy(x, self.input)
            run(self.input)  # takes the memory that the recorded run finds free again
            with _capture(context) as self.launches:
                self.output = run(self.input)
        self._graph = None if SIMULATED else _instantiated(self.launches)

    def __call__(self, x: Tensor) -> Tensor:
        """What `run` gives for another input."""
        self._copy(x, self.input)
        if self._graph is None:
            for recipe, grid, arguments in self.launches:
                kernels.launch(recipe, grid, arguments, self.context.stream)
        else:
            _checked(_driver().cuGraphLaunch(self._graph, _handle(self.context)))
        result = self.context.empty(self.output.shape, self.output.kind)
        self._copy(self.output, result)
        return result

    def _copy(self, source: Tensor, target: Tensor) -> None:
        data: Any = target.data
        data.copy_to_device(source.data, stream=self.context.stream)


def replayed(
    context: Context, owner: Any, run: Callable[[Tensor], Tensor], x: Tensor, *, pixels: int = SMALL_PIXELS
) -> Tensor:
    """run(x), from the third time on that a thread asks for it with one shape by a recording.

    Parameters
    ----------
    context : Context
        Where it runs.
    owner : object
        What makes `run` the same: a network whose parameters are read-only.
    run : callable
        From tensor to tensor.
    x : Tensor
        (batch, z, y, x, feature).
    pixels : int
        Of the largest input worth it.
    """
    if context.rehearsing or x.size // x.shape[-1] > pixels:
        return run(x)
    kept = context.recordings
    key = (id(owner), x.shape, x.kind)
    _, seen, recording = kept.pop(key, (owner, 0, None))
    if seen == 1:
        recording = _recorded(context, run, x)
    kept[key] = (owner, seen + 1, recording)
    while len(kept) > MOST_RECORDINGS:
        kept.pop(next(iter(kept)))
    return run(x) if recording is None else recording(x)


def _recorded(context: Context, run: Callable[[Tensor], Tensor], x: Tensor) -> Recording | None:
    """A recording; None where the driver refuses, so that the network runs as it did."""
    try:
        return Recording(context, run, x)
    except RuntimeError as error:
        logger.warning("small tiles stay slow: %s", error)
        return None


class _capture:
    """Note what a thread launches instead of running it; on a device, the driver notes it as well."""

    def __init__(self, context: Context) -> None:
        self.context, self.launches = context, _Launches()

    def __enter__(self) -> _Launches:
        if not SIMULATED:
            mode = _driver().CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
            self.context.synchronize()
            _checked(_driver().cuStreamBeginCapture(_handle(self.context), mode))
        self.context.record(self.launches)
        return self.launches

    def __exit__(self, *_: object) -> None:
        self.context.record(None)
        if not SIMULATED:
            self.launches.graph = _checked(_driver().cuStreamEndCapture(_handle(self.context)))


class _Launches(list[Any]):
    """Launches, and the driver's graph of them."""

    graph: Any = None


def _instantiated(launches: _Launches) -> Any:
    return _checked(_driver().cuGraphInstantiate(launches.graph, 0))


def _driver() -> Any:
    from cuda.bindings import driver

    return driver


def _handle(context: Context) -> Any:
    """The driver's name for the thread's stream."""
    handle = context.stream.handle
    return _driver().CUstream(int(getattr(handle, "value", handle)))


def _checked(answer: tuple[Any, ...]) -> Any:
    """The result of a call of the driver, if it has one."""
    error, *result = answer
    if error != _driver().CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"CUDA graph: {error.name}")
    return result[0] if result else None

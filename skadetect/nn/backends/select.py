"""Choose a back end by name, once; it is passed on as an argument."""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
import logging
import os
import re
import sys
from typing import Any, cast

from skadetect.errors import ConfigError
from skadetect.nn.backends.base import Backend

logger = logging.getLogger(__name__)

MODULES = {"cpu": "skadetect.nn.backends.cpu", "reference": "skadetect.nn.backends.reference"}
#: How a GPU multiplies, fastest first; all sum in float32.
PRECISIONS = ("fp16", "bf16", "tf32", "fp32")
#: Compute capability of the oldest GPUs that the kernels are made for: copies in the background, bf16, tf32.
OLDEST = (8, 0)
INSTALL = "pip install 'skadetect[cuda13]' (or cuda12 for drivers before 580)"
#: Library of NVIDIA's driver.
DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
#: What the kernels are compiled with at run time.
TOOLKIT = ("nvvm", "nvrtc", "nvJitLink")


def get_backend(device: str = "auto", precision: str = "fp16", *, worker: int = 0) -> Backend:
    """Return the operations of a device.

    Parameters
    ----------
    device : {"auto", "cpu", "reference", "cuda", "cuda:N"}
        ``"auto"`` takes a GPU if there is one that can be used, else the CPU.
    precision : {"fp16", "bf16", "tf32", "fp32"}
        Of products on a GPU; the CPU computes in float32.
    worker : int
        Number of the worker process, which chooses among several GPUs where none is named.

    Raises
    ------
    ConfigError
        If the device or precision is not known, or a GPU that is asked for cannot be used.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"unknown precision {precision!r}, expected one of {', '.join(PRECISIONS)}")
    name = resolve(device)
    if name in MODULES:
        return cast(Backend, importlib.import_module(MODULES[name]))
    return _cuda_backend(_index(name, worker), precision)


def check_device(device: str) -> None:
    """Raise ConfigError unless this is a device's name."""
    if device not in ("auto", "cuda", *MODULES) and not re.fullmatch(r"cuda:\d+", device):
        known = ", ".join(["auto", *MODULES, "cuda", "cuda:N"])
        raise ConfigError(f"unknown device {device!r}, expected one of {known}")


def resolve(device: str) -> str:
    """The device that ``"auto"`` stands for here; others as they are.

    Raises
    ------
    ConfigError
        If the device is not known, or a GPU is asked for and cannot be used.
    """
    check_device(device)
    if device in MODULES:
        return device
    reason = cuda_problem()
    if device != "auto":
        if reason is not None:
            raise ConfigError(f"device {device}: {reason}")
        return device
    if reason is not None:
        logger.debug("no GPU: %s", reason)
    return "cpu" if reason is not None or _simulated() else "cuda"


def uses_gpu(device: str) -> bool:
    """Whether a device, or what ``"auto"`` stands for, is a GPU."""
    return resolve(device).startswith("cuda")


def gpu_count(device: str) -> int:
    """GPUs that workers share: all, or the one that is named."""
    from numba import cuda

    return len(cuda.gpus) if resolve(device) == "cuda" else 1


@functools.cache
def cuda_problem() -> str | None:
    """Why no GPU can be used, in one line; None if one can."""
    if importlib.util.find_spec("numba_cuda") is None:
        return f"numba-cuda is not installed: {INSTALL}"
    if _simulated():
        return None
    if not _has_driver():
        return f"no NVIDIA driver: {DRIVER} is not found"
    from numba import cuda
    from numba.cuda.cudadrv.driver import driver

    if not driver.is_available:
        said = [line.strip(" .") for line in str(driver.initialization_error).splitlines() if line.strip()]
        return f"no NVIDIA driver: {said[0] if said else 'libcuda is not found'}"
    if not len(cuda.gpus):
        return "the NVIDIA driver sees no GPU"
    missing = _missing_library()
    return None if missing is None else f"the CUDA toolkit has no {missing}: {INSTALL}"


def _has_driver() -> bool:
    """Whether the driver's library can be loaded: it takes a second to ask numba-cuda for it."""
    try:
        ctypes.CDLL(os.environ.get("NUMBA_CUDA_DRIVER") or DRIVER)
    except OSError:
        return False
    return True


def _missing_library() -> str | None:
    from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib

    for name in TOOLKIT:
        try:
            load_nvidia_dynamic_lib(name)
        except DynamicLibNotFoundError:
            return f"lib{name}"
    return None


def _index(device: str, worker: int) -> int:
    """Number of the GPU: the one that is named, or the worker's turn among all."""
    from numba import cuda

    count = len(cuda.gpus)
    index = int(device.partition(":")[2] or worker % count)
    if index >= count:
        raise ConfigError(f"device {device}: this machine's GPUs are cuda:0 to cuda:{count - 1}")
    capability: Any = OLDEST if _simulated() else cuda.gpus[index].compute_capability
    if tuple(capability) < OLDEST:
        wanted, found = (".".join(map(str, pair)) for pair in (OLDEST, capability))
        raise ConfigError(f"device {device}: compute capability {found}, expected {wanted} (Ampere) or newer")
    return index


def _simulated() -> bool:
    """Whether kernels run in NVIDIA's simulator: it is for tests, and nothing `auto` should take."""
    import numba

    return bool(numba.config.ENABLE_CUDASIM)


@functools.cache
def _cuda_backend(index: int, precision: str) -> Backend:
    from skadetect.nn.backends.cuda.backend import CudaBackend

    return CudaBackend(index, precision)

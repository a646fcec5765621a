"""What kernels are written with: `numba.cuda` and the instructions of `ptx`, or their emulation.

With ``NUMBA_ENABLE_CUDASIM=1`` the same source runs in the simulator. `cuda` is what a kernel sees, `host`
what the program that launches it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import cuda as host

SIMULATED = bool(numba.config.ENABLE_CUDASIM)

ops: Any
cuda: Any
float32: Any
float64: Any
int32: Any
int64: Any
uint32: Any
uint64: Any
types: Any
if SIMULATED:
    from skadetect.nn.backends.cuda import emulation as ops

    cuda = ops.cuda
    types = np
else:
    from numba.cuda import types  # type: ignore[no-redef]

    from skadetect.nn.backends.cuda import ptx as ops

    cuda = host
float32, float64 = types.float32, types.float64
int32, int64, uint32, uint64 = types.int32, types.int64, types.uint32, types.uint64


def inlined(function: Callable[..., Any]) -> Any:
    """A function that kernels call, made part of each."""
    return function if SIMULATED else host.jit(device=True, forceinline=True)(function)


__all__ = [
    "SIMULATED",
    "cuda",
    "float32",
    "float64",
    "host",
    "inlined",
    "int32",
    "int64",
    "ops",
    "uint32",
    "uint64",
]

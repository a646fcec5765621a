"""The largest pixel of each cell's window."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array, Axes


def peaks(s: Array, stride: Axes, *, reach: int, least: float) -> Array:
    """See `skadetect.nn.backends.base.Backend.peaks`."""
    cells = tuple(n // step for n, step in zip(s.shape[1:], stride, strict=True))
    out = np.empty((len(s), *cells), np.float32)
    _peaks(np.ascontiguousarray(s, np.float32), stride, reach, np.float32(least), out)
    return out


@nb.njit(**PARALLEL)
def _peaks(s: Any, stride: Any, reach: Any, least: Any, out: Any) -> None:
    _, nz, ny, nx = s.shape
    _, deep, high, wide = out.shape
    for row in nb.prange(out.shape[0] * deep * high):
        sample, cell_z, cell_y = row // (deep * high), row // high % deep, row % high
        line = np.full(nx, least, np.float32)  # of the cells' rows; along x a vector at a time
        for z in range(max(0, cell_z * stride[0] - reach), min(nz, (cell_z + 1) * stride[0] + reach)):
            for y in range(max(0, cell_y * stride[1] - reach), min(ny, (cell_y + 1) * stride[1] + reach)):
                _raise_to(s[sample, z, y], line)
        for cell_x in range(wide):
            largest = least
            for x in range(max(0, cell_x * stride[2] - reach), min(nx, (cell_x + 1) * stride[2] + reach)):
                largest = max(largest, line[x])
            out[sample, cell_z, cell_y, cell_x] = largest


@nb.njit(**JIT)
def _raise_to(values: Any, line: Any) -> None:
    """Take each element up to a value."""
    for i in range(values.shape[0]):
        line[i] = values[i] if values[i] > line[i] else line[i]

"""The anchor of a cell: a signal to noise measured on the input, to which the network's fluxes are ratios.

A ratio to something measured stays in the range that training saw, however bright the source.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array, Axes

#: Pixels by which a cell's window reaches into its neighbours: a source's peak may lie just outside its cell.
REACH = 1
FLOOR = 1.0


def anchor_map(s: Array, stride: Axes) -> Array:
    """Largest signal to noise in each cell's window, at least one.

    Parameters
    ----------
    s : ndarray, shape (z, y, x)
        Signal to noise, dimensionless; extents are multiples of the stride.
    stride : tuple of int
        Pixels a cell spans along (z, y, x).

    Returns
    -------
    ndarray, shape (z / stride, y / stride, x / stride)
        Dimensionless, float32, never below one.
    """
    cells = tuple(n // step for n, step in zip(s.shape, stride, strict=True))
    out = np.empty(cells, np.float32)
    _anchors(np.ascontiguousarray(s, np.float32), stride, out)
    return out


@nb.njit(**PARALLEL)
def _anchors(s: Any, stride: Any, out: Any) -> None:
    nz, ny, nx = s.shape
    rows = out.shape[0] * out.shape[1]
    for row in nb.prange(rows):
        cell_z, cell_y = row // out.shape[1], row % out.shape[1]
        line = np.full(nx, FLOOR, np.float32)  # of the cells' rows; along x a vector at a time
        for z in range(max(0, cell_z * stride[0] - REACH), min(nz, (cell_z + 1) * stride[0] + REACH)):
            for y in range(max(0, cell_y * stride[1] - REACH), min(ny, (cell_y + 1) * stride[1] + REACH)):
                _raise_to(s[z, y], line)
        for cell_x in range(out.shape[2]):
            largest = np.float32(FLOOR)
            for x in range(max(0, cell_x * stride[2] - REACH), min(nx, (cell_x + 1) * stride[2] + REACH)):
                largest = max(largest, line[x])
            out[cell_z, cell_y, cell_x] = largest


@nb.njit(**JIT)
def _raise_to(values: Any, line: Any) -> None:
    """Take each element up to a value."""
    for i in range(values.shape[0]):
        line[i] = values[i] if values[i] > line[i] else line[i]

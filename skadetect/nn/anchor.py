"""The anchor of a cell: a signal to noise measured on the input, to which the network's fluxes are ratios.

A ratio to something measured stays in the range that training saw, however bright the source.
"""

from __future__ import annotations

from typing import Any

from skadetect.nn.backends import cpu
from skadetect.nn.backends.base import Array, Axes, Backend

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
    return cpu.peaks(s[None], stride, reach=REACH, least=FLOOR)[0]


def anchor_maps(s: Any, stride: Axes, backend: Backend) -> Array:
    """`anchor_map` of each sample of a batch that is where a back end has its arrays."""
    return backend.peaks(s, stride, reach=REACH, least=FLOOR)

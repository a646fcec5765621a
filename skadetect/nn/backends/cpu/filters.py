"""Filters in the order the tiles read them, kept for as long as their array lives if that can never change.

An array that is read-only is the same for ever, so what was made of it is kept: a network that is made for
inference freezes its filters, and pays for their transforms once. Arrays that a training changes are
writeable and are transformed at every call.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np

from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array
from skadetect.nn.backends.cpu.tile import LANES, WIDTH

_Kept = dict[tuple[int, str], tuple[Any, Array]]


class FilterCache:
    """What was made of read-only arrays, by the array and the purpose."""

    def __init__(self) -> None:
        self._kept: _Kept = {}

    def get(self, filters: Array, purpose: str, make: Callable[[Array], Array]) -> Array:
        """`make(filters)`, kept if the filters are read-only; an entry goes with its array."""
        if filters.flags.writeable:
            return make(filters)
        key = (id(filters), purpose)
        entry = self._kept.get(key)
        if entry is not None and entry[0]() is filters:
            return entry[1]
        kept = self._kept
        made = make(np.array(filters))
        kept[key] = (weakref.ref(filters, lambda _: kept.pop(key, None)), made)
        return made


def pack(matrices: Array, *, paired: bool) -> Array:
    """Matrices (n, rows, outputs) in panels (n, panels, rows, `WIDTH`) of outputs, zeros at the end.

    A last panel that fills no more than one vector has its rows one vector apart, at the panel's beginning:
    else they would lie in every other line of the cache, and soon drive each other out of it. Two by two they
    are laid into each other there if runs of values begin and end at even rows: `paired`.
    """
    count, rows, outputs = matrices.shape
    panels = np.empty((count, -(-outputs // WIDTH), rows, WIDTH), np.float32)
    _pack(np.ascontiguousarray(matrices), panels, paired)
    return panels


def padded(bias: Array | None, outputs: int) -> Array:
    """Bias, or zeros, to the end of the last panel."""
    out = np.zeros(-(-outputs // WIDTH) * WIDTH, np.float32)
    if bias is not None:
        out[:outputs] = bias
    return out


@nb.njit(**PARALLEL)
def _pack(matrices: Any, panels: Any, paired: bool) -> None:
    count, rows, outputs = matrices.shape
    across = panels.shape[1]
    for part in nb.prange(count * across):
        n, panel = part // across, part % across
        first = panel * WIDTH
        width = min(WIDTH, outputs - first)
        if width > LANES or not paired:
            _lay(matrices[n, :, first : first + width], panels[n, panel])
            continue
        panels[n, panel] = 0.0
        pairs = panels[n, panel].reshape(-1, WIDTH)
        for row in range(rows):
            for f in range(width):
                pairs[row // 2, 2 * f + row % 2] = matrices[n, row, first + f]


@nb.njit(**JIT)
def _lay(rows: Any, panel: Any) -> None:
    width = rows.shape[1]
    lines = panel.reshape(-1, WIDTH if width > LANES else LANES)
    for row in range(rows.shape[0]):
        lines[row, width:] = 0.0
        for f in range(width):
            lines[row, f] = rows[row, f]

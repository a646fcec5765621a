"""Measures of how much two boxes overlap, and how far apart boxes can be that do."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from skadetect._numba import JIT
from skadetect.errors import ConfigError
from skadetect.formulas import OVERLAPS, overlap

_formula = njit(**JIT)(overlap)

#: Measures that NMS knows: those of `skadetect.formulas`, and how deep a box's centre lies in a better box.
INNER = len(OVERLAPS)
MEASURES = OVERLAPS | {"inner": INNER}


def measure_of(name: str) -> int:
    """Number of the overlap measure of a name; ConfigError if there is none."""
    if name not in MEASURES:
        raise ConfigError(f"overlap is {name!r}, expected one of {', '.join(MEASURES)}")
    return MEASURES[name]


def reach_of(kind: int, limit: float, ndim: int) -> float:
    """Distance of centres on an axis, in the largest of all sides, beyond which no overlap passes the limit.

    Boxes that do not meet have IoU 0, so only a negative limit -t reaches further than 1. With s the larger
    sides, the hull's diagonal is at most |d| + |s|: DIoU > -t needs d < t |s| / (1 - t), with sqrt(t) for the
    squared ratio; |s| is at most sqrt(ndim) sides. GIoU > -t needs hull < 2 prod(s) / (1 - t), an extent
    below 2 s / (1 - t).
    """
    t = max(0.0, -limit)
    root = math.sqrt(t) if kind == OVERLAPS["diou_squared"] else t
    far = 2.0 / (1.0 - t) if kind == OVERLAPS["giou"] and t > 0 else math.sqrt(ndim) * root / (1.0 - root)
    return max(1.0, far) * (1.0 + 1e-9)


@njit(**JIT)
def overlap_of(kind: int, a: np.ndarray, b: np.ndarray) -> float:
    """Measure number `kind` of a box b, shape (2, ndim), beside a better box a."""
    if kind != INNER:
        return _formula(kind, a, b)
    depth = 1.0
    for k in range(a.shape[1]):
        apart = abs((b[0, k] + b[1, k]) - (a[0, k] + a[1, k]))
        side = a[1, k] - a[0, k]
        if side <= 0.0:
            return -1.0
        depth = min(depth, 1.0 - apart / side)
    return depth

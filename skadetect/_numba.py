"""The one place that says how Numba compiles: every kernel takes its options from here."""

from __future__ import annotations

import os
from typing import Any

# OpenMP's threads would spin between two kernels; on a machine with other work that takes the time of both.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Reassociation and contraction vectorise sums; NaN and infinity keep their meaning: blank pixels are NaN.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}

JIT: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
PARALLEL: dict[str, Any] = {**JIT, "parallel": True}

"""The one place that says how Numba compiles: every kernel takes its options from here."""

from __future__ import annotations

from typing import Any

# Reassociation and contraction vectorise sums; NaN and infinity keep their meaning, because blank pixels are NaN.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}

JIT: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
PARALLEL: dict[str, Any] = {**JIT, "parallel": True}

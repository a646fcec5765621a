"""The one place that says how Numba compiles, and when what it kept on the disk is out of date.

Numba knows a kernel on the disk by the file that it stands in. What it calls from other files is compiled
into it, so after an update of those alone the old code would run on, with the new one's arrays.
"""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path
from typing import Any

# OpenMP's threads would spin between two kernels; on a machine with other work that takes the time of both.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Reassociation and contraction vectorise sums; NaN and infinity keep their meaning: blank pixels are NaN.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}

JIT: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
PARALLEL: dict[str, Any] = {**JIT, "parallel": True}

_PACKAGE = Path(__file__).parent


@functools.cache
def sources_digest() -> str:
    """Of all sources that kernels are made of: any change makes the caches forget them all."""
    sha = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        text = path.read_bytes()
        if b"numba" in text or "backends" in path.parts:  # constants of back ends are compiled in
            sha.update(text)
    return sha.hexdigest()[:16]


def _know_kernels_by_all_sources() -> None:
    """Put places for this package's kernels before Numba's own: the same ones, with another stamp."""
    from numba.core.caching import CacheImpl

    places = CacheImpl._locator_classes
    if not any(getattr(place, "of_skadetect", False) for place in places):
        places[:0] = [_place(place) for place in places]


def _place(numbas: Any) -> Any:
    class Place(numbas):  # type: ignore[misc]
        of_skadetect = True

        def get_source_stamp(self) -> str:
            return sources_digest()

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            return super().from_function(py_func, py_file) if _PACKAGE in Path(py_file).parents else None

    return Place


_know_kernels_by_all_sources()

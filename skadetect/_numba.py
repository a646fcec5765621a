"""The one place that says how Numba compiles, and when what it kept on the disk is out of date.

Numba knows a kernel on the disk by the file that it stands in. What it calls from other files is compiled
into it, so after an update of those alone the old code would run on, with the new one's arrays. And it gives
up where neither the package's folder nor a home can be written, as in many a container: kernels are then kept
among the temporary files.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

# OpenMP's threads would spin between two kernels; on a machine with other work that takes the time of both.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Reassociation and contraction vectorise sums; NaN and infinity keep their meaning: blank pixels are NaN.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}

JIT: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
#: Without liberties of rounding: a number does not depend on its place in a vector.
EXACT: dict[str, Any] = {**JIT, "fastmath": False}
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


@functools.cache
def last_resort() -> Path:
    """A folder for kernels among the temporary files: this user's own, or else this process's own.

    What is read from it is run, so nobody else may have written it.
    """
    user = str(os.getuid()) if hasattr(os, "getuid") else "kernels"
    shared = Path(tempfile.gettempdir()) / f"skadetect-{user}"
    with contextlib.suppress(OSError):
        shared.mkdir(mode=0o700, exist_ok=True)
        if _is_private(shared):
            return shared
    own = tempfile.mkdtemp(prefix="skadetect-")
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return Path(own)


def _is_private(folder: Path) -> bool:
    """Whether it is a folder of this user's that no other can write."""
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        return False
    return not hasattr(os, "getuid") or (about.st_uid == os.getuid() and not about.st_mode & 0o022)


def _know_kernels_by_all_sources() -> None:
    """Put places for this package's kernels before Numba's own: those with another stamp, and one more."""
    from numba.core.caching import CacheImpl, UserWideCacheLocator

    places = CacheImpl._locator_classes
    if not any(getattr(place, "of_skadetect", False) for place in places):
        places[:0] = [*(_place(place) for place in places), _temporary(_place(UserWideCacheLocator))]


def _place(numbas: Any) -> Any:
    class Place(numbas):  # type: ignore[misc]
        of_skadetect = True

        def get_source_stamp(self) -> str:
            return sources_digest()

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            return super().from_function(py_func, py_file) if _PACKAGE in Path(py_file).parents else None

    return Place


def _temporary(numbas: Any) -> Any:
    class Temporary(numbas):  # type: ignore[misc]
        def get_cache_path(self) -> str:
            return str(last_resort() / self.get_suitable_cache_subpath(self._py_file))

    return Temporary


_know_kernels_by_all_sources()

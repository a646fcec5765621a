"""Set-up for all tests: no display, CUDA in its simulator, property tests that are the same on every run."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")
# read when Numba is imported; the tests marked gpu want 0, as `make test-gpu` sets it
os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")

# kernels compile inside the first example, so a deadline a call would fail at random
settings.register_profile("skadetect", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("skadetect")

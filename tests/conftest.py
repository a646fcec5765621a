"""Set-up for all tests: no display, and property tests that are the same on every run."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")

# kernels compile inside the first example, so a deadline a call would fail at random
settings.register_profile("skadetect", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("skadetect")

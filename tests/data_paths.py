"""Where the shared example data lies; tests that read it are skipped, with the reason, where it is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared" / "data"


def shared(name: str) -> Path:
    """Path of a file or folder of the shared data; skips the calling test if it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the shared example data has no {name}")
    return path

"""The simulator for the tests here that are not of a GPU."""

from __future__ import annotations

import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")


@pytest.fixture
def simulator() -> None:
    """Skip where kernels would go to a device."""
    from skadetect.nn.backends.cuda.device import SIMULATED

    if not SIMULATED:
        pytest.skip("NUMBA_ENABLE_CUDASIM is off")

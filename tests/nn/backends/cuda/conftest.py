"""The simulator for the tests here that are not of a GPU, and the compiler, which runs beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")

ROOT = Path(__file__).parents[4]


@pytest.fixture
def simulator() -> None:
    """Skip where kernels would go to a device."""
    from skadetect.nn.backends.cuda.device import SIMULATED

    if not SIMULATED:
        pytest.skip("NUMBA_ENABLE_CUDASIM is off")


@pytest.fixture(scope="session", autouse=True)
def compiler(request: pytest.FixtureRequest) -> Iterator[Callable[[], dict]]:
    """What the compilers say of every kernel: they start with the first test here, asked at the end."""
    if not any(item.path.name == "test_sass.py" for item in request.session.items):
        yield dict
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.nn.backends.cuda.compile_kernels"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    answers: list[dict] = []

    def reports() -> dict:
        if not answers:
            printed, errors = process.communicate(timeout=900)
            assert process.returncode == 0, errors
            answers.append(json.loads(printed))
        return answers[0]

    yield reports
    process.kill()
    process.communicate()

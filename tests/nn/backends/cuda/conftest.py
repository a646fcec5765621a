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
    """What the compilers say of every kernel.

    They start with the first test here and are asked at the end; of several test processes the one that asks
    starts them, then.
    """
    wanted = any(item.path.name == "test_sass.py" for item in request.session.items)
    running = [_start()] if wanted and "PYTEST_XDIST_WORKER" not in os.environ else []
    answers: list[dict] = []

    def reports() -> dict:
        if not answers:
            running[:] = running or [_start()]
            printed, errors = running[0].communicate(timeout=900)
            assert running[0].returncode == 0, errors
            answers.append(json.loads(printed))
        return answers[0]

    yield reports
    for process in running:
        process.kill()
        process.communicate()


def _start() -> subprocess.Popen[str]:
    """The program that compiles all kernels."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.nn.backends.cuda.compile_kernels"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

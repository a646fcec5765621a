"""Choice of a back end by name, and what is said where there is no GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest

from skadetect.errors import ConfigError
from skadetect.nn.backends import reference, select
from skadetect.nn.backends.select import get_backend

#: A process with neither the simulator nor, on this line's machine, a GPU.
REAL = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "CUDA_VISIBLE_DEVICES": ""}


def without_numba_cuda(name: str) -> None:
    """Find every module but NVIDIA's."""
    return None if name == "numba_cuda" else object()


def test_a_backend_is_chosen_by_name():
    assert get_backend("reference") is reference
    assert get_backend("auto") is get_backend("cpu") is not reference


@pytest.mark.parametrize("device", ["abacus", "cuda:", "cuda:-1", "cuda:x", "CUDA"])
def test_an_unknown_device_is_named_with_the_known_ones(device):
    with pytest.raises(ConfigError, match=rf"'{device}'.*cpu.*reference.*cuda:N"):
        get_backend(device)


def test_an_unknown_precision_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'fp8'.*fp16, bf16, tf32, fp32"):
        get_backend("cpu", "fp8")


def test_a_gpu_is_kept_and_has_its_precision():
    pytest.importorskip("numba_cuda")
    first = get_backend("cuda", "bf16")
    assert get_backend("cuda:0", "bf16", worker=3) is first
    assert first.context.precision == "bf16"
    assert select.uses_gpu("cuda") and not select.uses_gpu("cpu")
    with pytest.raises(ConfigError, match="cuda:7.*cuda:0 to cuda:0"):
        get_backend("cuda:7")


def test_without_the_extra_cuda_says_how_to_get_it_and_auto_takes_the_cpu(monkeypatch):
    monkeypatch.setattr(select.importlib.util, "find_spec", without_numba_cuda)
    select.cuda_problem.cache_clear()
    with pytest.raises(ConfigError, match=r"numba-cuda is not installed: pip install 'skadetect\[cuda13\]'"):
        get_backend("cuda")
    assert get_backend("auto") is get_backend("cpu")
    select.cuda_problem.cache_clear()


@pytest.mark.skipif(find_library("cuda") is not None, reason="this machine has an NVIDIA driver")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_without_a_driver_the_command_ends_with_one_line_and_code_2(tmp_path, device):
    command = [str(Path(sys.executable).with_name("skadetect")), "detect", "examples/field/image.fits"]
    command += ["-o", str(tmp_path / "a.fits"), "--device", device]
    done = subprocess.run(command, env=REAL, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith(f"skadetect: error: device {device}: no NVIDIA driver")


@pytest.mark.skipif(find_library("cuda") is not None, reason="this machine has an NVIDIA driver")
def test_a_detection_starts_without_what_takes_long_to_import():
    """numba-cuda is asked for a GPU only where there is a driver, pandas only for a DataFrame."""
    code = (
        "import sys, skadetect.detect\n"
        "from skadetect.nn.backends.select import resolve\n"
        "assert resolve('auto') == 'cpu'\n"
        "slow = {'pandas', 'numba.cuda', 'distributed', 'matplotlib', 'spectral_cube'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    subprocess.run([sys.executable, "-c", code], env=REAL, check=True)


def test_nothing_of_cuda_is_imported_before_a_gpu_is_asked_for():
    """Without the extra there is nothing to import: a detection on the CPU must not look for it."""
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.startswith(('numba_cuda', 'cuda.', 'nvidia', 'numba.cuda')):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import skadetect.detect, skadetect.train, skadetect.cli.main\n"
        "from skadetect.nn.backends.select import get_backend\n"
        "get_backend('cpu')\n"
        "words = ('numba.cuda', 'numba_cuda', 'cuda.', 'nvidia')\n"
        "found = [name for name in sys.modules if name.startswith(words)]\n"
        "assert not found, found\n"
        "assert not any(name.startswith('skadetect.nn.backends.cuda') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], env=REAL, check=True)

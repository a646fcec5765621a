"""Kernels on the disk are forgotten when anything changes that is compiled into them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import skadetect
from skadetect import boxes, photometry, stretches
from skadetect._numba import sources_digest
from skadetect.nn.backends.cpu import direct

RUN = """
import numpy as np
from skadetect import stretches
s = np.full((1, 1, 1, 64), 0.5, np.float32)
made = stretches.features(s, ((0, 1.0, 1.0),), np.empty((1, 0), np.float32))
print(float(made.max()))
"""


@pytest.mark.parametrize("kernel", [direct._convolve, boxes._pairwise, photometry._measure, stretches._tanh])
def test_kernels_are_known_by_all_sources(kernel):
    assert kernel._cache._impl.locator.get_source_stamp() == sources_digest()


def test_functions_of_others_are_not():
    from numba.core.caching import CacheImpl

    ours = [place for place in CacheImpl._locator_classes if getattr(place, "of_skadetect", False)]
    assert ours
    assert all(place.from_function(test_functions_of_others_are_not, __file__) is None for place in ours)


def test_a_change_in_another_file_is_seen(tmp_path):
    """A function that a kernel takes from another file is changed, with the kernel's own file left alone."""
    copy = tmp_path / "skadetect"
    ignored = shutil.ignore_patterns("__pycache__", "models", "cuda")
    shutil.copytree(Path(skadetect.__file__).parent, copy, ignore=ignored)
    first = run(tmp_path)
    assert first == pytest.approx(0.46211716)
    formulas = copy / "formulas.py"
    text = formulas.read_text()
    assert text.count("return x * p / q") == 1
    formulas.write_text(text.replace("return x * p / q", "return x * p / q + x"))
    assert run(tmp_path) == pytest.approx(first + 0.5)


def run(folder: Path) -> float:
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=folder)
    return float(done.stdout.split()[0])


UNWRITABLE = """
import os
from numba.core import caching

def refuse(self):
    raise OSError("read-only")

for place in (caching.InTreeCacheLocator, caching.UserWideCacheLocator):
    usual = place.ensure_cache_path
    place.ensure_cache_path = lambda self, usual=usual: (
        usual(self) if self.get_cache_path().startswith(os.environ["TMPDIR"]) else refuse(self)
    )
"""


@pytest.mark.parametrize("taken", ["nothing", "folder of all", "file", "link"])
def test_kernels_are_kept_where_only_temporary_files_can_be(tmp_path, taken):
    """Among them in a folder that nobody else can write, whatever lies there already."""
    place = tmp_path / f"skadetect-{os.getuid()}"
    if taken == "folder of all":
        place.mkdir()
        place.chmod(0o777)
    elif taken == "file":
        place.touch()
    elif taken == "link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment |= {"PYTHONPATH": str(Path(skadetect.__file__).parents[1]), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", UNWRITABLE + RUN]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert float(done.stdout.split()[0]) == pytest.approx(0.46211716)
    kept = list(tmp_path.rglob("*.nbi"))
    if taken == "nothing":
        assert kept and all(place in path.parents for path in kept)
        assert place.stat().st_mode & 0o077 == 0
    else:
        assert not kept  # in a folder of the process's own, which went with it

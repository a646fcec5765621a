"""The package as users get it: public names, versions, licence, what is in the distribution."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import skadetect

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("name", skadetect.__all__)
def test_every_public_name_exists_and_is_documented(name: str) -> None:
    value = getattr(skadetect, name)
    assert value is not None
    if name != "__version__":
        assert value.__name__.rpartition(".")[2] == name
        assert (value.__doc__ or "").strip()


def test_import_is_light_and_names_are_listed() -> None:
    code = (
        "import sys, skadetect; assert {'detect', 'open_image'} <= set(dir(skadetect));"
        "heavy = {'numpy', 'numba', 'astropy', 'pandas', 'dask'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("first", ["import skadetect", "import skadetect.detect, skadetect.train"])
def test_verbs_are_functions_and_modules_whatever_is_imported_first(first: str) -> None:
    code = f"""{first}
import inspect
for verb, argument in [(skadetect.detect, "image"), (skadetect.train, "config")]:
    assert list(inspect.signature(verb).parameters)[0] == argument, verb
import skadetect.train.loop as loop
assert skadetect.train.loop is loop
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_calling_a_verb_calls_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skadetect.train.loop.train", lambda *args, **kwargs: (args, kwargs))
    assert skadetect.train("a.toml", resume=False) == (("a.toml",), {"resume": False})


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'detekt'"):
        _ = skadetect.detekt


def test_versions_agree() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == skadetect.__version__
    assert f"[{skadetect.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_import_of_the_package_is_a_declared_dependency() -> None:
    """What skadetect imports outside functions it must get without extras."""
    declared = {
        re.split(r"[<>=\[]", line)[0].replace("-", "_") for line in PROJECT["project"]["dependencies"]
    }
    for file in (ROOT / "skadetect").rglob("*.py"):
        for name in re.findall(r"^(?:import|from) (\w+)", file.read_text(), re.MULTILINE):
            known = name in sys.stdlib_module_names or name in declared or name == "skadetect"
            assert known, f"{file.relative_to(ROOT)} imports {name}"


def test_models_are_in_the_distribution() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]["skadetect"]
    assert {"models/*.safetensors", "models/*.md", "py.typed"} <= set(data)
    assert (ROOT / "skadetect" / "py.typed").exists()


def test_continuous_integration_runs_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)


def test_makefile_knows_its_targets() -> None:
    for target in ["install", "demo", "test", "lint", "format", "benchmark"]:
        result = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
    demo = subprocess.run(
        ["make", "-n", "demo", "IMAGE=some image.fits"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert '"some image.fits"' in demo.stdout
    assert "primary-beam" not in demo.stdout

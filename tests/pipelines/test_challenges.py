"""The pipelines of the challenges: one command does all of it, and goes on after a kill."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from astropy.table import QTable

from skadetect.catalog.sdc1 import read_sdc1
from skadetect.sdc import rehearse_sdc1, rehearse_sdc2
from skadetect.simulate import HiOptions

PIPELINES = Path(__file__).parents[2] / "pipelines"
STEPS = ("prepare", "train", "tune", "detect", "score", "submit", "run", "rehearse")


def run(challenge: str, script: str, *flags: str) -> str:
    command = [sys.executable, str(PIPELINES / challenge / f"{script}.py"), *map(str, flags)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_data_files_are_those_the_package_knows():
    spec = importlib.util.spec_from_file_location("data_toml", PIPELINES / "data_toml.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for folder, text in module.texts().items():
        assert (PIPELINES / folder / "data.toml").read_text() == text
    names = [file["name"] for file in tomllib.loads(module.texts()["sdc1"])["files"]]
    assert len(names) == 18
    assert {"SKAMid_B2_8h_v3.fits", "PrimaryBeam_B5.fits", "TrainingSet_B1_v2.txt"} <= set(names)


@pytest.mark.parametrize("challenge", ["sdc1", "sdc2"])
def test_every_script_explains_itself(challenge):
    for name in STEPS:
        text = (PIPELINES / challenge / f"{name}.py").read_text()
        assert text.startswith('"""')
        assert len(text.splitlines()) < 40
    assert "--folder" in run(challenge, "run", "--help")


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_alike(tmp_path):
    folder = rehearse_sdc1(tmp_path / "data", size=448)
    settings = (PIPELINES / "sdc1" / "config.toml").read_text()
    config = tmp_path / "config.toml"
    config.write_text(settings.replace('max_memory = "2GB"', 'max_memory = "2GB"\ntile = 64'))
    flags = ("--config", config, "--folder", folder, "--from", "none", "--out")
    whole, parts = tmp_path / "whole", tmp_path / "part" / "catalog.parts"
    run("sdc1", "run", *flags, whole)
    command = [sys.executable, str(PIPELINES / "sdc1" / "run.py"), *map(str, flags), str(tmp_path / "part")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list(parts.glob("*/tile-*.npz"))) < 10 and process.poll() is None:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in parts.glob("*/tile-*.npz")}
    assert 10 <= len(before) < 49
    assert not (tmp_path / "part" / "submission.txt").exists()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert f"{len(before)} of 49 tiles were finished before" in done.stderr
    assert "tune: done before" in done.stderr
    assert "score=" in done.stdout
    ours, theirs = (read_sdc1(one / "submission.txt") for one in (whole, tmp_path / "part"))
    assert ours.equals(theirs)
    assert not parts.exists()


@pytest.mark.slow
def test_a_cube_goes_from_files_to_a_submission(tmp_path):
    options = HiOptions(density=40.0, frequency=1050.0)
    folder = rehearse_sdc2(tmp_path / "data", shape=(160, 96, 96), options=options)
    said = run("sdc2", "run", "--folder", folder, "--training", "dev")
    assert "Sdc2Score(" in said
    assert (folder / "skadetect" / "submission.txt").exists()


def test_the_released_catalogues_say_what_they_are():
    spec = importlib.util.spec_from_file_location("release", PIPELINES / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (module.CATALOGS / "README.md").read_text() == module.readme()
    for path in module.CATALOGS.glob("*.json"):
        about = json.loads(path.read_text())
        assert len(about["commit"]) == 40
        assert about["score"]["n_match"] <= about["score"]["n_det"]
        tables = [QTable.read(path.with_suffix(suffix)) for suffix in (".fits", ".ecsv")]
        assert tables[0].colnames == tables[1].colnames
        assert len(tables[0]) == len(tables[1]) >= about["score"]["n_det"]

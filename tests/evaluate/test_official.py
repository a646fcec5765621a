"""Scores equal those of the official package on random catalogues.

The package needs an environment of its own, which `make test` makes in .venv/oracle; SKA_SDC_PYTHON names
another interpreter. Without either the tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluate.sdc2_oracle import random_tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skadetect.catalog.sdc1 import SDC1_COLUMNS
from skadetect.evaluate import score_sdc1
from skadetect.evaluate.sdc2 import score_sdc2

OURS = Path(__file__).parents[2] / ".venv" / "oracle" / "bin" / "python"
PYTHON = os.environ.get("SKA_SDC_PYTHON") or (str(OURS) if OURS.exists() else "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="there is no environment of the official package")
COUNTS = ("n_det", "n_bad", "n_match", "n_false")


class Official:
    """The official package in a process of its own, which scores folder after folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        script = str(Path(__file__).with_name("run_ska_sdc.py"))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([PYTHON, script], text=True, **pipes)

    def score(self, sub, truth, **case):
        """Its results, and the tables as they read from its files."""
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        tables = []
        for kind, table in (("sub", sub), ("truth", truth)):
            header = kind == "sub" or case["challenge"] == "sdc2"
            table.to_csv(folder / f"a_{kind}.txt", sep=" ", index=False, header=header)
            read = pd.read_csv(folder / f"a_{kind}.txt", sep=" ", names=list(table), skiprows=int(header))
            tables.append(read)
        (folder / "cases.json").write_text(json.dumps([{"name": "a", **case}]))
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["a"], *tables


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> Iterator[Official]:
    """One process for all tests: importing the package takes longer than scoring."""
    one = Official(tmp_path_factory.mktemp("official"))
    yield one
    one.process.stdin.close()
    one.process.stdout.close()
    one.process.wait(timeout=60)


def same(result, expected):
    assert {name: getattr(result, name) for name in COUNTS} == {name: expected[name] for name in COUNTS}
    assert result.score == pytest.approx(expected["score"], rel=1e-8, abs=1e-8)
    if result.n_match:
        assert list(result.attributes.values()) == pytest.approx(expected["means"], rel=1e-8, abs=1e-12)


def sdc2_case(seed):
    """Tables of all densities, some with ids that are not unique, values beyond the ranges, one row."""
    rng = np.random.default_rng(seed)
    truth, sub = random_tables(
        seed, n=int(rng.integers(3, 200)), spread=10 ** rng.uniform(-2.5, -0.5), band=(1e9, 1.01e9)
    )
    sub["pa"] += 360.0 * rng.integers(-1, 2, len(sub))
    return (sub, truth) if seed % 7 else (truth.iloc[:1], truth)


def sdc1_case(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(50, 400))
    ra, dec = rng.uniform(-0.05, 0.05, n) % 360.0, rng.uniform(-29.95, -29.9, n)
    major, size = 10 ** rng.uniform(-0.5, 1.0, n), rng.choice([1, 2, 3], n)
    values = (
        rng.permutation(3 * n)[:n], ra, dec, ra + rng.normal(0, 1e-4, n), dec, 10 ** rng.uniform(-7, -4, n),
        rng.uniform(0, 1, n), major, major * rng.uniform(0.1, 1, n), rng.uniform(-90, 360, n), size,
        rng.integers(1, 4, n),
    )  # fmt: skip
    truth = pd.DataFrame(dict(zip(SDC1_COLUMNS, values, strict=True)))
    sub = truth.sample(2 * n, replace=True, random_state=seed).reset_index(drop=True)
    for name in ("ra_core", "dec_core", "ra_cent", "dec_cent"):
        sub[name] += rng.normal(0, 1e-4, len(sub))
    for name in ("flux", "b_maj", "b_min"):
        sub[name] *= np.exp(rng.normal(0, 0.4, len(sub)))
    sub["pa"] += rng.normal(0, 20, len(sub))
    sub["size"] = np.where(rng.random(len(sub)) < 0.1, rng.integers(1, 4, len(sub)), sub["size"])
    sub["flux"] *= np.where(rng.random(len(sub)) < 0.02, -1.0, 1.0)
    return sub.assign(id=np.arange(len(sub))), truth


SEEDS = st.integers(0, 10_000)
given_fixture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


@given_fixture
@given(seed=SEEDS)
def test_sdc2(official, seed):
    expected, sub, truth = official.score(*sdc2_case(seed), challenge="sdc2")
    same(score_sdc2(sub, truth), expected)


@given_fixture
@given(
    seed=SEEDS,
    freq=st.sampled_from([560, 1400, 9200]),
    mode=st.sampled_from(["core", "centroid"]),
    train=st.booleans(),
)
def test_sdc1(official, seed, freq, mode, train):
    options = {"freq": freq, "mode": mode, "train": train}
    expected, sub, truth = official.score(*sdc1_case(seed), challenge="sdc1", **options)
    same(score_sdc1(sub, truth, **options), expected)


def test_cases_have_matches(official):
    _, *sdc1 = official.score(*sdc1_case(1), challenge="sdc1", freq=560, mode="core", train=False)
    _, *sdc2 = official.score(*sdc2_case(1), challenge="sdc2")
    assert score_sdc1(*sdc1).n_match > 50
    assert score_sdc2(*sdc2).n_match > 0

"""Scores equal those of the official package on random catalogues.

The package needs an environment of its own; SKA_SDC_PYTHON names its interpreter, and without it the tests
are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluate.sdc2_oracle import random_tables

from skadetect.catalog.sdc1 import SDC1_COLUMNS
from skadetect.evaluate import score_sdc1
from skadetect.evaluate.sdc2 import score_sdc2

pytestmark = pytest.mark.skipif(
    "SKA_SDC_PYTHON" not in os.environ, reason="SKA_SDC_PYTHON names no environment of the official package"
)
COUNTS = ("n_det", "n_bad", "n_match", "n_false")


def official(folder, cases):
    """Results of the official package, for tables (submission, truth) and the options of each case."""
    for case in cases:
        for kind, table in zip(("sub", "truth"), case.pop("tables")):
            header = kind == "sub" or case["challenge"] == "sdc2"
            table.to_csv(folder / f"{case['name']}_{kind}.txt", sep=" ", index=False, header=header)
    (folder / "cases.json").write_text(json.dumps(cases))
    script = Path(__file__).with_name("run_ska_sdc.py")
    command = [os.environ["SKA_SDC_PYTHON"], str(script), str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


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


def test_sdc2(tmp_path):
    tables = {f"case{seed}": sdc2_case(seed) for seed in range(40)}
    cases = [{"name": name, "challenge": "sdc2", "tables": pair} for name, pair in tables.items()]
    expected = official(tmp_path, cases)
    matched = 0
    for name in tables:
        paths = [tmp_path / f"{name}_{kind}.txt" for kind in ("sub", "truth")]
        result = score_sdc2(*(pd.read_csv(path, sep=" ") for path in paths))
        same(result, expected[name])
        matched += result.n_match
    assert matched > 1000


@pytest.mark.parametrize("freq", [560, 1400, 9200])
def test_sdc1(tmp_path, freq):
    options = {"freq": freq, "mode": "centroid" if freq == 1400 else "core", "train": freq != 560}
    tables = {f"case{seed}": sdc1_case(seed + freq) for seed in range(12)}
    cases = [{"name": name, "challenge": "sdc1", "tables": pair, **options} for name, pair in tables.items()]
    expected = official(tmp_path, cases)
    for name in tables:
        paths = [tmp_path / f"{name}_{kind}.txt" for kind in ("sub", "truth")]
        sub, truth = (
            pd.read_csv(path, sep=" ", names=list(SDC1_COLUMNS), skiprows=skip)
            for path, skip in zip(paths, (1, 0))
        )
        same(score_sdc1(sub, truth, **options), expected[name])

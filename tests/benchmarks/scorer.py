"""Time of the official scores at survey size: 300 000 detections against 5 million true sources by default.

With --official, the interpreter of an environment that holds ska-sdc 2.0.0, the official package scores the
same tables, and the results have to be equal; at this size it takes some 10 GB. Times are CPU seconds of
scoring alone (both sides run on one core), without reading files; the prepared truth serves any number of
submissions.

Usage: scorer.py [--detections 300000] [--truths 5000000] [--official PYTHON] [sdc1] [sdc2]
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skadetect.catalog.sdc1 import SDC1_COLUMNS
from skadetect.catalog.sdc2 import SDC2_COLUMNS
from skadetect.evaluate import (
    PreparedSdc2Truth,
    PreparedTruth,
    match_sdc1,
    match_sdc2,
    score_match,
    score_sdc2_match,
)
from skadetect.evaluate.thresholds import score_curve

OFFICIAL = Path(__file__).parents[1] / "evaluate" / "run_ska_sdc.py"
OPTIONS = {"sdc1": {"freq": 560, "mode": "core", "train": False}, "sdc2": {}}


def sdc1_tables(n_truth: int, n_sub: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Truth and submission as crowded as the 560 MHz map, whose primary beam is 5.5 degrees wide."""
    rng = np.random.default_rng(1)
    half = 2.75 * math.sqrt(n_truth / 5e6)
    ra, dec = (
        rng.uniform(-half, half, n_truth) / math.cos(math.radians(30)),
        rng.uniform(-half, half, n_truth),
    )
    major, kind = np.exp(rng.normal(math.log(0.8), 0.7, n_truth)), rng.integers(1, 4, n_truth)
    values = (
        np.arange(n_truth), ra, dec - 30.0, ra, dec - 30.0, np.exp(rng.normal(math.log(3e-7), 1.5, n_truth)),
        rng.uniform(0.0, 0.1, n_truth), major, major * rng.uniform(0.2, 1.0, n_truth),
        rng.uniform(-90.0, 90.0, n_truth), kind, kind,
    )  # fmt: skip
    truth = pd.DataFrame(dict(zip(SDC1_COLUMNS, values, strict=True)))
    sub = truth.nlargest(int(0.9 * n_sub), "flux")
    sub = pd.concat([sub, truth.iloc[: n_sub - len(sub)].assign(flux=1e-5)], ignore_index=True)
    shift = rng.normal(0.0, 0.1 / 3600.0, (2, n_sub))
    sub = sub.assign(id=np.arange(n_sub), flux=sub["flux"] * np.exp(rng.normal(0.0, 0.2, n_sub)))
    for name in ("core", "cent"):
        sub[f"ra_{name}"] += shift[0]
        sub[f"dec_{name}"] += shift[1]
    return sub, truth


def sdc2_tables(n_truth: int, n_sub: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Truth with the distributions and the density of the challenge (233 245 in 20 square degrees)."""
    rng = np.random.default_rng(2)
    half = 2.25 * math.sqrt(n_truth / 233_245)
    truth = pd.DataFrame(
        {
            "id": np.arange(n_truth),
            "ra": 180.0 + rng.uniform(-half, half, n_truth) / math.cos(math.radians(30)),
            "dec": -30.0 + rng.uniform(-half, half, n_truth),
            "hi_size": np.exp(rng.normal(math.log(5.1), 0.55, n_truth)),
            "line_flux_integral": np.exp(rng.normal(math.log(5.6), 0.9, n_truth)),
            "central_freq": rng.uniform(0.951e9, 1.149e9, n_truth),
            "pa": rng.uniform(0.0, 360.0, n_truth),
            "i": np.degrees(np.arccos(rng.uniform(0.0, 1.0, n_truth))),
            "w20": np.exp(rng.normal(math.log(222.0), 0.55, n_truth)),
        }
    )
    sub = truth.sample(n_sub, random_state=1).assign(id=np.arange(n_sub))
    sub["ra"] += rng.normal(0.0, 1.5 / 3600.0, n_sub)
    sub["dec"] += np.where(rng.random(n_sub) < 0.1, 0.1, rng.normal(0.0, 1.5 / 3600.0, n_sub))
    sub["central_freq"] += rng.normal(0.0, 1e5, n_sub)
    for name in ("hi_size", "line_flux_integral", "w20"):
        sub[name] *= np.exp(rng.normal(0.0, 0.3, n_sub))
    return sub[list(SDC2_COLUMNS)], truth[list(SDC2_COLUMNS)]


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, and its CPU seconds."""
    start = time.process_time()
    return function(), time.process_time() - start


def our_score(challenge: str, sub: pd.DataFrame, truth: pd.DataFrame) -> tuple[Any, dict[str, float]]:
    """Our score and the seconds of its parts."""
    if challenge == "sdc1":
        prepared, prepare = timed(lambda: PreparedTruth.prepare(truth))
        match, matching = timed(lambda: match_sdc1(sub, prepared))
        result, scoring = timed(lambda: score_match(match))
    else:
        prepared, prepare = timed(lambda: PreparedSdc2Truth.prepare(truth))
        match, matching = timed(lambda: match_sdc2(sub, prepared))
        result, scoring = timed(lambda: score_sdc2_match(match))
    confidence = np.random.default_rng(0).random(len(sub))
    score_curve(match, confidence)  # compiles
    curve, sweep = timed(lambda: score_curve(match, confidence))
    if not math.isclose(curve.score[-1], result.score, rel_tol=1e-8):
        raise SystemExit(f"{challenge}: the curve ends at {curve.score[-1]}, the score is {result.score}")
    return result, {"prepare": prepare, "score": matching + scoring, "curve": sweep}


def official_score(python: str, challenge: str, sub: pd.DataFrame, truth: pd.DataFrame) -> dict[str, Any]:
    """What the official package says of the same tables, with its seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, table in (("sub", sub), ("truth", truth)):
            np.save(folder / f"{challenge}_{kind}.npy", table.to_numpy(np.float64))
        case = {"name": challenge, "challenge": challenge, **OPTIONS[challenge]}
        (folder / "cases.json").write_text(json.dumps([case]))
        command = [python, str(OFFICIAL), name]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(printed)[challenge]


def compare(result: Any, expected: dict[str, Any], seconds: dict[str, float]) -> str:
    """Say how much faster ours is, after the check that it says the same."""
    for name in ("n_det", "n_bad", "n_match", "n_false"):
        if getattr(result, name) != expected[name]:
            raise SystemExit(f"{name} is {getattr(result, name)}, officially {expected[name]}")
    if not math.isclose(result.score, expected["score"], rel_tol=1e-8):
        raise SystemExit(f"the score is {result.score}, officially {expected['score']}")
    whole = expected["seconds"] / (seconds["prepare"] + seconds["score"])
    again = expected["seconds"] / seconds["score"]
    return (
        f"official {expected['seconds']:.1f} s: {whole:.1f} times ours, {again:.1f} with the truth prepared"
    )


def main() -> None:
    """Time both scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("challenges", nargs="*", default=["sdc1", "sdc2"])
    parser.add_argument("--detections", type=int, default=300_000)
    parser.add_argument("--truths", type=int, default=5_000_000)
    parser.add_argument("--official", metavar="PYTHON")
    options = parser.parse_args()
    for challenge in options.challenges:
        tables = sdc1_tables if challenge == "sdc1" else sdc2_tables
        sub, truth = tables(options.truths, options.detections)
        result, seconds = our_score(challenge, sub, truth)
        parts = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
        print(f"{challenge}: score {result.score:.1f}, {result.n_match} of {result.n_det} matched; {parts}")
        if options.official:
            expected = official_score(options.official, challenge, sub, truth)
            print(f"{challenge}: {compare(result, expected, seconds)}", flush=True)


if __name__ == "__main__":
    main()

"""Scores of the official package, which has an environment of its own: run_ska_sdc.py FOLDER.

For each NAME in FOLDER/cases.json (a list of objects with name, challenge and the options of the scorer) it
reads NAME_sub and NAME_truth, text files (.txt) or arrays of the challenge's columns (.npy), and prints one
JSON object of results by name. Without FOLDER it does so for each folder named in a line of its input, until
that ends.
"""

import json
import logging
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from ska_sdc.sdc1.sdc1_scorer import Sdc1Scorer
from ska_sdc.sdc2.sdc2_scorer import Sdc2Scorer

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

COLUMNS = {
    "sdc1": [
        "id", "ra_core", "dec_core", "ra_cent", "dec_cent", "flux", "core_frac", "b_maj", "b_min", "pa",
        "size", "class",
    ],
    "sdc2": ["id", "ra", "dec", "hi_size", "line_flux_integral", "central_freq", "pa", "i", "w20"],
}  # fmt: skip


def open_scorer(folder, case):
    """The scorer of one case, its catalogues read."""
    challenge, name = case["challenge"], case["name"]
    scorer, extra = (Sdc1Scorer, {"freq": case["freq"]}) if challenge == "sdc1" else (Sdc2Scorer, {})
    if (folder / f"{name}_sub.npy").exists():
        arrays = (np.load(folder / f"{name}_{kind}.npy") for kind in ("sub", "truth"))
        return scorer(*(pd.DataFrame(a, columns=COLUMNS[challenge]) for a in arrays), **extra)
    return scorer.from_txt(*(str(folder / f"{name}_{kind}.txt") for kind in ("sub", "truth")), **extra)


def run(folder, case):
    """Score one case."""
    scorer = open_scorer(folder, case)
    options = {}
    if case["challenge"] == "sdc1":
        options = {"mode": {"core": 0, "centroid": 1}[case["mode"]], "train": case["train"]}
    started = time.process_time()
    score = scorer.run(detail=True, **options)
    seconds = time.process_time() - started
    counts = {name: int(getattr(score, name)) for name in ("n_det", "n_bad", "n_match", "n_false")}
    means = (score.scores_df.drop(columns="id").sum() / score.n_match).tolist() if score.n_match else None
    return {**counts, "score": float(score.value), "means": means, "seconds": seconds}


def run_all(folder):
    """Score all cases of a folder, results as one line."""
    cases = json.loads((folder / "cases.json").read_text())
    print(json.dumps({case["name"]: run(folder, case) for case in cases}), flush=True)


if __name__ == "__main__":
    for name in sys.argv[1:2] or sys.stdin:
        run_all(Path(name.strip()))

"""Scores of the official package, which has an environment of its own: run_ska_sdc.py FOLDER.

For each NAME in FOLDER/cases.json (a list of objects with name, challenge and the options of the scorer) it
reads NAME_sub.txt and NAME_truth.txt and prints one JSON object of results by name.
"""

import json
import logging
import sys
import time
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)


def run(folder, case):
    """Score one case."""
    files = [str(folder / f"{case['name']}_{kind}.txt") for kind in ("sub", "truth")]
    started = time.perf_counter()
    if case["challenge"] == "sdc1":
        from ska_sdc.sdc1.sdc1_scorer import Sdc1Scorer

        scorer = Sdc1Scorer.from_txt(*files, freq=case["freq"])
        score = scorer.run(mode={"core": 0, "centroid": 1}[case["mode"]], train=case["train"], detail=True)
    else:
        from ska_sdc.sdc2.sdc2_scorer import Sdc2Scorer

        score = Sdc2Scorer.from_txt(*files).run(detail=True)
    result = {name: getattr(score, name) for name in ("n_det", "n_bad", "n_match", "n_false")}
    result = {name: int(value) for name, value in result.items()}
    means = score.scores_df.drop(columns="id").sum() / score.n_match if score.n_match else None
    return {
        **result,
        "score": float(score.value),
        "means": None if means is None else [float(value) for value in means],
        "seconds": time.perf_counter() - started,
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    cases = json.loads((folder / "cases.json").read_text())
    print(json.dumps({case["name"]: run(folder, case) for case in cases}))

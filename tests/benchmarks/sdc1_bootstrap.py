"""What the bootstrap of the selection function brings: a training with labels as guessed, and as revised.

A simulated map with the official names is trained on in its training area, each time from the same start and
for as many steps; thresholds are tuned on the area's held-out part, and the rest of the map is scored.

Usage: sdc1_bootstrap.py FOLDER [--size 2048] [--steps 600] [--scratch] [--seeds 0 1]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from skadetect.sdc import Sdc1, rehearse_sdc1


def main() -> None:
    """Train with and without, print both scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--scratch", action="store_true", help="from random weights, not from `continuum`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    data = options.folder / "data"
    if not data.is_dir():
        rehearse_sdc1(data, size=options.size, seed=910_001)
    scores: dict[int, list[float]] = {0: [], 1: []}
    for seed in options.seeds:
        for bootstrap, found in scores.items():
            out = options.folder / f"{'scratch' if options.scratch else 'tuned'}-{seed}-{bootstrap}"
            run = Sdc1(data, out=out).train(
                steps=options.steps,
                patch=options.patch,
                scratch=options.scratch,
                learning_rate=2e-3 if options.scratch else 2e-4,
                bootstrap=bootstrap,
                seed=seed,
            )
            score = run.tune(correct=False).detect().score()
            found.append(score.score)
            print(
                f"seed {seed}, {'revised' if bootstrap else 'guessed'} labels: score {score.score:.1f}, "
                f"{score.n_det} rows, purity {score.n_match / score.n_det:.3f}",
                flush=True,
            )
    plain, revised = (np.array(scores[key]) for key in (0, 1))
    print(f"revised over guessed: {np.mean(revised / plain):.4f} (each {np.round(revised / plain, 4)})")


if __name__ == "__main__":
    main()

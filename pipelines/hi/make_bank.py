"""Draw the banks of galaxies that the model `hi` learns from: SDC2, other telescopes, coarse, wide lines."""

import argparse
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from skadetect.simulate.bank import KINDS, make_bank, random_setting

SHARES = {"sdc2": 0.40, "telescope": 0.33, "coarse": 0.27, "wide": 0.33}  # of the settings asked for


def make(job: tuple[Path, str, int, int, int]) -> None:
    """One bank; a file that is there already is kept."""
    folder, kind, number, galaxies, seed = job
    path = folder / f"{kind}_{number:02d}.npz"
    if path.exists():
        return
    rng = np.random.default_rng([seed, KINDS.index(kind), number])
    make_bank(path, random_setting(kind, rng, galaxies=galaxies), rng=rng)


def main() -> None:
    """Draw all banks, some at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the files")
    parser.add_argument("--settings", type=int, default=60, help="number of files [60]")
    parser.add_argument("--galaxies", type=int, default=400, help="galaxies in each [400]")
    parser.add_argument("--seed", type=int, default=1, help="seed [1]")
    parser.add_argument("--processes", type=int, default=2, help="processes [2]")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    jobs = [
        (given.out, kind, number, given.galaxies, given.seed)
        for kind, share in SHARES.items()
        for number in range(round(share * given.settings))
    ]
    with get_context("spawn").Pool(given.processes) as pool:
        for _ in tqdm(pool.imap_unordered(make, jobs), total=len(jobs), unit="bank"):
            pass


if __name__ == "__main__":
    main()

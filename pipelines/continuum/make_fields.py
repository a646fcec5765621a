"""Simulate the fields that the model `continuum` learns from and is validated on.

Usage: make_fields.py FOLDER [GROUP...]. Groups: sdc1 (SDC1's telescope, moderately varied), telescopes (any
telescope), shallow, validation (held out, from crowded to sparse); all these by default; more (SDC1's again,
for the second stage of `sdc1`).
A field that is there already is left alone, so a stopped run goes on. Seeds 900001 to 900005 are for tests
and are never used here.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from skadetect.simulate import ContinuumOptions, random_telescope, simulate_continuum

SDC1_SEEDS = range(1, 61)
MORE_SEEDS = range(1001, 1241)
TELESCOPE_SEEDS = range(101, 149)
SHALLOW_SEEDS = range(201, 233)
SPARSE_SEEDS = range(801, 849)
#: Sources above five times the noise a beam, as in surveys: RACS 1 / 200, FIRST 1 / 4000, VLASS 1 / 30000.
SPARSE = (5e-5, 2e-3)
SHRINK = 0.25  # of the sources' sizes in the shallow fields
VALIDATION_SEEDS = range(501, 504)
TELESCOPE_VALIDATION_SEEDS = range(601, 603)
CALIBRATION_SEEDS = range(701, 749)


def sdc1_like(seed: int) -> ContinuumOptions:
    """SDC1's map at another place in the primary beam, a little deeper or poorer or richer."""
    rng = np.random.default_rng([seed, 1])
    return ContinuumOptions(
        size=2048,
        seed=seed,
        offset_east=float(rng.uniform(0.22, 0.9)),
        offset_north=float(rng.uniform(-0.7, 0.7)),
        flux_scale=float(np.exp(rng.normal(0.0, 0.15))),
        density=float(np.exp(rng.normal(0.0, 0.12))),
        counts_slope=float(rng.normal(0.0, 0.04)),
        angular_scale=float(np.exp(rng.normal(0.0, 0.08))),
        sidelobe_level=float(rng.choice([0.0, 3e-4])),
        # how much of faint emission the imaging loses is known to a few percent only
        response_loss=float(rng.uniform(0.18, 0.30)),
    )


def shallow(seed: int) -> ContinuumOptions:
    """A random beam and depth, noise as smooth as the beam, sources a quarter as large, no artefacts."""
    drawn = random_telescope(seed, size=1024)
    return replace(
        drawn,
        noise_spectrum="beam",
        # separations shrink with the sizes; the number of sources a beam stays
        angular_scale=drawn.angular_scale * SHRINK,
        density=drawn.density * SHRINK**2,
        flux_min=3.0 * drawn.flux_min,
        response_loss=0.0,
        primary_beam=False,
        primary_beam_corrected=False,
        diffuse_count=0.0,
        sidelobe_level=0.0,
        spoke_level=0.0,
        noise_gradient=0.0,
        stripe_level=0.0,
        nan_border=0,
        nan_circle=False,
    )


def make(folder: Path, options: ContinuumOptions) -> None:
    """Simulate one field unless it is there."""
    if not (folder / "truth.txt").exists():
        print(simulate_continuum(folder, options=options), flush=True)


def main(folder: Path, groups: set[str]) -> None:
    """Simulate the fields of the groups."""
    if "validation" in groups:
        for seed in VALIDATION_SEEDS:
            make(folder / f"validation_{seed}", ContinuumOptions(size=1024, seed=seed, response_loss=0.23))
    if "sdc1" in groups:
        for seed in SDC1_SEEDS:
            make(folder / f"sdc1_{seed:03d}", sdc1_like(seed))
    if "more" in groups:
        for seed in MORE_SEEDS:
            make(folder / f"sdc1_{seed}", sdc1_like(seed))
    if "telescopes" in groups:
        for seed in TELESCOPE_SEEDS:
            make(folder / f"telescope_{seed}", random_telescope(seed, size=1536))
    if "shallow" in groups:
        for seed in SHALLOW_SEEDS:
            make(folder / f"shallow_{seed}", shallow(seed))
    if "validation" in groups:
        for seed in TELESCOPE_VALIDATION_SEEDS:
            make(folder / f"telescope_validation_{seed}", random_telescope(seed, size=1024))
        for seed in CALIBRATION_SEEDS:
            make(folder / f"telescope_calibration_{seed}", random_telescope(seed, size=1024))
        for seed in SPARSE_SEEDS:
            sparse = random_telescope(seed, size=1536, crowding=SPARSE)
            make(folder / f"sparse_calibration_{seed}", sparse)


if __name__ == "__main__":
    main(Path(sys.argv[1]), set(sys.argv[2:]) or {"sdc1", "telescopes", "shallow", "validation"})

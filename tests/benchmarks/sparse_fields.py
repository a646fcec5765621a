"""How many rows are real in fields as sparse as those of surveys: skadetect beside PyBDSF.

Simulated fields of random telescopes, none of which a training or a calibration saw, with 1e-4 to 2e-3
sources above five times the noise a beam. A row is real if it lies within a beam of a source that is expected
to peak at twice the noise or more; found are such sources at five times the noise. skadetect runs as shipped,
PyBDSF with its default thresholds (5 and 3 times the noise) and its list of sources. The bar: purer rows than
PyBDSF's at no fewer sources found.

Usage: sparse_fields.py FOLDER [--bdsf-python .venv/bdsf/bin/python] [--model NAME|FILE] [--fields 16]
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from skadetect.astrometry import sky_to_pixel
from skadetect.detect import Detector
from skadetect.evaluate.match import match_positions
from skadetect.image import open_image
from skadetect.simulate import random_telescope, simulate_continuum
from skadetect.train.fields import Field, load_field

FIRST_SEED, SIZE = 780001, 1536
CROWDING = (1e-4, 2e-3)
REAL_SNR, BRIGHT_SNR = 2.0, 5.0
RADIUS = 1.0  # beams
THRESHOLDS = ("5.0", "3.0")


def make(folder: Path, seed: int) -> Path:
    """The folder of a field, simulated unless it is there."""
    path = folder / f"sparse_{seed}"
    if not (path / "truth.txt").exists():
        simulate_continuum(path, options=random_telescope(seed, size=SIZE, crowding=CROWDING))
    return path


def truth(folder: Path) -> Field:
    """Pixels and sources of a field."""
    response = folder / "primary_beam.fits"
    return load_field(
        folder / "image.fits",
        folder / "truth.txt",
        primary_beam=response if response.exists() else None,
        min_snr=REAL_SNR,
    )


def pybdsf(folder: Path, python: str) -> np.ndarray:
    """Positions (y, x) of PyBDSF's sources; its list is kept beside the field."""
    path = folder / "pybdsf_srl.csv"
    if not path.exists():
        script = Path(__file__).with_name("run_pybdsf.py")
        subprocess.run(
            [python, script, folder / "image.fits", *THRESHOLDS, folder / "pybdsf"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    table = pd.read_csv(path)
    x, y = sky_to_pixel(
        open_image(folder / "image.fits").wcs, table["ra"].to_numpy(), table["dec"].to_numpy()
    )
    return np.stack([y, x], axis=1)


def count(positions: np.ndarray, field: Field, confidence: np.ndarray | None = None) -> dict[str, int]:
    """Rows, real rows, and bright sources that have one."""
    match = match_positions(
        positions, field.sources.position, RADIUS * field.beam.fwhm, confidence=confidence
    )
    found = match.found & (field.sources.peak_snr >= BRIGHT_SNR)
    return {"rows": len(positions), "real": int((match.truth >= 0).sum()), "found": int(found.sum())}


def main() -> None:
    """Make the fields, run both, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bdsf-python", help="of an environment that has `bdsf`; without it skadetect alone")
    parser.add_argument("--model", default="continuum")
    parser.add_argument("--fields", type=int, default=16)
    options = parser.parse_args()
    detector, results, bright = Detector(options.model), [], 0
    for seed in range(FIRST_SEED, FIRST_SEED + options.fields):
        folder = make(options.folder, seed)
        field, table = truth(folder), detector.detect(folder / "image.fits").to_pandas()
        bright += int((field.sources.peak_snr >= BRIGHT_SNR).sum())
        sure = table["prob"].fillna(table["score"]).to_numpy()
        results.append({"tool": "skadetect", **count(table[["y", "x"]].to_numpy(), field, sure)})
        if options.bdsf_python:
            results.append({"tool": "PyBDSF", **count(pybdsf(folder, options.bdsf_python), field)})
        print(folder.name, *(list(each.values()) for each in results[-2:]), flush=True)
    total = pd.DataFrame(results).groupby("tool").sum()
    total["purity"], total["completeness"] = total["real"] / total["rows"], total["found"] / bright
    print(f"{options.fields} fields, {bright} sources above {BRIGHT_SNR:g} times the noise")
    print(total.round(3).to_string())
    if options.bdsf_python:
        ours, theirs = total.loc["skadetect"], total.loc["PyBDSF"]
        kept = ours["purity"] >= theirs["purity"] and ours["found"] >= theirs["found"]
        raise SystemExit(0 if kept else 1)


if __name__ == "__main__":
    main()

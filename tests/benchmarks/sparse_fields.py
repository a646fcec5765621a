"""How many rows are real in fields as sparse as those of surveys, and fluxes: skadetect beside PyBDSF.

Simulated fields of random telescopes, none of which a training or a calibration saw, with 1e-4 to 2e-3
sources above five times the noise a beam. A row is real if it lies within a beam of a source that is expected
to peak at twice the noise or more; found are such sources at five times the noise. skadetect runs as shipped,
PyBDSF with its default thresholds (5 and 3 times the noise) and its list of sources. Fluxes are compared for
sources that both found and that have no other one within three beams: median of measured over true, half of
what holds 68 %, and the share that is off by more than a fifth. The bar: purer rows than PyBDSF's at no fewer
sources found.

Usage: sparse_fields.py FOLDER [--bdsf-python .venv/bdsf/bin/python] [--model NAME|FILE] [--fields 16]
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from skadetect.astrometry import sky_to_pixel
from skadetect.detect import Detector
from skadetect.evaluate.match import match_positions
from skadetect.image import open_image
from skadetect.simulate import random_telescope, simulate_continuum
from skadetect.train.fields import Field, load_field
from skadetect.train.truth import primary_beam_at, read_truth

FIRST_SEED, SIZE = 780001, 1536
CROWDING = (1e-4, 2e-3)
REAL_SNR, BRIGHT_SNR = 2.0, 5.0
RADIUS = 1.0  # beams
THRESHOLDS = ("5.0", "3.0")
ALONE = 3.0  # beams around a source without another one that peaks above REAL_SNR
FLUX_BINS = (5.0, 10.0, 20.0, 50.0, 1e9)


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


def pybdsf(folder: Path, python: str) -> tuple[np.ndarray, np.ndarray]:
    """Positions (y, x) and fluxes of PyBDSF's sources; its list is kept beside the field."""
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
    return np.stack([y, x], axis=1), table["flux"].to_numpy()


def true_fluxes(folder: Path, field: Field) -> np.ndarray:
    """Apparent flux of each source of a field, Jy; NaN where another one is close."""
    known, response = read_truth(folder / "truth.txt"), folder / "primary_beam.fits"
    flux = known.flux * (primary_beam_at(response, known.ra, known.dec) if response.exists() else 1.0)
    x, y = sky_to_pixel(open_image(folder / "image.fits").wcs, known.ra, known.dec)
    nearest = cKDTree(np.stack([y, x], axis=1)).query(field.sources.position)[1]
    apart = cKDTree(field.sources.position).query(field.sources.position, k=2)[0][:, 1]
    return np.where(apart > ALONE * field.beam.fwhm, flux[nearest], np.nan)


def ratios(positions: np.ndarray, flux: np.ndarray, field: Field, true: np.ndarray) -> np.ndarray:
    """Measured over true flux of each source of the field; NaN where it has no row."""
    match = match_positions(positions, field.sources.position, RADIUS * field.beam.fwhm, confidence=flux)
    ratio, rows = np.full(len(true), np.nan), np.flatnonzero(match.truth >= 0)
    ratio[match.truth[rows]] = flux[rows] / true[match.truth[rows]]
    return ratio


def print_fluxes(pairs: pd.DataFrame) -> None:
    """How far fluxes are off, of sources that all tools have, by their signal to noise."""
    tools = [name for name in pairs if name != "snr"]
    pairs = pairs.dropna()
    for low, high in itertools.pairwise(FLUX_BINS):
        rows = pairs[(pairs["snr"] >= low) & (pairs["snr"] < high)]
        for tool in tools:
            left, middle, right = np.quantile(rows[tool], [0.1587, 0.5, 0.8413])
            off = (np.abs(rows[tool] - 1) > 0.2).mean()
            print(
                f"above {low:g}: {len(rows)} sources, {tool}: median {middle:.3f}, half-width "
                f"{(right - left) / 2:.3f}, {100 * off:.0f} % off by more than a fifth"
            )


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
    detector, results, pairs, bright = Detector(options.model), [], [], 0
    for seed in range(FIRST_SEED, FIRST_SEED + options.fields):
        folder = make(options.folder, seed)
        field, table = truth(folder), detector.detect(folder / "image.fits").to_pandas()
        bright += int((field.sources.peak_snr >= BRIGHT_SNR).sum())
        sure = table["prob"].fillna(table["score"]).to_numpy()
        results.append({"tool": "skadetect", **count(table[["y", "x"]].to_numpy(), field, sure)})
        true, sources = true_fluxes(folder, field), table[["y", "x"]].to_numpy()
        ratio = {"skadetect": ratios(sources, table["int_flux"].to_numpy(), field, true)}
        if options.bdsf_python:
            theirs, flux = pybdsf(folder, options.bdsf_python)
            results.append({"tool": "PyBDSF", **count(theirs, field)})
            ratio["PyBDSF"] = ratios(theirs, flux, field, true)
        pairs.append(pd.DataFrame({"snr": field.sources.peak_snr} | ratio))
        print(folder.name, *(list(each.values()) for each in results[-2:]), flush=True)
    total = pd.DataFrame(results).groupby("tool").sum()
    total["purity"], total["completeness"] = total["real"] / total["rows"], total["found"] / bright
    print(f"{options.fields} fields, {bright} sources above {BRIGHT_SNR:g} times the noise")
    print(total.round(3).to_string())
    print_fluxes(pd.concat(pairs))
    if options.bdsf_python:
        ours, others = total.loc["skadetect"], total.loc["PyBDSF"]
        kept = ours["purity"] >= others["purity"] and ours["found"] >= others["found"]
        raise SystemExit(0 if kept else 1)


if __name__ == "__main__":
    main()

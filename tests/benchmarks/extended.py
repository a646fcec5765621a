"""Sources larger than the beam, up to fifty beams: which have a row, and with what flux; skadetect and
PyBDSF.

Into sparse fields of random telescopes (those of sparse_fields.py with other seeds) large sources are put,
apart from each other: Gaussians, what is narrower in the middle and wider outside, and doubles of two lobes
with a core. One that has a row of its own has one within a third of its length and with its flux to a
factor of 1.5; printed, too, are the median of that flux over the true one and half of what holds 68 %, the
sum of all rows on a source over its flux, and how many rows lie on it. PyBDSF runs with its default
thresholds, and once more with its wavelets (atrous_do), which are its way to large sources. The bar: as
many sources with a row of their own as PyBDSF's better run.

Usage: extended.py FOLDER [--bdsf-python .venv/bdsf/bin/python] [--model NAME|FILE] [--fields 8]
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from scipy.spatial import cKDTree
from sparse_fields import CROWDING, SIZE, pybdsf

from skadetect.background import estimate_background
from skadetect.beams import convolve
from skadetect.detect import Detector
from skadetect.evaluate.injection import inject_gaussians
from skadetect.image import open_image
from skadetect.simulate import random_telescope, simulate_continuum

FIRST_SEED = 781001
NUMBER, LENGTHS, LOUDNESS = 24, (2.0, 50.0), (8.0, 300.0)
KINDS = ("Gaussian", "layered", "double")
LAYERS = ((0.3, 0.55), (0.45, 1.0), (0.25, 1.6))
#: Of a double: share of the flux, place along the axis and width, both over its length.
LOBES = ((0.5, 0.35, 0.3), (0.4, -0.35, 0.3), (0.1, 0.0, 0.0))
NEAR, FLUX = 1 / 3, 1.5
BINS = (2.0, 4.0, 8.0, 16.0, 50.0)
WAVELETS = "atrous_do=True"


def make(folder: Path, seed: int) -> tuple[Path, pd.DataFrame]:
    """An image with large sources, and what they are."""
    path = folder / f"extended_{seed}"
    if not (path / "truth.txt").exists():
        simulate_continuum(path, options=random_telescope(seed, size=SIZE, crowding=CROWDING))
    image = open_image(path / "image.fits")
    rng, beam = np.random.default_rng(seed), image.pixel_beam
    pixels = image.read((0, 0, 0), image.shape)[0].astype(np.float64)
    truth = _placed(rng, pixels, beam.fwhm)
    noise = float(np.median(estimate_background(image).rms))
    bmaj, bmin, _ = convolve(truth["bmaj"], truth["bmin"], truth["theta"], beam)
    loud = np.exp(rng.uniform(*np.log(LOUDNESS), len(truth)))
    truth = truth.assign(loud=loud, int_flux=loud * noise * np.sqrt(bmaj * bmin) / beam.fwhm)
    parts = pd.concat([part for _, source in truth.iterrows() for part in _parts(source)])
    pixels, _ = inject_gaussians(pixels, parts, beam)
    out = path / "with_extended.fits"
    fits.writeto(out, pixels.astype(np.float32), fits.getheader(path / "image.fits"), overwrite=True)
    return out, truth


def _placed(rng: np.random.Generator, pixels: np.ndarray, fwhm: float) -> pd.DataFrame:
    """Large sources that do not touch each other, nor the edge or a blank; as many as have room."""
    rows, blank = [], cKDTree(np.argwhere(np.isnan(pixels)))
    for length in sorted(np.exp(rng.uniform(*np.log(LENGTHS), NUMBER)) * fwhm, reverse=True):
        for _ in range(200):
            y, x = rng.uniform(length, np.array(pixels.shape) - length)
            if blank.n and blank.query([y, x])[0] < length:
                continue
            if all(np.hypot(y - row["y"], x - row["x"]) > length + row["bmaj"] for row in rows):
                row = {"y": y, "x": x, "bmaj": length, "bmin": rng.uniform(0.3, 1.0) * length}
                row["kind"] = KINDS[int(rng.integers(len(KINDS)))]
                rows.append(row | {"theta": rng.uniform(0, np.pi)})
                break
    return pd.DataFrame(rows).assign(beams=lambda table: table["bmaj"] / fwhm)


def _parts(source: pd.Series) -> list[pd.DataFrame]:
    """The Gaussians that a source is made of."""
    along = np.array([np.sin(source["theta"]), np.cos(source["theta"])]) * source["bmaj"]
    if source["kind"] == "double":
        made = [(share, place, width, width) for share, place, width in LOBES]
    else:
        layers = LAYERS if source["kind"] == "layered" else ((1.0, 1.0),)
        made = [(share, 0.0, width, width * source["bmin"] / source["bmaj"]) for share, width in layers]
    return [
        pd.DataFrame(
            {
                "y": [source["y"] + place * along[0]],
                "x": [source["x"] + place * along[1]],
                "int_flux": [share * source["int_flux"]],
                "bmaj": [major * source["bmaj"]],
                "bmin": [minor * source["bmaj"]],
                "theta": [source["theta"]],
            }
        )
        for share, place, major, minor in made
    ]


def judged(rows: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """What the rows say of each source."""
    table = []
    for _, source in truth.iterrows():
        dy, dx = rows["y"] - source["y"], rows["x"] - source["x"]
        sin, cos = np.sin(source["theta"]), np.cos(source["theta"])
        along, across = (dx * cos + dy * sin) / source["bmaj"], (dy * cos - dx * sin) / source["bmin"]
        on = rows[np.hypot(along, across) < 0.6]
        flux = on["int_flux"] / source["int_flux"]
        near = flux[np.hypot(dy, dx)[on.index] < NEAR * source["bmaj"]]
        best = near.iloc[np.argmin(np.abs(np.log(near)))] if (near > 0).any() else np.nan
        own = bool(np.abs(np.log(best)) < np.log(FLUX)) if best > 0 else False
        table.append({"own": own, "flux": best if own else np.nan, "sum": flux.sum(), "rows": len(on)})
    return pd.concat([truth.reset_index(drop=True), pd.DataFrame(table)], axis=1)


def print_bins(tool: str, table: pd.DataFrame) -> None:
    """How the sources of each length, and of each kind, fare."""
    labels = [f"{low:g}-{high:g} beams" for low, high in itertools.pairwise(BINS)]
    lengths = pd.cut(table["beams"], BINS, labels=labels)
    for label, part in (*table.groupby(lengths, observed=True), *table.groupby("kind"), ("all", table)):
        low, middle, high = part["flux"].quantile([0.1587, 0.5, 0.8413])
        print(
            f"{tool:16} {label:12} {int(part['own'].sum()):3} of {len(part):3} have their row, "
            f"flux {middle:.2f} +- {(high - low) / 2:.2f}; sum of rows {part['sum'].median():.2f}, "
            f"rows {part['rows'].mean():.1f}, none {int((part['rows'] == 0).sum())}"
        )


def main() -> None:
    """Make the fields, run all, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bdsf-python", help="of an environment that has `bdsf`; without it skadetect alone")
    parser.add_argument("--model", default="continuum")
    parser.add_argument("--fields", type=int, default=8)
    options = parser.parse_args()
    detector, results = Detector(options.model), {}
    for seed in range(FIRST_SEED, FIRST_SEED + options.fields):
        image, truth = make(options.folder, seed)
        found = {"skadetect": detector.detect(image).to_pandas()}
        if options.bdsf_python:
            found["PyBDSF"] = pybdsf(image, options.bdsf_python, name="pybdsf_plain")
            found["PyBDSF wavelets"] = pybdsf(image, options.bdsf_python, WAVELETS, name="pybdsf_wavelets")
        for tool, rows in found.items():
            results.setdefault(tool, []).append(judged(rows, truth))
        print(image.parent.name, {tool: len(rows) for tool, rows in found.items()}, flush=True)
    tables = {tool: pd.concat(parts, ignore_index=True) for tool, parts in results.items()}
    for tool, table in tables.items():
        print_bins(tool, table)
    own = {tool: int(table["own"].sum()) for tool, table in tables.items()}
    raise SystemExit(0 if own.pop("skadetect") >= max(own.values(), default=0) else 1)


if __name__ == "__main__":
    main()

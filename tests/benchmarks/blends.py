"""Pairs of bright sources on noise: which are two rows, and with which fluxes and places; beside PyBDSF.

A pair is 1 to 2.6 beams apart, its brighter source of 10 to 200 times the noise, the other up to five times
fainter; half of the pairs are of points, half of sources of up to 1.4 beams as they are seen. A source is
found if a row lies within 0.4 beams that is nearer to no other source. Of PyBDSF the list of Gaussians is
taken (5 and 3 times the noise), as its sources may hold several.

Usage: blends.py FOLDER [--bdsf-python .venv/bdsf/bin/python] [--model NAME|FILE]
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from skadetect.beams import PixelBeam
from skadetect.detect import Detector
from skadetect.evaluate.injection import inject_gaussians

SIDE, CELL, FWHM, RMS, PIXEL = 2048, 64, 4.0, 1e-5, 1.0 / 3600
APART = (1.0, 1.3, 1.6, 2.0, 2.6)
BRIGHT = (10.0, 30.0, 200.0)
NEAR = 0.4


def pairs(seed: int = 5) -> pd.DataFrame:
    """Two rows a pair, in pixels and Jy."""
    rng, rows = np.random.default_rng(seed), []
    for number, (row, column) in enumerate(np.ndindex(SIDE // CELL - 1, SIDE // CELL - 1)):
        snr, apart, turn = 10 ** rng.uniform(1, 2.3), FWHM * rng.uniform(1.0, 2.6), rng.uniform(0, 2 * np.pi)
        widest, steps = FWHM * (number % 2), (np.zeros(2), apart * np.array([np.sin(turn), np.cos(turn)]))
        for peak, step in zip((snr, snr / 10 ** rng.uniform(0, 0.7)), steps, strict=True):
            y, x = CELL * np.array([row + 1, column + 1]) + step + rng.uniform(-0.5, 0.5, 2)
            bmaj = rng.uniform(0, widest)
            bmin = bmaj * rng.uniform(0.3, 1.0)
            area = np.sqrt((1 + (bmaj / FWHM) ** 2) * (1 + (bmin / FWHM) ** 2))
            flux = RMS * peak * area
            rows.append((number, y, x, flux, bmaj, bmin, rng.uniform(0, np.pi), apart / FWHM, snr))
    return pd.DataFrame(rows, columns=["pair", "y", "x", "int_flux", "bmaj", "bmin", "theta", "apart", "snr"])


def make(path: Path) -> pd.DataFrame:
    """Write the image and give what is in it."""
    true = pairs()
    noise = gaussian_filter(np.random.default_rng(4).normal(size=(SIDE, SIDE)), FWHM / 2.3548, mode="wrap")
    image, _ = inject_gaussians((RMS * noise / noise.std()).astype("f4"), true, PixelBeam(FWHM, FWHM, 0.0))
    cards = {"CRVAL1": 150.0, "CRVAL2": -30.0, "BMAJ": FWHM * PIXEL, "BMIN": FWHM * PIXEL, "BPA": 0.0}
    for axis, kind, sign in ((1, "RA---SIN", -1), (2, "DEC--SIN", 1)):
        cards |= {f"CTYPE{axis}": kind, f"CRPIX{axis}": SIDE / 2, f"CDELT{axis}": sign * PIXEL}
        cards |= {f"CUNIT{axis}": "deg"}
    header = fits.Header({**cards, "BUNIT": "Jy/beam", "RESTFRQ": 1.4e9})
    fits.PrimaryHDU(image, header).writeto(path, overwrite=True)
    return true


def pybdsf(path: Path, python: str) -> pd.DataFrame:
    """PyBDSF's Gaussians in pixels."""
    script = Path(__file__).with_name("run_pybdsf.py")
    arguments = [python, script, path, "5", "3", path.with_suffix(""), "frequency=1.4e9"]
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    table = pd.read_csv(path.with_name(f"{path.stem}_gaul.csv"))
    x, y = WCS(fits.getheader(path)).all_world2pix(table["ra"], table["dec"], 0)
    return pd.DataFrame({"y": y, "x": x, "int_flux": table["flux"]})


def report(tool: str, true: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Pairs found whole, and how far fluxes and places are off, by distance and brightness."""
    off, row = cKDTree(rows[["y", "x"]]).query(true[["y", "x"]].to_numpy())
    own = cKDTree(true[["y", "x"]]).query(rows[["y", "x"]].to_numpy()[row])[1] == np.arange(len(true))
    whole = pd.Series(own & (off < NEAR * FWHM)).groupby(true["pair"]).transform("all").to_numpy()
    ratio = rows["int_flux"].to_numpy()[row] / true["int_flux"].to_numpy()
    print(f"{tool}: {len(rows)} rows of {len(true)} sources, {whole.mean():.1%} of the pairs whole")
    for (near, far), (faint, bright) in itertools.product(
        itertools.pairwise(APART), itertools.pairwise(BRIGHT)
    ):
        some = true["apart"].between(near, far) & true["snr"].between(faint, bright)
        seen = some & whole
        if not seen.any():
            continue
        error, place = np.quantile(np.abs(ratio[seen] - 1), 0.68), np.quantile(off[seen] / FWHM, 0.68)
        print(
            f"  {near:g} to {far:g} beams, {faint:g} to {bright:g} sigma: "
            f"{seen.sum() / some.sum():.2f} whole, "
            f"flux {np.median(ratio[seen]):.3f} +- {error:.3f}, place {place:.3f} beams"
        )


def main() -> None:
    """Make the image, detect and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="continuum")
    parser.add_argument("--bdsf-python", help="Python of an environment with PyBDSF")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / "pairs.fits"
    true = make(path)
    found = Detector(options.model).detect(path).to_pandas()
    report("skadetect", true, found[found["scale"] == 1])
    if options.bdsf_python:
        report("PyBDSF", true, pybdsf(path, options.bdsf_python))


if __name__ == "__main__":
    main()

"""Run PyBDSF on one image; started by quality.py with the Python of an environment that has `bdsf`.

Usage: run_pybdsf.py IMAGE THRESH_PIX THRESH_ISL OUT_STEM [NAME=VALUE ...]
Writes OUT_STEM_gaul.csv and OUT_STEM_srl.csv: ra, dec (deg), flux, peak (Jy, Jy/beam), bmaj, bmin (arcsec,
deconvolved), pa (deg, north through east). NAME=VALUE are further process_image options as Python literals.
"""

from __future__ import annotations

import ast
import csv
import sys
import tempfile
from pathlib import Path

import bdsf
from astropy.io import fits

COLUMNS = {
    "ra": ("RA", 1.0),
    "dec": ("DEC", 1.0),
    "flux": ("Total_flux", 1.0),
    "peak": ("Peak_flux", 1.0),
    "bmaj": ("DC_Maj", 3600.0),
    "bmin": ("DC_Min", 3600.0),
    "pa": ("DC_PA", 1.0),
}


def write_csv(image: object, kind: str, path: Path) -> None:
    """Write one of PyBDSF's lists ("gaul" or "srl") as CSV; a list with no source becomes an empty table."""
    with tempfile.TemporaryDirectory() as folder:
        name = Path(folder) / "list.fits"
        image.write_catalog(outfile=str(name), format="fits", catalog_type=kind, clobber=True)
        table = fits.getdata(name, 1) if name.exists() else []
        rows = [[float(row[old]) * factor for old, factor in COLUMNS.values()] for row in table]
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def main(image: str, thresh_pix: str, thresh_isl: str, stem: str, *extra: str) -> None:
    """Find the sources and write both lists."""
    options = {name: ast.literal_eval(value) for name, value in (item.split("=", 1) for item in extra)}
    header = fits.getheader(image)
    beam = (header["BMAJ"], header["BMIN"], header.get("BPA", 0.0))  # it refuses a header that has no BPA
    settings = {"beam": beam, "thresh": "hard", "quiet": True, "ncores": 1, **options}
    # PyBDSF writes its log beside the image, which may lie in a folder that is not ours.
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "image.fits"
        link.symlink_to(Path(image).resolve())
        found = bdsf.process_image(
            str(link), thresh_pix=float(thresh_pix), thresh_isl=float(thresh_isl), **settings
        )
        for kind in ("gaul", "srl"):
            write_csv(found, kind, Path(f"{stem}_{kind}.csv"))


if __name__ == "__main__":
    main(*sys.argv[1:])

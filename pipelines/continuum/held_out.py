"""Held-out fields and what a perfect catalogue of each would say."""

from pathlib import Path

import numpy as np
import pandas as pd

from skadetect.beams import PixelBeam, convolve
from skadetect.catalog.catalog import Catalog
from skadetect.train.truth import primary_beam_at, read_truth


def folders(fields: Path, group: str) -> list[Path]:
    """The fields of a group."""
    found = sorted(folder for folder in fields.glob(f"{group}_*") if (folder / "truth.txt").exists())
    if not found:
        raise SystemExit(f"{fields} holds no {group}_*: run make_fields.py {fields} validation")
    return found


def beam_on_sky(catalog: Catalog) -> PixelBeam:
    """The beam in arcsec, its angle from north through east."""
    bmaj, bmin, bpa = (catalog.meta[name] for name in ("bmaj", "bmin", "bpa"))
    return PixelBeam(3600.0 * bmaj, 3600.0 * bmin, float(np.radians(bpa)))


def true_table(folder: Path, beam: PixelBeam) -> pd.DataFrame:
    """The truth as a perfect catalogue would have it: fluxes apparent, sizes seen through the beam."""
    truth, response = read_truth(folder / "truth.txt"), folder / "primary_beam.fits"
    flux = truth.flux * (primary_beam_at(response, truth.ra, truth.dec) if response.exists() else 1.0)
    pa = np.radians(truth.pa)
    bmaj, bmin, angle = convolve(truth.bmaj, truth.bmin, pa, beam)
    drawn = convolve(truth.bmaj * truth.spread, truth.bmin * truth.spread, pa, beam)
    columns = {"ra": truth.ra, "dec": truth.dec, "int_flux": flux, "bmaj": bmaj, "bmin": bmin}
    peak = flux * beam.bmaj * beam.bmin / (drawn[0] * drawn[1])
    return pd.DataFrame(columns | {"pa": np.degrees(angle), "peak_flux": peak})

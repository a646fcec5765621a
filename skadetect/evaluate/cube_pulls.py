"""What a cube's catalogue says minus what is true, for pulls, calibration and the bias of line fluxes."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skadetect.catalog.catalog import Catalog
from skadetect.catalog.cube_flags import CubeFlag
from skadetect.catalog.cube_uncertainty import cube_floor_scale
from skadetect.errors import InputError
from skadetect.evaluate.sdc2 import PreparedSdc2Truth, Sdc2Field, match_sdc2
from skadetect.evaluate.sdc2_input import load_sdc2, read_table

Floats = NDArray[np.float64]

#: Quantities whose errors are judged, and what SDC2 calls them.
CUBE_QUANTITIES = {
    "ra": "ra", "dec": "dec", "freq": "central_freq", "f_sum": "line_flux_integral", "w20": "w20",
    "hi_size": "hi_size", "kin_pa": "pa", "incl": "i",
}  # fmt: skip


@dataclass(frozen=True)
class CubePullOptions:
    """Which pairs of a detection and a galaxy count.

    Attributes
    ----------
    beam : float
        FWHM of the cube's beam in arcsec, for the size within which a pair has to lie.
    bad_flags : int
        Detections with any of these bits are left out.
    widest_angle : float
        Position angles with a larger error (degrees) are left out: the error of an angle nobody knows
        saturates.
    """

    beam: float = 7.0
    bad_flags: int = int(
        CubeFlag.SPATIAL_EDGE | CubeFlag.SPECTRAL_EDGE | CubeFlag.BLANK | CubeFlag.OVERLAP | CubeFlag.NO_PEAK
    )
    widest_angle: float = 60.0


def cube_residuals(measured: Any, truth: Any, options: CubePullOptions | None = None) -> pd.DataFrame:
    """What unflagged detections of galaxies say minus what is true.

    A detection and a galaxy are a pair if they lie closer than the galaxy's size through the beam and than
    its w20, and are the nearest to each other as SDC2's score has it.

    Parameters
    ----------
    measured : Catalog, QTable or path
        A cube's catalogue with the columns of `skadetect.catalog.cube_schema.CUBE_COLUMNS`.
    truth : DataFrame, Table or path
        The galaxies in the columns of SDC2, and any others.
    options : CubePullOptions, optional
        What counts.

    Returns
    -------
    DataFrame
        A row a pair: id and snr of the detection; of each quantity q of `CUBE_QUANTITIES` q (residual:
        positions in arcsec on the sky, others in the unit of the catalogue), err_q and floor_q, what the
        floor of the error is a fraction of; flux_ratio, measured over true; and every column c of the truth
        as true_c.

    Raises
    ------
    InputError
        A catalogue cannot be read or lacks a column, or line fluxes are not in Jy Hz.
    """
    options, truth = options or CubePullOptions(), load_sdc2(truth)
    catalog = _catalog(measured)
    sub = load_sdc2(catalog)
    prepared = PreparedSdc2Truth.prepare(truth, Sdc2Field(band=None, centre=None, beam=options.beam))
    match = match_sdc2(sub, prepared)
    rows = np.flatnonzero(match.nearest)
    table = catalog.to_pandas().set_index("id", drop=False)
    found = table.loc[sub["id"].to_numpy()[match.row[rows]]].reset_index(drop=True)
    real = truth.iloc[prepared.row[match.truth[rows]]].reset_index(drop=True)
    clean = (found["flag"].to_numpy(np.int64) & options.bad_flags) == 0
    return _differences(found[clean], real[clean], options).reset_index(drop=True)


def flux_bias(pairs: pd.DataFrame, edges: Floats, *, asymmetry: float = 0.2) -> pd.DataFrame:
    """Median of measured over true line flux in bins of signal to noise.

    Parameters
    ----------
    pairs : DataFrame
        n rows from `cube_residuals`; bins are of the true signal to noise where the truth has a column snr.
    edges : array (b + 1,)
        Rising bin edges.
    asymmetry : float
        Where the truth has a column asymmetry, galaxies with at least this one are shown by themselves too.

    Returns
    -------
    DataFrame
        A row a sample ("all", "asymmetric") and bin: sample, low, high (edges), n, median, error (of the
        median), width (half of what holds 68 %).
    """
    snr = pairs["true_snr" if "true_snr" in pairs else "snr"].to_numpy(np.float64)
    ratio = pairs["flux_ratio"].to_numpy(np.float64)
    samples = {"all": np.ones(len(pairs), bool)}
    if "true_asymmetry" in pairs:
        samples["asymmetric"] = pairs["true_asymmetry"].to_numpy(np.float64) >= asymmetry
    rows = []
    for name, sample in samples.items():
        for low, high in itertools.pairwise(edges):
            values = ratio[sample & (snr >= low) & (snr < high) & np.isfinite(ratio)]
            rows.append((name, low, high, len(values), *_median(values)))
    return pd.DataFrame(rows, columns=["sample", "low", "high", "n", "median", "error", "width"])


def _catalog(measured: Any) -> Catalog:
    if isinstance(measured, (str, os.PathLike)):
        measured = read_table(measured)
    catalog = measured if isinstance(measured, Catalog) else Catalog(measured)
    if not catalog.is_cube:
        raise InputError("the catalogue is of an image; expected galaxies of a cube")
    return catalog


def _median(values: Floats) -> tuple[float, float, float]:
    """Median, its error and half of the central 68 %; NaN without values."""
    if not len(values):
        return np.nan, np.nan, np.nan
    low, middle, high = np.quantile(values, [0.1587, 0.5, 0.8413])
    width = (high - low) / 2
    return float(middle), float(1.2533 * width / np.sqrt(len(values))), float(width)


def _differences(found: pd.DataFrame, real: pd.DataFrame, options: CubePullOptions) -> pd.DataFrame:
    columns: dict[str, Any] = {"id": found["id"].to_numpy(), "snr": found["snr"].to_numpy(np.float64)}
    measured = {str(name): column.to_numpy() for name, column in found.items()}
    for name, official in CUBE_QUANTITIES.items():
        error = found[f"err_{name}"].to_numpy(np.float64)
        difference = found[name].to_numpy(np.float64) - real[official].to_numpy(np.float64)
        if name == "ra":
            difference = (difference + 180.0) % 360.0 - 180.0
            difference *= 3600.0 * np.cos(np.radians(real["dec"].to_numpy(np.float64)))
        if name == "dec":
            difference *= 3600.0
        if name == "kin_pa":
            difference = (difference + 180.0) % 360.0 - 180.0
            difference[~(error <= options.widest_angle)] = np.nan
        scale = np.abs(cube_floor_scale(f"err_{name}", measured)) * np.ones(len(found))
        columns |= {name: difference, f"err_{name}": error, f"floor_{name}": scale}
    columns["flux_ratio"] = found["f_sum"].to_numpy(np.float64) / real["line_flux_integral"].to_numpy(
        np.float64
    )
    return pd.DataFrame(columns | {f"true_{name}": column.to_numpy() for name, column in real.items()})

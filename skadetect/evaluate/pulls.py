"""Pulls, (measured - true) / error, of a catalogue, and the errors that make them unit Gaussian."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skadetect.beams import PixelBeam
from skadetect.catalog.flags import Flag
from skadetect.catalog.uncertainty import floor_scale
from skadetect.evaluate.match import match_sky

Floats = NDArray[np.float64]

#: Quantities whose errors are judged: not peak_flux, which is what the pixels show and not what is true.
QUANTITIES = ("ra", "dec", "int_flux", "bmaj", "bmin", "pa")
_ONE_SIGMA = 0.682689492137  # share of a Gaussian within one standard deviation
_RATIOS = np.concatenate([[0.0], np.geomspace(1e-4, 30.0, 111)])


@dataclass(frozen=True)
class PullOptions:
    """Which pairs of a detection and a true source count.

    Attributes
    ----------
    radius : float
        Largest distance of a pair, in beams.
    faintest : float
        Least true peak, in units of the local rms.
    apart : float
        A source is isolated if this far from it, in units of its major FWHM, there is no other one ...
    neighbour : float
        ... whose peak is at least this fraction of its own.
    bad_flags : int
        Detections with any of these bits are left out.
    widest_angle : float
        Angles with a larger error (degrees) are left out: the error of an angle nobody knows saturates.
    fewest : int
        Least number of pairs to judge a bin of signal to noise by.
    """

    radius: float = 0.6
    faintest: float = 2.0
    apart: float = 2.0
    neighbour: float = 0.25
    bad_flags: int = int(Flag.EDGE | Flag.BLENDED | Flag.ARTEFACT | Flag.NO_PEAK)
    widest_angle: float = 30.0
    fewest: int = 60


def residuals(
    measured: Any, truth: pd.DataFrame, *, beam: PixelBeam, options: PullOptions | None = None
) -> pd.DataFrame:
    """What isolated, unflagged detections say minus what is true.

    Parameters
    ----------
    measured : DataFrame, QTable or Catalog
        n rows with the columns of `skadetect.catalog.schema.COLUMNS`: ra, dec, pa in degrees, sizes in
        arcsec, fluxes in the unit of the truth; errors not calibrated.
    truth : DataFrame
        One row a source, however faint: ra, dec (degrees), peak_flux and those of int_flux (apparent), bmaj,
        bmin (arcsec, as seen through the beam) and pa (degrees) that are known.
    beam : PixelBeam
        The beam, its axes in arcsec.
    options : PullOptions, optional
        What counts.

    Returns
    -------
    DataFrame
        A row a pair: source_id if the detections have it, snr, distance (arcsec) and of each quantity q of
        `QUANTITIES` that both tables have q (residual, in the unit of its error), e_q and floor_q, what the
        floor of the error is a fraction of (see `skadetect.catalog.uncertainty.floor_scale`).
    """
    options = options or PullOptions()
    table = _plain(measured)
    rows, sources, distance = _pairs(table, truth, options.radius * beam.fwhm)
    bright = truth["peak_flux"].to_numpy()[sources] >= options.faintest * table["local_rms"].to_numpy()[rows]
    clean = (table["flags"].to_numpy()[rows] & options.bad_flags) == 0
    kept = np.flatnonzero(bright & clean)
    kept = kept[_isolated(truth, sources[kept], options)]
    found, real = table.iloc[rows[kept]], truth.iloc[sources[kept]]
    columns = {name: found[name].to_numpy() for name in ("source_id",) if name in found}
    columns |= {"snr": found["snr"].to_numpy(np.float64), "distance": distance[kept]}
    for name in QUANTITIES:
        if f"e_{name}" in found and name in real:
            columns |= _residual(name, found, real, beam=beam, options=options)
    return pd.DataFrame(columns)


def pulls(pairs: pd.DataFrame, calibration: Mapping[str, tuple[float, float]] | None = None) -> pd.DataFrame:
    """Residuals over errors.

    Parameters
    ----------
    pairs : DataFrame
        n rows from `residuals`, or of a cube from `skadetect.evaluate.cube_pulls.cube_residuals`.
    calibration : mapping, optional
        From `fit_calibration`; errors it does not name stay as they are.

    Returns
    -------
    DataFrame
        n rows: snr, and the pull of each quantity (NaN where left out).
    """
    calibration = calibration or {}
    columns = {"snr": pairs["snr"]}
    for name, error in error_columns(pairs).items():
        factor, floor = calibration.get(error, (1.0, 0.0))
        columns[name] = pairs[name] / np.hypot(factor * pairs[error], floor * pairs[f"floor_{name}"])
    return pd.DataFrame(columns)


def fit_calibration(
    pairs: pd.DataFrame, options: PullOptions | None = None
) -> dict[str, tuple[float, float]]:
    """Factor and floor of each error that bring 68 % of the residuals within them at every signal to noise.

    The error e becomes hypot(factor e, floor v); see `skadetect.catalog.provenance.ModelInfo`. A bias counts
    as error. Of all pairs of a factor and a floor with 68 % within one error over all rows, the pair is taken
    whose bins of signal to noise differ least.

    Parameters
    ----------
    pairs : DataFrame
        From `residuals`, of all fields together.
    options : PullOptions, optional
        `fewest` pairs a bin; a quantity with fewer pairs in all is not calibrated.

    Returns
    -------
    dict of str to (float, float)
        By column: "e_int_flux" (of a cube: "err_f_sum") to (factor, floor).
    """
    options = options or PullOptions()
    calibration = {}
    for name, error in error_columns(pairs).items():
        some = pairs[["snr", name, error, f"floor_{name}"]].to_numpy(np.float64)
        some = some[np.isfinite(some).all(axis=1) & (some[:, 2] > 0.0)]
        if len(some) >= options.fewest:
            calibration[error] = _fit(some, options.fewest)
    return calibration


def robust_width(values: Floats) -> float:
    """Half-width around zero that holds 68 % of the finite values, 1 for unit Gaussian pulls; else NaN."""
    finite = np.abs(values[np.isfinite(values)])
    return float(np.quantile(finite, _ONE_SIGMA)) if len(finite) else np.nan


def summarise(table: pd.DataFrame, edges: Floats) -> pd.DataFrame:
    """Number, median and robust width of the pulls (or residuals) in bins of signal to noise.

    Parameters
    ----------
    table : DataFrame
        snr and any other columns.
    edges : array (b + 1,)
        Rising bin edges.

    Returns
    -------
    DataFrame
        A row a column and bin: quantity, low, high (edges), n, median, width.
    """
    rows = []
    for name in (name for name in table.columns if name != "snr"):
        for low, high in itertools.pairwise(edges):
            values = table.loc[(table["snr"] >= low) & (table["snr"] < high), name].to_numpy(np.float64)
            values = values[np.isfinite(values)]
            median = float(np.median(values)) if len(values) else np.nan
            rows.append((name, low, high, len(values), median, robust_width(values)))
    return pd.DataFrame(rows, columns=["quantity", "low", "high", "n", "median", "width"])


def error_columns(pairs: pd.DataFrame) -> dict[str, str]:
    """The error column of each quantity of residuals: e_q of an image's catalogue, err_q of a cube's."""
    names = [str(name) for name in pairs]
    return {name: error for name in names for error in (f"e_{name}", f"err_{name}") if error in names}


def _plain(measured: Any) -> pd.DataFrame:
    """Any of our tables as a DataFrame; units are the schema's."""
    return measured if isinstance(measured, pd.DataFrame) else measured.to_pandas()


def _pairs(
    table: pd.DataFrame, truth: pd.DataFrame, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Rows, their sources and distances: the brightest source takes the nearest detection first."""
    here, there = ((t["ra"].to_numpy(np.float64), t["dec"].to_numpy(np.float64)) for t in (table, truth))
    match = match_sky(there, here, radius, confidence=truth["peak_flux"].to_numpy(np.float64))
    sources = np.flatnonzero(match.matched)
    return match.truth[sources], sources, match.distance[sources]


def _isolated(truth: pd.DataFrame, sources: NDArray[np.int64], options: PullOptions) -> NDArray[np.bool_]:
    """Whether each source has no neighbour that matters; distances on a plane, wrapped across 0 h."""
    ra, dec, peak = (truth[name].to_numpy(np.float64) for name in ("ra", "dec", "peak_flux"))
    centre = np.median(dec) if len(dec) else 0.0
    east = (ra - ra[0] + 180.0) % 360.0 - 180.0 if len(ra) else ra
    plane = 3600.0 * np.stack([east * np.cos(np.radians(centre)), dec], axis=1)
    reach = options.apart * truth["bmaj"].to_numpy(np.float64)[sources]
    around = cKDTree(plane).query_ball_point(plane[sources], reach) if len(sources) else []
    alone = [(peak[near] >= options.neighbour * peak[own]).sum() == 1 for near, own in zip(around, sources)]
    return np.asarray(alone, np.bool_)


def _residual(
    name: str, found: pd.DataFrame, real: pd.DataFrame, *, beam: PixelBeam, options: PullOptions
) -> dict[str, NDArray[Any]]:
    """Columns of one quantity; NaN where an angle is not worth a pull."""
    difference = found[name].to_numpy(np.float64) - real[name].to_numpy(np.float64)
    error = found[f"e_{name}"].to_numpy(np.float64)
    if name == "ra":
        difference = (difference + 180.0) % 360.0 - 180.0
        difference = difference * np.cos(np.radians(real["dec"].to_numpy(np.float64)))
    if name in ("ra", "dec"):
        difference = difference * 3600.0
    if name == "pa":
        difference = (difference + 90.0) % 180.0 - 90.0
        difference[~(error <= options.widest_angle)] = np.nan
    columns = {str(key): column for key, column in found.items()}
    scale = np.abs(floor_scale(f"e_{name}", columns, beam=beam)) * np.ones(len(found))
    return {name: difference, f"e_{name}": error, f"floor_{name}": scale}


def _fit(rows: Floats, fewest: int) -> tuple[float, float]:
    """The best of a grid of ratios floor/factor; columns are snr, residual, error and base of the floor."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    bins = np.array_split(np.arange(len(rows)), min(max(len(rows) // fewest, 1), 12))
    best, smallest = (1.0, 0.0), np.inf
    for ratio in _RATIOS:
        pull = rows[:, 1] / np.hypot(rows[:, 2], ratio * rows[:, 3])
        whole = robust_width(pull)
        if not whole > 0.0:
            continue
        widths = np.array([robust_width(pull[one]) for one in bins])
        uneven = float(np.sum(np.log(np.maximum(widths, 1e-12) / whole) ** 2))
        if uneven < smallest:
            best, smallest = (whole, whole * float(ratio)), uneven
    return best

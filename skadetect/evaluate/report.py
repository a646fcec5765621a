"""The picture of a scored submission: completeness, purity and precision-recall."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skadetect.catalog.sdc1 import read_sdc1
from skadetect.errors import ConfigError
from skadetect.evaluate.curves import fraction, plot_curves, precision_recall
from skadetect.evaluate.sdc1 import Catalogue, PreparedTruth, match_sdc1, score_match
from skadetect.evaluate.sdc2 import PreparedSdc2Truth, Sdc2Field, match_sdc2, score_sdc2_match
from skadetect.evaluate.sdc2_input import load_sdc2

_BINS = 16
_SNR_RANGE = (1.0, 300.0)
_FLUX_OVER_NOISE = "signal to noise (flux / noise)"


def write_report(
    path: str | os.PathLike[str],
    sub: Catalogue,
    truth: Catalogue,
    *,
    freq: int = 560,
    train: bool | None = False,
    mode: str = "core",
    noise: float | None = None,
) -> None:
    """Draw how complete and how pure a submission is, as a PNG.

    Parameters
    ----------
    path : path
        File to write.
    sub, truth : DataFrame or path
        SDC1 catalogues. Where both tables have a column `snr` it is the abscissa; a column `score` of `sub`
        is the confidence of the precision-recall curve, which is left out without it.
    freq, train, mode
        As in `score_sdc1`.
    noise : float, optional
        Noise in Jy/beam: the abscissa is then flux over noise. Without it, and without `snr`, it is the flux.

    Raises
    ------
    ConfigError
        Unknown band or mode, or a noise that is not positive.
    InputError, OutputError
        A catalogue cannot be read, or the figure not be written.
    """
    if noise is not None and not noise > 0.0:
        raise ConfigError(f"noise is {noise:g} Jy/beam, expected a positive number")
    sub, truth = _table(sub), _table(truth)
    prepared = PreparedTruth.prepare(truth, freq=freq, train=train, mode=mode)
    match = match_sdc1(sub, prepared)
    unit = 1.0 if noise is None else noise
    axis = _Abscissa("flux", unit, "integrated flux (Jy)" if noise is None else _FLUX_OVER_NOISE)
    found = match.truth[match.accepted]
    rows = _Rows(match.row, prepared.row, match.accepted, match.accepted, found, score_match(match).score)
    _draw(path, sub, truth, rows, axis)


def write_sdc2_report(
    path: str | os.PathLike[str], sub: Any, truth: Any, *, field: Sdc2Field | None = None
) -> None:
    """Draw how complete and how pure a submission of a cube is, as a PNG.

    Parameters
    ----------
    path : path
        File to write.
    sub, truth : DataFrame, Table, Catalog or path
        As in `score_sdc2`. Where both tables have a column `snr` it is the abscissa, else the line flux; a
        column `score` of `sub` is the confidence of the precision-recall curve, which is left out without it
        and counts duplicates as false.
    field : Sdc2Field, optional
        The cube, by default the challenge's.

    Raises
    ------
    InputError, OutputError
        A catalogue cannot be read, or the figure not be written.
    """
    sub, truth = load_sdc2(sub), load_sdc2(truth)
    prepared = PreparedSdc2Truth.prepare(truth, field)
    match = match_sdc2(sub, prepared)
    axis = _Abscissa("line_flux_integral", 1.0, "integrated line flux (Jy Hz)")
    found = match.truth[match.accepted]
    score, firsts = score_sdc2_match(match).score, match.accepted & match.nearest
    _draw(path, sub, truth, _Rows(match.row, prepared.row, match.accepted, firsts, found, score), axis)


@dataclass(frozen=True)
class _Rows:
    """A match of any challenge: rows of both tables, which are matches, which of them are no duplicates."""

    sub: NDArray[np.int64]
    truth: NDArray[np.int64]
    accepted: NDArray[np.bool_]
    firsts: NDArray[np.bool_]
    found: NDArray[np.int64]
    score: float


@dataclass(frozen=True)
class _Abscissa:
    """The column that stands for brightness where a table has no signal to noise, over a unit."""

    column: str
    unit: float
    label: str


def _draw(
    path: str | os.PathLike[str], sub: pd.DataFrame, truth: pd.DataFrame, rows: _Rows, axis: _Abscissa
) -> None:
    found = np.zeros(len(rows.truth), bool)
    found[rows.found] = True
    x_sub, x_truth, xlabel = _abscissae(sub, truth, axis)
    x_sub, x_truth = x_sub[rows.sub], x_truth[rows.truth]
    edges = _edges(x_truth[found], x_sub, xlabel)
    curve = None
    if "score" in sub.columns:
        curve = precision_recall(sub["score"].to_numpy(np.float64)[rows.sub], rows.firsts, len(found))
    n_match, n_det = int(rows.accepted.sum()), len(rows.accepted)
    title = f"score {rows.score:.1f}, {n_match} of {n_det} matched, purity {n_match / max(n_det, 1):.3f}"
    completeness, purity = fraction(x_truth, found, edges), fraction(x_sub, rows.accepted, edges)
    plot_curves(path, completeness, purity, precision=curve, xlabel=xlabel, title=title)


def _table(catalogue: Catalogue) -> pd.DataFrame:
    return catalogue if isinstance(catalogue, pd.DataFrame) else read_sdc1(catalogue, strict=False)


def _abscissae(
    sub: pd.DataFrame, truth: pd.DataFrame, axis: _Abscissa
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    if axis.unit == 1.0 and "snr" in sub.columns and "snr" in truth.columns:
        return sub["snr"].to_numpy(np.float64), truth["snr"].to_numpy(np.float64), "signal to noise"
    values, truths = (table[axis.column].to_numpy(np.float64) / axis.unit for table in (sub, truth))
    return values, truths, axis.label


def _edges(found: NDArray[np.float64], detected: NDArray[np.float64], xlabel: str) -> NDArray[np.float64]:
    """Bins over the usual range of a signal to noise, or over the range of the detected fluxes."""
    low, high = _SNR_RANGE
    values = np.concatenate([found, detected])
    values = values[values > 0.0]
    if xlabel.startswith("integrated") and len(values):
        low, high = values.min() / 2.0, values.max() * 1.01
    return np.geomspace(low, high, _BINS + 1)

"""The picture of a scored submission: completeness, purity and precision-recall."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skadetect.catalog.sdc1 import read_sdc1
from skadetect.errors import ConfigError
from skadetect.evaluate.curves import fraction, plot_curves, precision_recall
from skadetect.evaluate.sdc1 import Catalogue, PreparedTruth, match_sdc1, score_match

_BINS = 16
_SNR_RANGE = (1.0, 300.0)


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
    accepted, result = match.accepted, score_match(match)
    found = np.zeros(len(prepared), bool)
    found[match.truth[accepted]] = True
    x_sub, x_truth, xlabel = _abscissae(sub, truth, noise)
    x_sub, x_truth = x_sub[match.row], x_truth[prepared.row]
    edges = _edges(x_truth[found], x_sub, xlabel)
    curve = None
    if "score" in sub.columns:
        curve = precision_recall(sub["score"].to_numpy(np.float64)[match.row], accepted, len(prepared))
    title = (
        f"score {result.score:.1f}, {result.n_match} of {result.n_det} matched, purity {result.purity:.3f}"
    )
    completeness, purity = fraction(x_truth, found, edges), fraction(x_sub, accepted, edges)
    plot_curves(path, completeness, purity, precision=curve, xlabel=xlabel, title=title)


def _table(catalogue: Catalogue) -> pd.DataFrame:
    return catalogue if isinstance(catalogue, pd.DataFrame) else read_sdc1(catalogue, strict=False)


def _abscissae(
    sub: pd.DataFrame, truth: pd.DataFrame, noise: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    if noise is None and "snr" in sub.columns and "snr" in truth.columns:
        return sub["snr"].to_numpy(np.float64), truth["snr"].to_numpy(np.float64), "signal to noise"
    unit = 1.0 if noise is None else noise
    label = "integrated flux (Jy)" if noise is None else "signal to noise (flux / noise)"
    return sub["flux"].to_numpy(np.float64) / unit, truth["flux"].to_numpy(np.float64) / unit, label


def _edges(found: NDArray[np.float64], detected: NDArray[np.float64], xlabel: str) -> NDArray[np.float64]:
    """Bins over the usual range of a signal to noise, or over the range of the detected fluxes."""
    low, high = _SNR_RANGE
    values = np.concatenate([found, detected])
    values = values[values > 0.0]
    if xlabel.startswith("integrated") and len(values):
        low, high = values.min() / 2.0, values.max() * 1.01
    return np.geomspace(low, high, _BINS + 1)

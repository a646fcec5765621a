"""Completeness, purity and precision-recall curves, and their picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.errors import OutputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fraction:
    """A share of successes in bins: completeness (truth rows found) or purity (detections that are real).

    Attributes
    ----------
    edges : array (b + 1,)
        Bin edges in the unit of the binned quantity.
    count : array (b,)
        Rows in each bin.
    value, low, high : arrays (b,)
        The share and its 68 per cent Wilson interval; NaN in an empty bin.
    """

    edges: Floats
    count: Floats
    value: Floats
    low: Floats
    high: Floats

    @property
    def centre(self) -> Floats:
        """Geometric mean of each bin's edges, shape (b,)."""
        return np.sqrt(self.edges[:-1] * self.edges[1:])


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall at every threshold.

    Attributes
    ----------
    threshold : array (n,)
        Distinct confidences, falling.
    precision, recall : arrays (n,)
        Of the rows with at least that confidence.
    """

    threshold: Floats
    precision: Floats
    recall: Floats

    @property
    def average_precision(self) -> float:
        """Area under the curve, with the precision at each recall taken as the best one from there on."""
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(envelope * np.diff(self.recall, prepend=0.0)))


def snr_edges(low: float = 2.0, high: float = 100.0, bins: int = 16) -> Floats:
    """Logarithmic bin edges of a signal-to-noise ratio, shape (bins + 1,)."""
    return np.geomspace(low, high, bins + 1)


def fraction(values: Floats, success: NDArray[np.bool_], edges: Floats) -> Fraction:
    """Share of successes in bins of a quantity.

    Parameters
    ----------
    values : array (n,)
        For example the signal-to-noise ratio: of the truth rows for a completeness, of the detections for a
        purity.
    success : array (n,) bool
        Found (completeness) or real (purity).
    edges : array (b + 1,)
        Rising bin edges, positive.

    Returns
    -------
    Fraction
        With Wilson's score interval (Wilson 1927, JASA 22, 209) at one sigma.
    """
    count = np.histogram(values, edges)[0].astype(np.float64)
    hits = np.histogram(values[success], edges)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits / count
        middle = (share + 0.5 / count) / (1.0 + 1.0 / count)
        half = np.sqrt(share * (1.0 - share) / count + 0.25 / count**2) / (1.0 + 1.0 / count)
    return Fraction(np.asarray(edges, np.float64), count, share, middle - half, middle + half)


def precision_recall(confidence: Floats, real: NDArray[np.bool_], n_truth: int) -> PrecisionRecall:
    """Precision and recall against a falling threshold.

    Parameters
    ----------
    confidence : array (n,)
        Of the detections; higher is better.
    real : array (n,) bool
        The detection is a true source, each truth counted once.
    n_truth : int
        Sources that could have been found.

    Returns
    -------
    PrecisionRecall
    """
    order = np.argsort(-np.asarray(confidence, dtype=np.float64), kind="stable")
    values = np.asarray(confidence, dtype=np.float64)[order]
    last = np.flatnonzero(np.r_[np.diff(values) != 0.0, True]) if len(order) else order
    hits = np.cumsum(np.asarray(real, dtype=bool)[order])[last]
    return PrecisionRecall(values[last], hits / (last + 1.0), hits / max(n_truth, 1))


def plot_curves(
    path: str | os.PathLike[str],
    completeness: Fraction,
    purity: Fraction,
    *,
    precision: PrecisionRecall | None = None,
    xlabel: str = "signal to noise",
    title: str = "",
) -> None:
    """Draw completeness and purity, and the precision-recall curve if there is one, as a PNG.

    Parameters
    ----------
    path : path
        File to write.
    completeness, purity : Fraction
        Drawn against the centres of their bins.
    precision : PrecisionRecall, optional
        Drawn in a second panel with its average precision.
    xlabel, title : str
        Texts of the figure.

    Raises
    ------
    OutputError
        matplotlib is not installed, or the file cannot be written.
    """
    figure = _figure(1 if precision is None else 2)
    axes = figure.axes[0]
    for curve, name, colour in ((completeness, "completeness", "#1f5fa8"), (purity, "purity", "#c2491d")):
        full = curve.count > 0
        spread = np.clip([(curve.value - curve.low)[full], (curve.high - curve.value)[full]], 0.0, None)
        style = {"color": colour, "marker": "o", "markersize": 4, "capsize": 2}
        axes.errorbar(curve.centre[full], curve.value[full], spread, label=name, **style)
    axes.set(xscale="log", xlabel=xlabel, ylabel="share", ylim=(0.0, 1.05))
    axes.legend(loc="lower right")
    if precision is not None:
        axes = figure.axes[1]
        axes.plot(precision.recall, precision.precision, color="#1f5fa8")
        label = f"recall (average precision {precision.average_precision:.3f})"
        axes.set(xlabel=label, ylabel="precision", xlim=(0.0, 1.02), ylim=(0.0, 1.05))
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    try:
        figure.savefig(path, format="png", dpi=120)
    except OSError as error:
        raise OutputError(f"{path}: cannot write the figure ({error.strerror})") from error


def _figure(panels: int) -> Any:
    """Make a figure that belongs to no window and to no global list."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError("matplotlib is not installed; install skadetect[plot] to draw curves") from error
    figure = Figure(figsize=(6.0 * panels, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.subplots(1, panels)
    return figure

"""The picture of pulls: a histogram a quantity beside the unit Gaussian that honest errors give."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd

from skadetect.errors import OutputError
from skadetect.evaluate.pulls import robust_width

_EDGES = np.linspace(-5.0, 5.0, 51)


def plot_pulls(path: str | os.PathLike[str], pulls: pd.DataFrame, *, title: str = "") -> None:
    """Draw the distribution of each quantity's pulls as a PNG.

    Parameters
    ----------
    path : path
        File to write.
    pulls : DataFrame
        n rows from `skadetect.evaluate.pulls.pulls`.
    title : str
        Of the figure.

    Raises
    ------
    OutputError
        matplotlib is not installed, or the file cannot be written.
    """
    names = [name for name in pulls.columns if name != "snr"]
    figure = _figure(len(names))
    middle = (_EDGES[:-1] + _EDGES[1:]) / 2
    for axes, name in zip(figure.axes, names):
        values = pulls[name].to_numpy(np.float64)
        values = values[np.isfinite(values)]
        share = np.histogram(values, _EDGES)[0] / max(len(values), 1) / np.diff(_EDGES)
        axes.stairs(share, _EDGES, fill=True, color="#9bbbe0")
        axes.plot(middle, np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi), color="#c2491d")
        axes.set_title(f"{name}: width {robust_width(values):.2f}, {len(values)} sources", fontsize=9)
        axes.set_xlim(_EDGES[0], _EDGES[-1])
    figure.supxlabel("(measured - true) / error")
    figure.suptitle(title)
    try:
        figure.savefig(path, format="png", dpi=110)
    except OSError as error:
        raise OutputError(f"{path}: cannot write the figure ({error.strerror})") from error


def _figure(panels: int) -> Any:
    """Make a figure, four panels a row, that belongs to no window and to no global list."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError("matplotlib is not installed; install skadetect[plot] to draw pulls") from error
    rows = max(-(-panels // 4), 1)
    columns = -(-max(panels, 1) // rows)
    figure = Figure(figsize=(3.2 * columns, 2.6 * rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes in figure.subplots(rows, columns, squeeze=False).flat[panels:]:
        axes.remove()
    return figure

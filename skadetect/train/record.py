"""What a training reports about itself: a table of numbers a step as CSV, and its curves as PNG."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skadetect.atomic import atomic_path


class Record:
    """Rows of named numbers by step, kept in memory and written whole: the file never ends in half a row.

    Parameters
    ----------
    path : Path
        The CSV file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def add(self, step: int, **values: float) -> None:
        """Add the row of a step."""
        self.rows.append({"step": step, **values})

    def column(self, name: str) -> np.ndarray:
        """All values of a column, NaN where a row lacks it."""
        return np.array([row.get(name, math.nan) for row in self.rows], np.float64)

    def restore(self, last: int) -> None:
        """Read the file of an interrupted training up to and with step `last`; an absent file is empty."""
        if not self.path.exists():
            return
        with self.path.open(newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        self.rows = [row for row in rows if row["step"] <= last]

    def save(self) -> None:
        """Write the CSV, atomically.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        if not self.rows:
            return
        with atomic_path(self.path, overwrite=True) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[-1]))
            writer.writeheader()
            writer.writerows({k: _short(k, v) for k, v in row.items()} for row in self.rows)


def plot_curves(path: Path, losses: Record, validation: Record, *, names: Sequence[str]) -> bool:
    """Draw the losses and the validation against the step.

    Parameters
    ----------
    path : Path
        The PNG file.
    losses, validation : Record
        What to draw.
    names : sequence of str
        Columns of `losses`.

    Returns
    -------
    bool
        False if matplotlib is not installed and nothing was drawn.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(9, 7), layout="constrained")
    top, bottom = figure.subplots(2, 1)
    step = losses.column("step")
    for name in names:
        top.plot(*_smooth(step, losses.column(name)), label=name, linewidth=1)
    top.set(xlabel="step", ylabel="loss", yscale="log")
    top.legend(ncols=4, fontsize="small")
    for name in ("completeness", "purity", "average_precision", "mean_attribute"):
        bottom.plot(validation.column("step"), validation.column(name), marker=".", label=name)
    bottom.set(xlabel="step", ylabel="held-out fields", ylim=(0, 1))
    right = bottom.twinx()
    right.plot(
        validation.column("step"), validation.column("score"), color="black", marker="x", label="SDC1 score"
    )
    right.set_ylabel("SDC1 score (black)")
    bottom.legend(ncols=2, fontsize="small", loc="lower right")
    figure.savefig(path, dpi=110)
    return True


def _smooth(step: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over about 200 groups of neighbouring steps."""
    size = max(1, len(values) // 200)
    count = len(values) // size
    return tuple(a[: count * size].reshape(count, size).mean(axis=1) for a in (step, values))  # type: ignore[return-value]


def _short(name: str, value: float) -> str:
    """A number with seven digits, a step in full."""
    return str(int(value)) if name == "step" else f"{value:.7g}"

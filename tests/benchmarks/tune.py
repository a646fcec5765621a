"""The smooth-and-clip finder tuned on the truth: thresholds, reliability, calibration."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from moments import Frame, measure_sources
from smooth_and_clip import (
    Cube,
    FinderOptions,
    LinkerOptions,
    Sources,
    flag_voxels,
    link,
    reliability,
    significance,
)

THRESHOLDS = (3.5, 4.0, 4.5, 5.0)
LINKERS = (
    LinkerOptions(),
    LinkerOptions(least=(5, 3, 3)),
    LinkerOptions(radius=(3, 2), least=(5, 3, 3)),
    LinkerOptions(radius=(3, 2), least=(7, 4, 4)),
)
KERNELS = (0.3, 0.4, 0.5)
RELIABILITIES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
SIGNIFICANCES = (3.0, 3.25, 3.5, 3.75, 4.0, 4.25, 4.5, 4.75, 5.0, 5.5, 6.0, 7.0)
LOUD = 4.0
SDC2 = ("id", "ra", "dec", "hi_size", "line_flux_integral", "central_freq", "pa", "i", "w20")

Scorer = Callable[[pd.DataFrame], float]


@dataclass(frozen=True)
class Calibration:
    """From moments to the columns of SDC2, one constant each.

    Attributes
    ----------
    flux, w20 : float
        Factors.
    size, least_size : float
        Factor from the deconvolved FWHM along the major axis to hi_size, and the least hi_size, arcsec.
    angle : float
        Inclination of all galaxies whose deconvolved major axis is below `resolved`, degrees.
    resolved : float
        Arcsec; beyond it cos i is the axis ratio. Infinite: all have the same inclination.
    deconvolved : bool
        Whether the axis ratio is that of the deconvolved axes.
    """

    flux: float = 1.0
    w20: float = 1.0
    size: float = 1.2
    least_size: float = 3.0
    angle: float = 60.0
    resolved: float = np.inf
    deconvolved: bool = True


@dataclass(frozen=True)
class Selection:
    """Which of the measured rows are sources."""

    finder: int = 0
    dilation: int = 1
    kernel: float = KERNELS[0]
    reliability: float = 0.9
    significance: float = 4.0


GRID = {
    "flux": np.arange(0.7, 1.31, 0.03),
    "w20": np.arange(0.6, 1.41, 0.04),
    "size": np.geomspace(0.4, 2.5, 24),
    "least_size": np.arange(0.0, 14.1, 1.0),
    "angle": np.arange(30.0, 81.0, 5.0),
    "resolved": [np.inf, *np.arange(0.0, 21.0, 3.0)],
    "deconvolved": [True, False],
}


def candidates(cube: Cube, frame: Frame) -> pd.DataFrame:
    """Everything that the tuning chooses from.

    Parameters
    ----------
    cube : (z, y, x) float32
        In units of the noise.
    frame : Frame

    Returns
    -------
    DataFrame
        A row each finder (place in the product of `THRESHOLDS` and `LINKERS`), source and dilation: finder,
        significance, a reliability_K for each kernel K, and the columns of `measure_sources`.
    """
    found, work = [], np.empty_like(cube)
    for number, threshold in enumerate(THRESHOLDS):
        mask = flag_voxels(cube, work, FinderOptions(threshold=threshold))
        for place, linker in enumerate(LINKERS, number * len(LINKERS)):
            sources = link(cube, mask, work.view(np.int32), options=linker)
            table = _promising(sources, frame.beam.area)
            if len(table):
                measured = measure_sources(cube, sources, table["row"].to_numpy(), frame)
                found.append(table.merge(measured, on="row").assign(finder=place))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _promising(sources: Sources, beam_area: float) -> pd.DataFrame:
    """Positive sources that any selection may take, with significance and reliabilities."""
    snr = significance(sources.table, beam_area)
    rows = np.flatnonzero((sources.table["sum"] > 0) & (snr >= SIGNIFICANCES[0]))
    sure = {f"reliability_{kernel}": reliability(sources.table, rows, kernel) for kernel in KERNELS}
    table = pd.DataFrame({"row": rows, "significance": snr[rows]} | sure)
    # What is hardly reliable by any kernel needs no parameters, unless it stands out by itself.
    return table[(table[list(sure)].max(axis=1) >= RELIABILITIES[1]) | (table["significance"] >= LOUD)]


def select(table: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """The rows of a selection."""
    sure = table[f"reliability_{selection.kernel}"] >= selection.reliability
    loud = table["significance"] >= selection.significance
    same = (table["finder"] == selection.finder) & (table["dilation"] == selection.dilation)
    return table[sure & loud & same]


def to_sdc2(table: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """Rows in the columns of SDC2."""
    axes = ("bmin", "bmaj") if calibration.deconvolved else ("narrow", "wide")
    minor, major = (table[name].to_numpy() for name in axes)
    ratio = np.divide(minor, major, out=np.ones(len(table)), where=major > 0)
    shaped = np.degrees(np.arccos(np.clip(ratio, 0.0, 1.0)))
    resolved = table["bmaj"].to_numpy() > calibration.resolved
    rows = table.assign(
        id=np.arange(len(table)),
        hi_size=np.maximum(table["bmaj"] * calibration.size, max(calibration.least_size, 0.1)),
        line_flux_integral=table["line_flux_integral"] * calibration.flux,
        i=np.where(resolved, shaped, calibration.angle),
        w20=table["w20"] * calibration.w20,
    )
    return rows[list(SDC2)]


def tune(table: pd.DataFrame, scorer: Scorer, *, rounds: int = 3) -> tuple[Selection, Calibration, float]:
    """The selection and calibration of the highest score, by turns.

    Parameters
    ----------
    table : DataFrame
        From `candidates`.
    scorer : callable
        Score of a table in SDC2's columns.
    rounds : int

    Returns
    -------
    selection, calibration, score
    """
    best, calibration, highest = Selection(), Calibration(), -np.inf
    choices = _selections(table)
    for _ in range(rounds):
        before = highest
        for choice in choices:
            score = scorer(to_sdc2(select(table, choice), calibration))
            if score > highest:
                best, highest = choice, score
        chosen = select(table, best)
        for name, value in [(name, value) for name, values in GRID.items() for value in values]:
            tried = replace(calibration, **{name: value})
            score = scorer(to_sdc2(chosen, tried))
            if score > highest:
                calibration, highest = tried, score
        if highest == before:
            break
    return best, calibration, highest


def _selections(table: pd.DataFrame) -> list[Selection]:
    """All selections with any rows, each set of rows once."""
    found = {}
    for (finder, dilation), rows in table.groupby(["finder", "dilation"]):
        for kernel, sure, loud in itertools.product(KERNELS, RELIABILITIES, SIGNIFICANCES):
            chosen = (rows[f"reliability_{kernel}"] >= sure) & (rows["significance"] >= loud)
            if chosen.any():
                key = (finder, dilation, chosen.to_numpy().tobytes())
                found.setdefault(key, Selection(int(finder), int(dilation), kernel, sure, loud))
    return list(found.values())

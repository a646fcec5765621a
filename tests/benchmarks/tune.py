"""The smooth-and-clip finder tuned on the truth: thresholds, reliability and calibration."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
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

from skadetect.catalog.sdc2 import SDC2_COLUMNS
from skadetect.evaluate.sdc2 import PreparedSdc2Truth, Sdc2Match, match_sdc2
from skadetect.evaluate.sdc2_attributes import attribute_scores

#: SoFiA-2's own spectral kernels first, then those that reach the width of lines in 30 kHz channels.
FINDERS = (
    *(FinderOptions(threshold) for threshold in (3.8, 4.2)),
    *(FinderOptions(threshold, spectral=(0, 7, 15, 31)) for threshold in (3.5, 3.8, 4.2, 4.7)),
)
LINKERS = (
    LinkerOptions(),
    LinkerOptions(least=(5, 3, 3)),
    LinkerOptions(radius=(3, 2), least=(5, 3, 3)),
    LinkerOptions(radius=(3, 2), least=(7, 4, 4)),
)
KERNELS = (0.3, 0.4, 0.5)
RELIABILITIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
SIGNIFICANCES = (*np.arange(3.0, 5.0, 0.125), *np.arange(5.0, 8.1, 0.5), np.inf)  # the last: nothing at all
LOUD = 4.0


@dataclass(frozen=True)
class Calibration:
    """From moments to the columns of SDC2, one constant each.

    Attributes
    ----------
    flux, w20 : float
        Factors.
    size : float
        Factor from the deconvolved FWHM along the major axis to hi_size.
    least_size : float
        The least hi_size, beams.
    angle : float
        Inclination of all galaxies whose deconvolved major axis is below `resolved`, degrees.
    resolved : float
        Beams; beyond it cos i is the axis ratio. Infinite: all have the same inclination.
    deconvolved : bool
        Whether the axis ratio is that of the deconvolved axes.
    """

    flux: float = 1.0
    w20: float = 1.0
    size: float = 1.3
    least_size: float = 0.5
    angle: float = 60.0
    resolved: float = 1.0
    deconvolved: bool = True


@dataclass(frozen=True)
class Selection:
    """Which of the measured rows are sources: thresholds and numbers of a finder and a dilation."""

    finder: int
    dilation: int
    kernel: float = 0.4
    reliability: float = 0.9
    significance: float = 4.0


@dataclass(frozen=True)
class Tuned:
    """The best of all: what is selected, how it is calibrated, and its score."""

    selection: Selection
    calibration: Calibration
    score: float


Found = tuple[pd.DataFrame, PreparedSdc2Truth]
GRID = {
    "flux": np.arange(0.7, 1.31, 0.03),
    "w20": np.arange(0.6, 1.61, 0.04),
    "size": np.geomspace(0.4, 2.5, 24),
    "least_size": np.arange(0.0, 2.01, 0.125),
    "angle": np.arange(30.0, 81.0, 5.0),
    "resolved": [np.inf, *np.arange(0.0, 3.1, 0.25)],
    "deconvolved": [True, False],
}


def candidates(cube: Cube, frame: Frame, *, finders: Sequence[FinderOptions] = FINDERS) -> pd.DataFrame:
    """Everything that the tuning chooses from.

    Parameters
    ----------
    cube : (z, y, x) float32
        In units of the noise.
    frame : Frame
    finders : sequence of FinderOptions

    Returns
    -------
    DataFrame
        A row each finder (place in the product of `finders` and `LINKERS`), source and dilation: finder,
        significance, a reliability_K for each kernel K, beam (arcsec) and the columns of `measure_sources`.
    """
    found, work = [], np.empty_like(cube)
    for number, finder in enumerate(finders):
        mask = flag_voxels(cube, work, finder)
        for place, linker in enumerate(LINKERS, number * len(LINKERS)):
            sources = link(cube, mask, work.view(np.int32), options=linker)
            table = _promising(sources, frame.beam.area)
            if len(table):
                measured = measure_sources(cube, sources, table["row"].to_numpy(), frame)
                found.append(table.merge(measured, on="row").assign(finder=place, beam=frame.fwhm))
    if not found:
        raise SystemExit("the smooth-and-clip finder finds nothing at all")
    return pd.concat(found, ignore_index=True)


def with_own_kernels(table: pd.DataFrame) -> pd.DataFrame:
    """Those of `candidates` that SoFiA-2's own spectral kernels find."""
    own = [number for number, finder in enumerate(FINDERS) if finder.spectral == FinderOptions().spectral]
    return table[np.isin(table["finder"] // len(LINKERS), own)]


def select(table: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """The rows of a selection."""
    same = (table["finder"] == selection.finder) & (table["dilation"] == selection.dilation)
    sure = table[f"reliability_{selection.kernel}"] >= selection.reliability
    return table[same & sure & (table["significance"] >= selection.significance)]


def to_sdc2(table: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """Rows in the columns of SDC2."""
    columns = calibrate({str(name): values.to_numpy() for name, values in table.items()}, calibration)
    return pd.DataFrame({"id": np.arange(len(table))} | columns)[list(SDC2_COLUMNS)]


def calibrate(measured: dict[str, np.ndarray], calibration: Calibration) -> dict[str, np.ndarray]:
    """The columns of SDC2, but the id, from those of `candidates`."""
    axes = ("bmin", "bmaj") if calibration.deconvolved else ("narrow", "wide")
    minor, major = (measured[name] for name in axes)
    ratio = np.divide(minor, major, out=np.ones(len(major)), where=major > 0)
    shaped = np.degrees(np.arccos(np.clip(ratio, 0.0, 1.0)))
    beam, size = measured["beam"], measured["bmaj"] * calibration.size
    return {name: measured[name] for name in ("ra", "dec", "central_freq", "pa")} | {
        "hi_size": np.maximum(size, np.maximum(calibration.least_size, 0.01) * beam),
        "line_flux_integral": measured["line_flux_integral"] * calibration.flux,
        "i": np.where(measured["bmaj"] > calibration.resolved * beam, shaped, calibration.angle),
        "w20": measured["w20"] * calibration.w20,
    }


def tune(cubes: Sequence[Found], *, calibrated: bool = True, rounds: int = 4, finalists: int = 12) -> Tuned:
    """The selection and calibration of the highest official score, summed over cubes.

    Each finder with each dilation is tuned by turns: thresholds on all their values, then the constants of
    the calibration one after another; the best of the first turn go on until nothing gains.

    Parameters
    ----------
    cubes : sequence of (DataFrame, PreparedSdc2Truth)
        From `candidates`, and the truth, of each cube.
    calibrated : bool
        Whether the calibration is tuned, or left as it is by default.
    rounds : int
        Most turns.
    finalists : int
        How many finders and dilations take more than one turn.
    """
    if all(table.empty for table, _ in cubes):
        return Tuned(Selection(0, 0), Calibration(), 0.0)
    keys = sorted({key for table, _ in cubes for key in zip(table["finder"], table["dilation"])})
    groups = {key: [(_rows(table, *key), truth) for table, truth in cubes] for key in keys}
    tuned = {
        key: _turn(some, Selection(*map(int, key)), Calibration(), calibrated) for key, some in groups.items()
    }
    best = sorted(tuned, key=lambda key: tuned[key].score, reverse=True)[:finalists]
    for key, _ in itertools.product(best if calibrated else [], range(1, rounds)):
        tuned[key] = _turn(groups[key], tuned[key].selection, tuned[key].calibration, calibrated)
    return max(tuned.values(), key=lambda one: one.score)


def _rows(table: pd.DataFrame, finder: int, dilation: int) -> pd.DataFrame:
    return table[(table["finder"] == finder) & (table["dilation"] == dilation)]


def _turn(cubes: Sequence[Found], start: Selection, calibration: Calibration, calibrated: bool) -> Tuned:
    """The best selection with a calibration, and then the best calibration of that selection."""
    matches = [match_sdc2(to_sdc2(rows, calibration), truth) for rows, truth in cubes]
    choices = _choices([rows for rows, _ in cubes], start)
    scores = [sum(map(score_subset, matches, chosen)) for chosen, _ in choices]
    chosen, selection = choices[int(np.argmax(scores))]
    best = Tuned(selection, calibration, max(scores))
    if not calibrated:
        return best
    some = [(rows[index], truth) for (rows, truth), index in zip(cubes, chosen, strict=True)]
    tried = _calibrated(some, calibration)
    gained = sum(score_subset(match_sdc2(to_sdc2(rows, tried), truth)) for rows, truth in some)
    return Tuned(selection, tried, gained) if gained > best.score else best


def _calibrated(cubes: Sequence[Found], calibration: Calibration) -> Calibration:
    """Constants that serve the matched rows best, if they match the same galaxies as before."""
    pairs = [_pairs(rows, truth, calibration) for rows, truth in cubes]
    measured, real = ({k: np.concatenate([p[i][k] for p in pairs]) for k in pairs[0][i]} for i in (0, 1))
    shares, beam = np.concatenate([p[2] for p in pairs]), cubes[0][1].field.beam
    best, highest = calibration, -np.inf
    for name, value in ((name, value) for name, values in GRID.items() for value in values):
        tried = replace(best, **{name: value})
        scores = attribute_scores(calibrate(measured, tried), real, beam)
        score = float((np.nansum(scores, axis=1) / shares).sum())
        if score > highest:
            best, highest = tried, score
    return best


def _pairs(
    rows: pd.DataFrame, truth: PreparedSdc2Truth, calibration: Calibration
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Measured and true columns of the matched rows, and how many rows share each one's galaxy."""
    match = match_sdc2(to_sdc2(rows, calibration), truth)
    measured = {str(name): values.to_numpy() for name, values in rows[match.accepted].items()}
    real = {name: values[match.truth[match.accepted]] for name, values in truth.columns.items()}
    return measured, real, match.shares[match.accepted]


def score_subset(match: Sdc2Match, index: np.ndarray | slice = slice(None)) -> float:
    """Official score of some of a match's rows, whose ids differ."""
    group, accepted = match.group[index], match.accepted[index]
    shares = np.bincount(group[match.kept[index]], minlength=group.max(initial=0) + 1)
    worth = match.worth[index][accepted] / shares[group[accepted]]
    return float(worth.sum() - (len(accepted) - accepted.sum()))


def _promising(sources: Sources, beam_area: float) -> pd.DataFrame:
    """Positive sources that any selection may take, with significance and reliabilities."""
    snr = significance(sources.table, beam_area)
    rows = np.flatnonzero((sources.table["sum"] > 0) & (snr >= SIGNIFICANCES[0]))
    sure = {f"reliability_{kernel}": reliability(sources.table, rows, kernel) for kernel in KERNELS}
    table = pd.DataFrame({"row": rows, "significance": snr[rows]} | sure)
    # What is hardly reliable by any kernel needs no parameters, unless it stands out by itself.
    return table[(table[list(sure)].max(axis=1) >= RELIABILITIES[1]) | (table["significance"] >= LOUD)]


def _choices(tables: Sequence[pd.DataFrame], start: Selection) -> list[tuple[list[np.ndarray], Selection]]:
    """All selections of one finder's and dilation's rows in each cube, each set of rows once."""
    found: dict[bytes, tuple[list[np.ndarray], Selection]] = {}
    loud = [rows["significance"].to_numpy() for rows in tables]
    for kernel in KERNELS:
        sure = [rows[f"reliability_{kernel}"].to_numpy() for rows in tables]
        for least, snr in itertools.product(RELIABILITIES, SIGNIFICANCES):
            chosen = [(r >= least) & (s >= snr) for r, s in zip(sure, loud, strict=True)]
            selection = replace(start, kernel=kernel, reliability=float(least), significance=float(snr))
            found.setdefault(b" ".join(map(np.ndarray.tobytes, chosen)), (chosen, selection))
    return list(found.values())

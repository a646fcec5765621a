"""Thresholds by groups: the least score of each prior and each frequency bin that serves the official score.

What a row adds to the score is its match score if it is a match and -1 if it is not (`thresholds`). The
threshold of a group is where the sum of that, over its rows of falling confidence, is highest; a group of
few rows leans on all others. Whether groups, or any tuning, are worth it is decided on rows that they were
not tuned on, where they have to gain more than chance does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skadetect.errors import ConfigError, InputError
from skadetect.evaluate.sdc1 import Sdc1Match
from skadetect.evaluate.sdc2 import Sdc2Match
from skadetect.evaluate.thresholds import row_gains

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TuneOptions:
    """How thresholds are tuned.

    Attributes
    ----------
    lowest : float
        Least score that is looked at.
    edges : tuple of float
        Borders of the frequency bins in Hz, rising; none for one bin.
    strength : float
        Rows of all groups that each group's own are joined by: the more, the more alike are the groups.
    folds : int
        Parts of the field, each scored at thresholds that were tuned on the others.
    purity : float
        Least purity of what a threshold keeps.
    sigmas : float
        Standard deviations by which a tuning has to gain over the given threshold on rows it has not seen.
    """

    lowest: float = 0.15
    edges: tuple[float, ...] = ()
    strength: float = 100.0
    folds: int = 4
    purity: float = 0.0
    sigmas: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.lowest < 1.0 or self.strength < 0.0 or self.folds < 2:
            raise ConfigError(f"{self}: expected lowest in (0, 1), strength >= 0 and folds >= 2")
        if any(b <= a for a, b in zip(self.edges, self.edges[1:])) or len(self.edges) == 1:
            raise ConfigError(f"edges are {self.edges}, expected rising frequencies, two or more")


@dataclass(frozen=True)
class Thresholds:
    """Least score of each group.

    Attributes
    ----------
    values : tuple of tuples of float
        One row a prior, in it one value a frequency bin.
    edges : tuple of float
        Borders of the bins, Hz; empty for one bin. Frequencies beyond belong to the first or last bin.
    """

    values: tuple[tuple[float, ...], ...]
    edges: tuple[float, ...] = ()

    @classmethod
    def single(cls, value: float) -> Thresholds:
        """One threshold for all rows."""
        return cls(((float(value),),))

    @property
    def lowest(self) -> float:
        """The least of all."""
        return min(min(row) for row in self.values)

    def keep(
        self, score: ArrayLike, prior: ArrayLike, frequency: ArrayLike | None = None
    ) -> NDArray[np.bool_]:
        """Which rows reach their threshold.

        Parameters
        ----------
        score, prior : array (n,)
            Confidence, and number of the prior; priors beyond the last one tuned count as that.
        frequency : array (n,), optional
            Hz; needed where there are bins.
        """
        table = np.asarray(self.values, np.float64)
        row = np.clip(np.asarray(prior, np.int64), 0, len(table) - 1)
        if table.shape[1] > 1 and frequency is None:
            raise InputError("the thresholds depend on frequency; expected the rows' frequencies")
        return np.asarray(score, np.float64) >= table[row, frequency_bin(frequency, self.edges, len(row))]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"values": [list(row) for row in self.values], "edges": list(self.edges)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Thresholds:
        """Inverse of `to_dict`."""
        return cls(tuple(tuple(map(float, row)) for row in data["values"]), tuple(map(float, data["edges"])))


@dataclass(frozen=True)
class Tuned:
    """Result of a tuning.

    Attributes
    ----------
    thresholds : Thresholds
        The best kind of those below, tuned on all rows.
    kind : str
        "given", "single" or "groups".
    scores : dict of str to float
        Score of each kind on the rows given: "given" at the threshold to compare with.
    held_out : dict of str to float
        The same, each part of the field at thresholds tuned on the others: by these the kind is chosen.
    """

    thresholds: Thresholds
    kind: str
    scores: dict[str, float]
    held_out: dict[str, float]


@dataclass(frozen=True)
class Candidates:
    """Rows to tune on, as columns of a submission that was matched.

    Attributes
    ----------
    score, prior : array (n,)
        Of each row of the submission as it was given.
    part : array (n,) of int
        Part of the field that a row lies in, for the folds.
    frequency : array (n,), optional
        Hz.
    """

    score: Floats
    prior: Ints
    part: Ints
    frequency: Floats | None = None


Match = Sdc1Match | Sdc2Match


def tune_thresholds(
    fields: Sequence[tuple[Match, Candidates]], *, given: float, options: TuneOptions | None = None
) -> Tuned:
    """Tune thresholds on matched submissions.

    Parameters
    ----------
    fields : sequence of (match, Candidates)
        Of each field a submission with all rows down to a low score, matched to the field's truth.
    given : float
        The threshold to compare with, the model's own.
    options : TuneOptions, optional

    Returns
    -------
    Tuned
    """
    options = options or TuneOptions()
    n_priors = 1 + max((int(rows.prior.max(initial=0)) for _, rows in fields), default=0)
    shape = (n_priors, max(1, len(options.edges) - 1))
    data, part = _gathered(fields, shape, options)
    found = _tables(data, shape, given, options)
    scores = {name: data.total(table) for name, table in found.items()}
    kept = {name: np.zeros(len(part), bool) for name in found}
    for fold in range(options.folds):
        for name, limits in _tables(data.take(part != fold), shape, given, options).items():
            kept[name][part == fold] = data.take(part == fold).reach(limits)
    held = {name: float(data.gain[rows].sum()) for name, rows in kept.items()}
    kind = _worthwhile(kept, data.gain, options.sigmas)
    table = tuple(tuple(map(float, row)) for row in found[kind])
    return Tuned(Thresholds(table, options.edges), kind, scores, held)


def _tables(data: _Rows, shape: tuple[int, int], given: float, options: TuneOptions) -> dict[str, Floats]:
    """Thresholds of each kind, the simplest kind first."""
    return {
        "given": np.full(shape, given),
        "single": np.full(shape, _best(data.curves(_grid(options)), given, options)),
        "groups": _grouped(data, shape, given, options),
    }


def _worthwhile(kept: Mapping[str, NDArray[np.bool_]], gain: Floats, sigmas: float) -> str:
    """The kind that gains most, of those that gain more than rows judged otherwise would by chance."""
    best, most = "given", 0.0
    for name, rows in kept.items():
        differing = gain[rows != kept["given"]]
        more = float(gain[rows].sum() - gain[kept["given"]].sum())
        if more > max(most, sigmas * float(np.sqrt((differing**2).sum()))):
            best, most = name, more
    return best


def _gathered(
    fields: Sequence[tuple[Match, Candidates]], shape: tuple[int, int], options: TuneOptions
) -> tuple[_Rows, Ints]:
    """The scored rows of all fields, and which fold each belongs to."""
    parts = []
    for number, (match, rows) in enumerate(fields):
        bins = frequency_bin(rows.frequency, options.edges, len(rows.prior))
        group = np.ravel_multi_index((rows.prior, bins), shape)[match.row]
        fold = (rows.part[match.row] + number) % options.folds
        parts.append((rows.score[match.row], group, *row_gains(match, rows.score), fold))
    score, group, gain, matched, fold = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Rows(score, group, gain, matched), fold


def frequency_bin(frequency: ArrayLike | None, edges: tuple[float, ...], n: int) -> Ints:
    """Number of each row's bin, (n,); 0 without bins."""
    if frequency is None or len(edges) < 3:
        return np.zeros(n, np.int64)
    return np.clip(np.searchsorted(edges, np.asarray(frequency), side="right") - 1, 0, len(edges) - 2)


@dataclass(frozen=True)
class _Rows:
    """Scored rows: confidence, group, change of the score as each joins, and of the count of matches."""

    score: Floats
    group: Ints
    gain: Floats
    matched: Floats

    def take(self, index: NDArray[np.bool_]) -> _Rows:
        return _Rows(self.score[index], self.group[index], self.gain[index], self.matched[index])

    def reach(self, table: Floats) -> NDArray[np.bool_]:
        """Which rows reach their group's threshold."""
        reached: NDArray[np.bool_] = self.score >= table.ravel()[self.group]
        return reached

    def total(self, table: Floats) -> float:
        """Score of those."""
        return float(self.gain[self.reach(table)].sum())

    def curves(self, grid: Floats) -> tuple[Floats, Floats, Floats]:
        """Score, rows and matches at each threshold of a rising grid, each (len(grid),)."""
        index = np.searchsorted(grid, self.score, side="right") - 1
        seen = index >= 0
        sums = [
            np.bincount(index[seen], values[seen], len(grid))
            for values in (self.gain, np.ones(len(self.score)), self.matched)
        ]
        gain, count, matched = (np.cumsum(part[::-1])[::-1].astype(np.float64) for part in sums)
        return gain, count, matched


def _grid(options: TuneOptions) -> Floats:
    return np.round(np.arange(options.lowest, 0.995, 0.005), 6)


def _best(curves: tuple[Floats, Floats, Floats], given: float, options: TuneOptions) -> float:
    """The threshold of the highest score among those pure enough; of equal ones the nearest to `given`."""
    gain, count, matched = curves
    pure = matched >= options.purity * count
    allowed = np.where(pure, gain, -np.inf) if pure.any() else gain
    equal = _grid(options)[allowed >= allowed.max() - 1e-9 * max(1.0, abs(float(allowed.max())))]
    return float(equal[np.argmin(np.abs(equal - given))])


def _grouped(data: _Rows, shape: tuple[int, int], given: float, options: TuneOptions) -> Floats:
    """Each group's threshold from its own rows, joined by a few of all groups."""
    grid = _grid(options)
    pooled = data.curves(grid)
    weight = options.strength / max(len(data.score), 1)
    table = np.empty(shape)
    for number in range(table.size):
        own = data.take(data.group == number).curves(grid)
        gain, count, matched = (mine + weight * every for mine, every in zip(own, pooled, strict=True))
        table.flat[number] = _best((gain, count, matched), given, options)
    return table

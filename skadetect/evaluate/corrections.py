"""What to submit for what was measured: the answers that score best, by signal to noise and size.

A score has its own idea of an error, and a row that finds no truth within its own size costs a point: so the
values of the highest expected score are not quite those measured. For each quantity some factors (or, of
classes, values) are tried on all rows of fields whose truth is known, the submission is matched anew, and in
each cell of signal to noise and size the best one is taken. A quantity is corrected only if that raises the
score of rows that it was not tuned on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skadetect.evaluate.sdc1 import Sdc1Match
from skadetect.evaluate.sdc2 import Sdc2Match

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Match = Sdc1Match | Sdc2Match

_FACTORS = tuple(np.round(np.exp(np.linspace(-0.24, 0.24, 9)), 4).tolist())
_SIZES = (0.85, 0.92, 1.0, 1.1, 1.25, 1.45, 1.8, 2.3, 3.0, 4.0, 5.5)
#: What is tried for each quantity of a challenge, in this order; "value" replaces, "factor" multiplies.
TRIED: dict[str, dict[str, tuple[str, tuple[float, ...]]]] = {
    "sdc1": {
        "b_maj": ("factor", _SIZES),
        "flux": ("factor", _FACTORS),
        "b_min": ("factor", (0.7, *_SIZES[:9])),
        "class": ("value", (1.0, 2.0, 3.0)),
        "core_frac": ("value", (0.0, 0.0375, 0.07, 0.75)),
    },
    "sdc2": {
        "line_flux_integral": ("factor", _FACTORS),
        "hi_size": ("factor", _SIZES[:8]),
        "w20": ("factor", _FACTORS),
    },
}
#: Points of the score below which a correction is not worth its name.
LEAST_GAIN = 0.5
#: Quantiles between which cells lie, of signal to noise and of size.
_CELLS = (8, 6)


@dataclass(frozen=True)
class Rows:
    """Rows of one field that reach their thresholds.

    Attributes
    ----------
    submission : DataFrame (n rows)
        In the challenge's columns.
    snr, size : array (n,)
        Signal to noise and measured size (arcsec), by which cells are told apart.
    part : array (n,) of int
        Part of the field, for the folds.
    match : callable
        Matches a submission to the field's truth.
    """

    submission: pd.DataFrame
    snr: Floats
    size: Floats
    part: Ints
    match: Callable[[pd.DataFrame], Match]


@dataclass(frozen=True)
class Corrections:
    """Tables of what to submit.

    Attributes
    ----------
    snr, size : tuple of float
        Inner borders of the cells.
    tables : mapping of str to ("factor" or "value", rows of numbers)
        By column of the submission: one row a cell of signal to noise, one number a cell of size.
    """

    snr: tuple[float, ...] = ()
    size: tuple[float, ...] = ()
    tables: Mapping[str, tuple[str, tuple[tuple[float, ...], ...]]] | None = None

    def apply(self, submission: pd.DataFrame, snr: ArrayLike, size: ArrayLike) -> pd.DataFrame:
        """The submission with corrected columns.

        Parameters
        ----------
        submission : DataFrame (n rows)
        snr, size : array (n,)
            As in `Rows`.
        """
        cell = self._cell(np.asarray(snr, np.float64), np.asarray(size, np.float64))
        columns = {
            name: _changed(submission[name], kind, np.asarray(table).ravel()[cell])
            for name, (kind, table) in (self.tables or {}).items()
        }
        return submission.assign(**columns)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        tables = {name: [kind, list(map(list, table))] for name, (kind, table) in (self.tables or {}).items()}
        return {"snr": list(self.snr), "size": list(self.size), "tables": tables}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Corrections:
        """Inverse of `to_dict`."""
        tables = {
            name: (kind, tuple(tuple(map(float, row)) for row in table))
            for name, (kind, table) in data["tables"].items()
        }
        return cls(tuple(data["snr"]), tuple(data["size"]), tables)

    def _cell(self, snr: Floats, size: Floats) -> Ints:
        row, column = (np.searchsorted(edges, x) for edges, x in ((self.snr, snr), (self.size, size)))
        return np.asarray(row * (len(self.size) + 1) + column, np.int64)


def tune_corrections(
    fields: Sequence[Rows], challenge: str, *, strength: float = 100.0, folds: int = 4
) -> tuple[Corrections, dict[str, float]]:
    """Find the answers that score best.

    Parameters
    ----------
    fields : sequence of Rows
    challenge : str
        "sdc1" or "sdc2".
    strength : float
        Rows of all cells that each cell's own are joined by.
    folds : int
        Parts, each scored with tables tuned on the others.

    Returns
    -------
    Corrections
    dict of str to float
        By column what its correction adds to the score of rows that it was not tuned on; columns that are
        not worth it have none.
    """
    snr, size = (np.concatenate([getattr(rows, name) for rows in fields]) for name in ("snr", "size"))
    inner = [np.linspace(0.0, 1.0, count + 1)[1:-1] for count in _CELLS]
    edges = [np.unique(np.quantile(x, q)).tolist() if len(x) else [] for x, q in zip((snr, size), inner)]
    found = Corrections(tuple(edges[0]), tuple(edges[1]), {})
    cell, part = found._cell(snr, size), np.concatenate([rows.part for rows in fields]) % folds
    shape = (len(edges[0]) + 1, len(edges[1]) + 1)
    gains = {}
    for name, (kind, tried) in TRIED[challenge].items():
        worth = _worth(fields, found, name, kind, tried)
        plain = _worth(fields, found, name, "factor", (1.0,))[:, 0]
        held = sum(
            worth[part == fold, _chosen(worth, cell, part != fold, shape, strength)[cell[part == fold]]].sum()
            for fold in range(folds)
        )
        if held > plain.sum() + LEAST_GAIN:
            gains[name] = float(held - plain.sum())
            best = np.asarray(tried)[_chosen(worth, cell, part >= 0, shape, strength)].reshape(shape)
            table = tuple(tuple(map(float, row)) for row in best)
            found = Corrections(found.snr, found.size, {**(found.tables or {}), name: (kind, table)})
    return found, gains


def _worth(
    fields: Sequence[Rows], found: Corrections, name: str, kind: str, tried: Sequence[float]
) -> Floats:
    """What each row adds to the score with each answer, (n, tried)."""
    columns = []
    for value in tried:
        parts = []
        for rows in fields:
            given = found.apply(rows.submission, rows.snr, rows.size)
            changed = given.assign(**{name: _changed(given[name], kind, np.full(len(given), value))})
            match = rows.match(changed)
            worth = np.zeros(len(given))
            shares = np.maximum(match.shares, 1) if isinstance(match, Sdc2Match) else 1
            worth[match.row] = np.where(match.accepted, match.worth / shares, -1.0)
            parts.append(worth)
        columns.append(np.concatenate(parts))
    return np.stack(columns, axis=1)


def _chosen(
    worth: Floats, cell: Ints, seen: NDArray[np.bool_], shape: tuple[int, int], strength: float
) -> Ints:
    """The best answer of each cell, from its own rows joined by a few of all."""
    mean = worth[seen].mean(axis=0) if seen.any() else np.zeros(worth.shape[1])
    sums = np.stack(
        [np.bincount(cell[seen], column, shape[0] * shape[1]) for column in worth[seen].T], axis=1
    )
    return np.argmax(sums + strength * mean, axis=1)


def _changed(values: pd.Series, kind: str, numbers: Floats) -> Any:
    if kind == "factor":
        return values.to_numpy(np.float64) * numbers
    return numbers.astype(values.to_numpy().dtype)

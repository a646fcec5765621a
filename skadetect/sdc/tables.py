"""Tables of the challenges in whatever form they come, and what of them thresholds need."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from astropy.table import QTable

from skadetect.catalog.catalog import Catalog
from skadetect.errors import InputError

#: What a step takes: our catalogue, a table with the challenge's columns, or a file.
Table: TypeAlias = pd.DataFrame | QTable | Catalog | str | os.PathLike[str]


@dataclass(frozen=True)
class Confidence:
    """Columns of the rows of a submission, each (n,): score, prior and, in cubes, frequency in Hz.

    Signal to noise and measured size (arcsec) say which correction a row has.
    """

    score: np.ndarray
    prior: np.ndarray
    frequency: np.ndarray | None
    snr: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, table: Any, ids: np.ndarray) -> Confidence:
        """Look up rows by their ids; a column that is not there is 1 (the score), 0 or none.

        The probability stands for the score where it is known: it is what a threshold is of.

        Raises
        ------
        InputError
            The table has no column of ids.
        """
        names = list(getattr(table, "colnames", None) or getattr(table, "columns", []))
        key = next((name for name in ("source_id", "id") if name in names), None)
        if key is None:
            raise InputError("the table has no column id; expected one that numbers its rows")
        index = pd.Index(_values(table, key).astype(np.int64)).get_indexer(pd.Index(ids))

        def column(name: str, default: float) -> np.ndarray:
            return _values(table, name)[index] if name in names else np.full(len(ids), default)

        frequency = next((name for name in ("freq", "central_freq") if name in names), None)
        score, prob = column("score", 1.0), column("prob", np.nan)
        return cls(
            np.where(np.isfinite(prob), prob, score).astype(np.float64),
            column("prior", 0).astype(np.int64),
            None if frequency is None else column(frequency, np.nan).astype(np.float64),
            column("snr", 0.0).astype(np.float64),
            column("bmaj_deconv" if "bmaj_deconv" in names else "hi_size", 0.0).astype(np.float64),
        )

    def take(self, index: np.ndarray) -> Confidence:
        """Some of the rows."""
        frequency = None if self.frequency is None else self.frequency[index]
        return Confidence(self.score[index], self.prior[index], frequency, self.snr[index], self.size[index])


def strips(values: np.ndarray, count: int) -> np.ndarray:
    """Number of the strip, 0 to count - 1, that each value falls into; all hold about as many."""
    if not len(values):
        return np.zeros(0, np.int64)
    edges = np.quantile(values, np.linspace(0.0, 1.0, count + 1)[1:-1])
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def _values(table: Any, name: str) -> np.ndarray:
    column = table[name]
    values = np.asarray(getattr(column, "value", column))
    return values.astype(values.dtype.newbyteorder("="), copy=False)

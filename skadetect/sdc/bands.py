"""Several bands of SDC1 as one: a source that two maps show has the best shape that either gives it.

The maps overlap: that of 1400 MHz lies in that of 560 MHz, with two and a half times its resolution, and that
of 9200 MHz in both. Sizes and angles are those of the source, whatever the band; fluxes stay each band's own.
And a row that is doubtful in one map is not if another one shows the same source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skadetect.errors import ConfigError, InputError
from skadetect.evaluate.match import chord, unit_vectors

#: Restoring beam of each band, FWHM in arcsec.
BEAM = {560: 1.5, 1400: 0.60, 9200: 0.0913}
_SHAPE = ("b_maj", "b_min", "pa", "size")
_PLACE = ("ra_core", "dec_core", "ra_cent", "dec_cent")


@dataclass(frozen=True)
class BandOptions:
    """How bands are joined.

    Attributes
    ----------
    radius : float
        Largest distance of a source in two maps, in beams (FWHM) of the coarser one.
    confirmed : float
        Least score of a row that another band confirms.
    flux_ratio : float
        Largest ratio of two bands' fluxes, either way, each octave of frequency between them.
    """

    radius: float = 0.4
    confirmed: float = 0.2
    flux_ratio: float = 3.0

    def __post_init__(self) -> None:
        if not self.radius > 0 or not 0 < self.confirmed < 1 or not self.flux_ratio > 1:
            raise ConfigError(f"{self}: expected radius > 0, confirmed in (0, 1) and flux_ratio > 1")


def combine_bands(
    tables: Mapping[int, pd.DataFrame], *, options: BandOptions | None = None
) -> dict[int, pd.DataFrame]:
    """Join catalogues of several bands, row by row.

    Parameters
    ----------
    tables : mapping of int to DataFrame
        By band (MHz), rows in the columns of SDC1 with `snr` (peak over noise), `score` and `kept`: whether a
        row is worth keeping by itself. One that is not needs another band and a score of `confirmed`. See
        `skadetect.sdc.Sdc1.candidates`.
    options : BandOptions, optional

    Returns
    -------
    dict of int to DataFrame
        By band, the rows kept, with their columns and one more, `bands`: in how many bands the source was
        seen. `id` is the same in all bands that show a source, and unique within each.

    Raises
    ------
    ConfigError
        A band is unknown.
    InputError
        A table lacks a column.
    """
    options = options or BandOptions()
    freqs = sorted(tables)
    _check(tables, freqs)
    whole = [tables[freq].reset_index(drop=True) for freq in freqs]
    source = _sources(whole, freqs, options)
    seen = np.bincount(np.concatenate(source)) if source else np.zeros(0, int)
    best = _best(whole, freqs, source)
    found = {}
    for number, freq in enumerate(freqs):
        rows = whole[number].assign(bands=seen[source[number]], id=source[number] + 1)
        for names, origin in ((_SHAPE, best["shape"]), (_PLACE, best["place"])):
            rows = _taken(rows, source[number], names, origin)
        confirmed = (rows["bands"] > 1) & (rows["score"] >= options.confirmed)
        found[freq] = rows[rows["kept"] | confirmed].reset_index(drop=True)
    return found


def _check(tables: Mapping[int, pd.DataFrame], freqs: Sequence[int]) -> None:
    unknown = [freq for freq in freqs if freq not in BEAM]
    if unknown:
        raise ConfigError(f"band {unknown[0]}, expected some of {', '.join(map(str, BEAM))} (MHz)")
    needed = [*_SHAPE, *_PLACE, "flux", "snr", "score", "kept"]
    for freq in freqs:
        missing = [name for name in needed if name not in tables[freq]]
        if missing:
            raise InputError(f"the table of {freq} MHz lacks the columns {', '.join(missing)}")


def _sources(
    tables: Sequence[pd.DataFrame], freqs: Sequence[int], options: BandOptions
) -> list[NDArray[np.int64]]:
    """Number of the source that each row of each band shows: rows that are each other's nearest are one."""
    source: list[NDArray[np.int64]] = []
    count = 0
    for number, (table, freq) in enumerate(zip(tables, freqs, strict=True)):
        mine = np.full(len(table), -1)
        for before in range(number - 1, -1, -1):
            radius = options.radius * BEAM[freqs[before]]
            limit = options.flux_ratio ** np.log2(freq / freqs[before])
            rows, others = _pairs(table, tables[before], radius)
            ratio = table["flux"].to_numpy()[rows] / tables[before]["flux"].to_numpy()[others]
            alike = (ratio < limit) & (ratio > 1.0 / limit) & (mine[rows] < 0)
            alike &= ~np.isin(source[before][others], mine[mine >= 0])
            mine[rows[alike]] = source[before][others[alike]]
        new = mine < 0
        mine[new] = count + np.arange(int(new.sum()))
        count += int(new.sum())
        source.append(mine)
    return source


def _pairs(
    table: pd.DataFrame, other: pd.DataFrame, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of two tables that are each other's nearest, within a radius in arcsec."""
    points = [
        unit_vectors(one["ra_core"].to_numpy(np.float64), one["dec_core"].to_numpy(np.float64))
        for one in (table, other)
    ]
    if not len(table) or not len(other):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    trees = [cKDTree(one) for one in points]
    apart, nearest = trees[1].query(points[0], distance_upper_bound=chord(radius))
    _, back = trees[0].query(points[1])
    rows = np.flatnonzero(np.isfinite(apart))
    rows = rows[back[nearest[rows]] == rows]
    return rows.astype(np.int64), nearest[rows].astype(np.int64)


def _best(
    tables: Sequence[pd.DataFrame], freqs: Sequence[int], source: Sequence[NDArray[np.int64]]
) -> dict[str, pd.DataFrame]:
    """Of each source the row with the least error of its shape, and that with the least of its position."""
    parts: list[dict[str, Any]] = []
    for table, freq, number in zip(tables, freqs, source, strict=True):
        size = np.maximum(table["b_maj"].to_numpy(np.float64), 1e-3)
        snr = np.maximum(table["snr"].to_numpy(np.float64), 1e-3)
        wide = np.hypot(size, BEAM[freq])
        # relative error of an axis without the beam, and error of a position (Condon 1997)
        columns = {name: table[name].to_numpy() for name in (*_SHAPE, *_PLACE)}
        errors = {"shape": (wide / size) ** 2 / snr, "place": wide / snr}
        parts.append({"source": number, **errors, **columns})
    rows = pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)
    found = {}
    for name in ("shape", "place"):
        order = rows.sort_values(["source", name], kind="stable")
        found[name] = order.drop_duplicates("source").set_index("source").sort_index()
    return found


def _taken(
    rows: pd.DataFrame, source: NDArray[np.int64], names: Sequence[str], best: pd.DataFrame
) -> pd.DataFrame:
    """Rows with some columns of the best row of their source."""
    return rows.assign(**{name: best[name].to_numpy()[source] for name in names})

"""The official score of the first SKA Science Data Challenge, vectorised.

Counts equal those of ska-sdc 2.0.0 and scores agree to rounding. A truth list of millions of rows is prepared
once (`PreparedTruth`) and serves any number of submissions; a submission is matched once (`match_sdc1`) and
its rows then score at any threshold (`skadetect.evaluate.thresholds`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skadetect.catalog.sdc1 import SDC1_COLUMNS, read_sdc1
from skadetect.errors import ConfigError, InputError
from skadetect.evaluate.sdc1_attributes import (
    ATTRIBUTES,
    Floats,
    attribute_scores,
    convolved_size,
    pair_distance,
    separation_arcsec,
)
from skadetect.evaluate.sky_pairs import FAST_TREE

#: Training box of each band (MHz): RA minimum and maximum, Dec minimum and maximum, in degrees.
TRAINING_BOX = {
    560: (-0.6723, 0.0, -29.9400, -29.4061),
    1400: (-0.2688, 0.0, -29.9400, -29.7265),
    9200: (-0.04092, 0.0, -29.9400, -29.9074),
}
#: A pair nearer than this is a match.
ACCEPTED_DISTANCE = 5.0

Catalogue = pd.DataFrame | str | os.PathLike[str]
_CHUNK = 50_000  # rows matched at a time, which bounds the memory of candidate lists


@dataclass(frozen=True)
class Sdc1Score:
    """Result of a scoring: `score` is the official one, `attributes` the mean of each over the matches."""

    score: float
    score_det: float
    n_det: int
    n_match: int
    n_bad: int
    n_false: int
    n_truth: int
    attributes: dict[str, float]

    @property
    def accuracy(self) -> float:
        """Mean match score in per cent."""
        return 100.0 * self.mean_attribute

    @property
    def mean_attribute(self) -> float:
        """Mean match score, 0 to 1 (0 without a match)."""
        return self.score_det / self.n_match if self.n_match else 0.0

    @property
    def purity(self) -> float:
        """Share of detections that are matches (0 without a detection)."""
        return self.n_match / self.n_det if self.n_det else 0.0


@dataclass(frozen=True)
class PreparedTruth:
    """A truth list cleaned, cut to the scored area and indexed, ready for any number of submissions.

    Attributes
    ----------
    columns : dict of arrays (n,)
        The SDC1 columns (degrees, Jy, arcsec).
    size : array (n,)
        Convolved size in arcsec.
    row : array (n,) int
        Row of the truth list as it was given.
    tree : cKDTree
        Of (RA, Dec) in degrees at the position of `mode`.
    freq, train, mode
        As given to `prepare`.
    """

    columns: dict[str, Floats]
    size: Floats
    row: NDArray[np.int64]
    tree: cKDTree
    freq: int
    train: bool | None
    mode: str

    @classmethod
    def prepare(
        cls, truth: Catalogue, *, freq: int = 560, train: bool | None = False, mode: str = "core"
    ) -> PreparedTruth:
        """Prepare a truth list (table or file) for band `freq` in MHz; `train` and `mode` as in `score_sdc1`.

        Raises
        ------
        ConfigError
            Unknown band or mode.
        InputError
            The catalogue cannot be read or lacks a column.
        """
        if freq not in TRAINING_BOX:
            raise ConfigError(f"freq is {freq}, expected one of {', '.join(map(str, TRAINING_BOX))} (MHz)")
        if mode not in ("core", "centroid"):
            raise ConfigError(f"mode is {mode!r}, expected 'core' or 'centroid'")
        columns = _prepare(truth, freq, train)
        tree = cKDTree(_points(columns, mode), **FAST_TREE)
        size, row = convolved_size(columns, _beam(freq)), columns["row"].astype(np.int64)
        return cls(columns, size, row, tree, freq, train, mode)

    def __len__(self) -> int:
        return len(self.size)


@dataclass(frozen=True)
class Sdc1Match:
    """A submission's rows, each with the truth it would be matched to on its own.

    Attributes
    ----------
    row : array (n,) int
        Row of the submission as it was given (preparation drops rows outside the scored area).
    truth : array (n,) int
        Index of the best candidate in the prepared truth, -1 where there is none.
    distance : array (n,)
        Distance to it; infinite without a candidate, NaN where the size type is unknown.
    scores : array (n, 7)
        Attribute scores against it, zero without an acceptable one.
    kept : array (n,) bool
        The row survives the sieve: of all rows that want its truth it is the nearest.
    n_truth : int
        Rows of the prepared truth.
    """

    row: NDArray[np.int64]
    truth: NDArray[np.int64]
    distance: Floats
    scores: Floats
    kept: NDArray[np.bool_]
    n_truth: int

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Rows that count as matches, shape (n,)."""
        return self.kept & (self.distance < ACCEPTED_DISTANCE)

    @property
    def worth(self) -> Floats:
        """Mean attribute score of each row, shape (n,)."""
        return np.asarray(np.nansum(self.scores, axis=1) / len(ATTRIBUTES))


def score_sdc1(
    sub: Catalogue,
    truth: Catalogue | PreparedTruth,
    *,
    freq: int = 560,
    train: bool | None = False,
    mode: str = "core",
) -> Sdc1Score:
    """Score a submission as the official package does.

    Parameters
    ----------
    sub, truth : DataFrame or path
        SDC1 catalogues; the truth may be prepared (its own freq, train and mode then hold).
    freq : int
        Band in MHz: 560, 1400 or 9200.
    train : bool or None
        Score inside the training box (True) or outside it (False, the official default); None scores every
        row, for fields that are not part of the challenge map.
    mode : str
        "core" or "centroid": the position that candidates are searched by.

    Returns
    -------
    Sdc1Score

    Raises
    ------
    ConfigError
        Unknown band or mode.
    InputError
        A catalogue cannot be read or lacks a column.
    """
    if not isinstance(truth, PreparedTruth):
        truth = PreparedTruth.prepare(truth, freq=freq, train=train, mode=mode)
    return score_match(match_sdc1(sub, truth))


def match_sdc1(sub: Catalogue, truth: PreparedTruth) -> Sdc1Match:
    """Match each row of a submission to its best candidate; raises InputError as `score_sdc1` does."""
    columns = _prepare(sub, truth.freq, truth.train)
    n = len(columns["id"])
    best, distance = np.full(n, -1), np.full(n, np.inf)
    for rows, candidates in _candidates(columns, truth):
        pairs_sub, pairs_truth = _take(columns, rows), _take(truth.columns, candidates)
        separation = separation_arcsec(pairs_sub, pairs_truth, _suffix(truth.mode))
        pair = pair_distance(pairs_sub, pairs_truth, truth.size[candidates], separation)
        first = _first_of_each(columns["id"][rows], pair)
        best[rows[first]], distance[rows[first]] = candidates[first], pair[first]
    near = distance < ACCEPTED_DISTANCE
    scores = np.zeros((n, len(ATTRIBUTES)))
    scores[near] = attribute_scores(_take(columns, near), _take(truth.columns, best[near]), _beam(truth.freq))
    return Sdc1Match(
        columns["row"].astype(np.int64),
        best,
        distance,
        scores,
        _sieve(columns, truth, best, distance),
        len(truth),
    )


def score_match(match: Sdc1Match) -> Sdc1Score:
    """Sum a match up into the official score."""
    accepted = match.accepted
    n_det, n_match = len(accepted), int(accepted.sum())
    n_bad = int((match.kept & (match.distance >= ACCEPTED_DISTANCE)).sum())
    scores = match.scores[accepted]
    total = float(np.nansum(scores) / len(ATTRIBUTES))
    means = dict(zip(ATTRIBUTES, (np.nansum(scores, axis=0) / max(n_match, 1)).tolist(), strict=True))
    final = total - (n_det - n_match) if n_match else 0.0
    return Sdc1Score(final, total, n_det, n_match, n_bad, n_det - n_match, match.n_truth, means)


def _beam(freq: int) -> float:
    return 0.25 / freq * 1400.0


def _suffix(mode: str) -> str:
    return "core" if mode == "core" else "cent"


def _points(columns: dict[str, Floats], mode: str) -> Floats:
    suffix = _suffix(mode)
    return np.stack([columns[f"ra_{suffix}"], columns[f"dec_{suffix}"]], axis=1)


def _take(columns: dict[str, Floats], index: NDArray[np.generic]) -> dict[str, Floats]:
    return {name: values[index] for name, values in columns.items()}


def _prepare(catalogue: Catalogue, freq: int, train: bool | None) -> dict[str, Floats]:
    """Drop the rows that the official scorer drops, in its order, and remember where the others came from."""
    table = catalogue if isinstance(catalogue, pd.DataFrame) else read_sdc1(catalogue, strict=False)
    missing = [name for name in SDC1_COLUMNS if name not in table.columns]
    if missing:
        raise InputError(
            f"SDC1 catalogue lacks the columns {', '.join(missing)}; expected {' '.join(SDC1_COLUMNS)}"
        )
    kept = np.flatnonzero(table[list(SDC1_COLUMNS)].notna().to_numpy().all(axis=1))
    for name in ("flux", "core_frac", "b_min", "b_maj"):
        values = table[name].to_numpy(dtype=np.float64)[kept]
        if (values < 0).any():
            kept = kept[values > 0]
    columns = {name: table[name].to_numpy(dtype=np.float64)[kept] for name in SDC1_COLUMNS}
    columns["row"] = kept.astype(np.float64)
    for name in ("ra_core", "ra_cent"):
        columns[name] = np.where(columns[name] > 180.0, columns[name] - 360.0, columns[name])
    if train is None:
        return columns
    ra_min, ra_max, dec_min, dec_max = TRAINING_BOX[freq]
    ra, dec = columns["ra_core"], columns["dec_core"]
    inside = (ra > ra_min) & (ra < ra_max) & (dec > dec_min) & (dec < dec_max)
    outside = (ra < ra_min) | (ra > ra_max) | (dec < dec_min) | (dec > dec_max)
    return _take(columns, inside if train else outside)


def _candidates(
    columns: dict[str, Floats], truth: PreparedTruth
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs (submission row, truth row) within the submission's convolved size, some rows at a time."""
    points, radius = _points(columns, truth.mode), convolved_size(columns, _beam(truth.freq)) / 3600.0
    # Rows of one id go into one chunk, because the sieve keeps one row an id.
    order = np.argsort(columns["id"], kind="stable")
    starts = np.arange(_CHUNK, len(order), _CHUNK)
    ids = columns["id"][order]
    starts = np.unique(np.searchsorted(ids, ids[starts], side="left")) if len(starts) else starts
    for rows in np.split(order, starts):
        if len(rows) and len(truth):
            found = truth.tree.query_ball_point(points[rows], radius[rows])
            counts = np.fromiter(map(len, found), np.int64, len(found))
            if counts.any():
                yield np.repeat(rows, counts), np.concatenate([np.asarray(f, np.int64) for f in found if f])


def _first_of_each(keys: Floats, distance: Floats) -> NDArray[np.int64]:
    """Index of the pair with the lowest distance for each key value (NaN counts as farthest)."""
    order = np.lexsort((distance, keys))
    ordered = keys[order]
    return order[np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])] if len(order) else order


def _sieve(
    columns: dict[str, Floats],
    truth: PreparedTruth,
    best: NDArray[np.int64],
    distance: Floats,
) -> NDArray[np.bool_]:
    """Keep, of all rows whose best candidate has one truth id, the nearest; losers get no second choice."""
    rows = np.flatnonzero(best >= 0)
    kept = np.zeros(len(best), bool)
    kept[rows[_first_of_each(truth.columns["id"][best[rows]], distance[rows])]] = True
    return kept

"""The official score of the second SKA Science Data Challenge, vectorised.

Counts equal those of ska-sdc 2.0.0 and scores agree to rounding. A truth list is prepared once
(`PreparedSdc2Truth`) and serves any number of submissions; a submission is matched once (`match_sdc2`) and
its rows then score at any threshold (`skadetect.evaluate.thresholds`). Cubes other than the challenge's are
scored by the same rules with a band, a field centre and a beam of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skadetect.catalog.challenge_text import require_columns
from skadetect.catalog.sdc2 import SDC2_COLUMNS
from skadetect.errors import ConfigError, InputError
from skadetect.evaluate.match import unit_vectors
from skadetect.evaluate.sdc2_attributes import (
    ATTRIBUTES,
    Bools,
    Floats,
    angular_distance,
    attribute_scores,
    convolved_size,
    line_width,
    pair_distance,
    plane_points,
    search_radius,
)
from skadetect.evaluate.sdc2_input import load_sdc2
from skadetect.evaluate.sky_pairs import SizedSources

Ints = NDArray[np.int64]

logger = logging.getLogger(__name__)

#: Frequencies in Hz strictly between which the challenge scores, its field centre (RA, Dec) in degrees and
#: the FWHM of its beam in arcsec.
BAND, CENTRE, BEAM = (0.95e9, 1.15e9), (180.0, -30.0), 7.0
#: A pair nearer than this is a match.
ACCEPTED_DISTANCE = 5.0


@dataclass(frozen=True)
class Sdc2Score:
    """Result of a scoring: `score` is the official one, `attributes` the mean of each over the matches.

    `n_duplicates` counts the rows whose nearest truth is also that of a nearer row: each divides what the
    truth is worth, and `score_det` is the sum after that.
    """

    score: float
    score_det: float
    n_det: int
    n_match: int
    n_bad: int
    n_false: int
    n_duplicates: int
    n_truth: int
    attributes: dict[str, float]

    @property
    def accuracy(self) -> float:
        """Mean match score in per cent, as officially reported: after the division among duplicates."""
        return 100.0 * self.score_det / self.n_match if self.n_match else 0.0

    @property
    def mean_attribute(self) -> float:
        """Mean match score before that division, 0 to 1 (0 without a match)."""
        return float(np.mean(list(self.attributes.values()))) if self.n_match else 0.0

    @property
    def purity(self) -> float:
        """Share of detections that are matches (0 without a detection)."""
        return self.n_match / self.n_det if self.n_det else 0.0


@dataclass(frozen=True)
class Sdc2Field:
    """What of a cube the rules of the challenge need to know; its own cube by default.

    Attributes
    ----------
    band : (float, float) or None
        Frequencies in Hz strictly between which sources count; None counts all.
    centre : (float, float) or None
        RA and Dec of the field in degrees, None for the middle of the truth. Only which pairs are candidates
        depends on it, and little as long as it is near.
    beam : float
        FWHM of the beam in arcsec.
    """

    band: tuple[float, float] | None = BAND
    centre: tuple[float, float] | None = CENTRE
    beam: float = BEAM

    def __post_init__(self) -> None:
        if self.band is not None and not self.band[0] < self.band[1]:
            raise ConfigError(f"band is {self.band}, expected two rising frequencies in Hz")
        if self.centre is not None and not (np.isfinite(self.centre[0]) and abs(self.centre[1]) <= 90.0):
            raise ConfigError(f"centre is {self.centre}, expected RA and Dec in degrees")
        if not 0.0 < self.beam < np.inf:
            raise ConfigError(f"beam is {self.beam:g} arcsec, expected a positive number")


@dataclass(frozen=True)
class PreparedSdc2Truth:
    """A truth list cut to the scored band and indexed, ready for any number of submissions.

    Attributes
    ----------
    columns : dict of arrays (n,)
        The SDC2 columns but the id (degrees, arcsec, Jy Hz, Hz, km/s).
    group : array (n,) int
        Number of each row's id; rows of one id are one source.
    size, width : arrays (n,)
        Convolved size in arcsec and line width in Hz.
    points : array (n, 3)
        Positions in Mpc, see `plane_points`.
    row : array (n,) int
        Row of the truth list as it was given.
    sources : SizedSources
        The sky, searched within the convolved sizes.
    centre : (float, float)
        From where they count, degrees.
    field : Sdc2Field
        As given to `prepare`.
    """

    columns: dict[str, Floats]
    group: Ints
    size: Floats
    width: Floats
    points: Floats
    row: Ints
    sources: SizedSources
    centre: tuple[float, float]
    field: Sdc2Field

    @classmethod
    def prepare(cls, truth: Any, field: Sdc2Field | None = None) -> PreparedSdc2Truth:
        """Prepare a truth list (table or file) of a field, by default of the challenge's cube.

        Raises
        ------
        InputError
            The catalogue cannot be read or lacks a column.
        """
        field = field or Sdc2Field()
        columns, row = _columns(truth)
        inside = _usable(columns, field)
        if len(row) and not inside.any():
            logger.warning("no true source lies in the band; cubes other than the challenge's need band=None")
        columns, row = _take(columns, inside), row[inside]
        group = pd.factorize(columns.pop("id"))[0].astype(np.int64)
        size = convolved_size(columns["hi_size"], field.beam)
        centre = field.centre or _middle(columns)
        points = plane_points(columns, centre, angular_distance(columns["central_freq"]))
        sources = SizedSources.build(columns["ra"], columns["dec"], size)
        return cls(columns, group, size, line_width(columns), points, row, sources, centre, field)

    def __len__(self) -> int:
        return len(self.size)


@dataclass(frozen=True)
class Sdc2Match:
    """A submission's rows, each with the truth that is nearest to it.

    Attributes
    ----------
    row : array (n,) int
        Row of the submission as it was given (rows with a blank value are dropped, as they are officially).
    identity : array (n,) int
        Number of its id: of rows of one id the scorer takes the nearest to its truth.
    truth : array (n,) int
        Index of the nearest candidate in the prepared truth, -1 where there is none.
    group : array (n,) int
        Number of that truth's id, -1 where there is none.
    distance : array (n,)
        Distance to it; infinite without a candidate, NaN where it is not defined.
    scores : array (n, 7)
        Attribute scores against it, zero without an acceptable one.
    kept : array (n,) bool
        The row has a candidate and is the nearest of its id.
    n_truth : int
        Rows of the prepared truth.
    """

    row: Ints
    identity: Ints
    truth: Ints
    group: Ints
    distance: Floats
    scores: Floats
    kept: Bools
    n_truth: int

    @property
    def accepted(self) -> Bools:
        """Rows that count as matches, shape (n,)."""
        return self.kept & (self.distance < ACCEPTED_DISTANCE)

    @property
    def nearest(self) -> Bools:
        """Rows, shape (n,), that are the nearest to their truth of all that have it: no duplicates."""
        kept = np.flatnonzero(self.kept)
        nearest = np.zeros(len(self.row), bool)
        nearest[kept[_nearest_of_each(self.group[kept], self.distance[kept])]] = True
        return nearest

    @property
    def worth(self) -> Floats:
        """Mean attribute score of each row, shape (n,), before it is divided among duplicates."""
        return np.asarray(np.nansum(self.scores, axis=1) / len(ATTRIBUTES))

    @property
    def shares(self) -> Ints:
        """Rows, shape (n,), that share each row's truth, itself counted; 0 where not `kept`."""
        counts = np.bincount(self.group[self.kept], minlength=self.n_truth + 1)
        return np.where(self.kept, counts[np.maximum(self.group, 0)], 0)


def score_sdc2(
    sub: Any,
    truth: Any,
    *,
    band: tuple[float, float] | None = BAND,
    centre: tuple[float, float] | None = CENTRE,
    beam: float = BEAM,
) -> Sdc2Score:
    """Score a submission as the official package does.

    Parameters
    ----------
    sub, truth : DataFrame, Table, Catalog or path
        Catalogues in the columns of SDC2, or of skadetect; the truth may be prepared (its own field then
        holds).
    band : (float, float) or None
        Frequencies in Hz strictly between which sources are matched; None matches all, for other cubes. Rows
        outside count as false detections.
    centre : (float, float) or None
        RA and Dec of the field in degrees; None takes the middle of the truth.
    beam : float
        FWHM of the beam in arcsec.

    Returns
    -------
    Sdc2Score

    Raises
    ------
    ConfigError
        A band, centre or beam that cannot be.
    InputError
        A catalogue cannot be read or lacks a column.
    """
    if not isinstance(truth, PreparedSdc2Truth):
        truth = PreparedSdc2Truth.prepare(truth, Sdc2Field(band, centre, beam))
    return score_sdc2_match(match_sdc2(sub, truth))


def match_sdc2(sub: Any, truth: PreparedSdc2Truth) -> Sdc2Match:
    """Match each row of a submission to its best candidate; raises InputError as `score_sdc2` does."""
    columns, row = _columns(sub)
    identity = pd.factorize(columns.pop("id"))[0].astype(np.int64)
    n = len(row)
    best, distance = np.full(n, -1), np.full(n, np.inf)
    for rows, candidates in _candidates(columns, truth):
        pair, near = pair_distance(
            _take(columns, rows), _take(truth.columns, candidates), truth.size[candidates],
            truth.width[candidates],
        )  # fmt: skip
        rows, candidates, pair = rows[near], candidates[near], pair[near]
        first = _nearest_of_each(rows, pair)
        best[rows[first]], distance[rows[first]] = candidates[first], pair[first]
    accepted = distance < ACCEPTED_DISTANCE
    scores = np.zeros((n, len(ATTRIBUTES)))
    pairs = _take(columns, accepted), _take(truth.columns, best[accepted])
    scores[accepted] = attribute_scores(*pairs, truth.field.beam)
    found = np.flatnonzero(best >= 0)
    kept = np.zeros(n, bool)
    kept[found[_nearest_of_each(identity[found], distance[found])]] = True
    group = np.full(n, -1)
    group[found] = truth.group[best[found]]
    return Sdc2Match(row, identity, best, group, distance, scores, kept, len(truth))


def score_sdc2_match(match: Sdc2Match) -> Sdc2Score:
    """Sum a match up into the official score."""
    accepted = match.accepted
    n_det, n_match = len(accepted), int(accepted.sum())
    n_bad = int((match.kept & (match.distance >= ACCEPTED_DISTANCE)).sum())
    total = float((match.worth[accepted] / match.shares[accepted]).sum())
    means = np.nansum(match.scores[accepted], axis=0) / max(n_match, 1)
    return Sdc2Score(
        score=total - (n_det - n_match),
        score_det=total,
        n_det=n_det,
        n_match=n_match,
        n_bad=n_bad,
        n_false=n_det - n_match,
        n_duplicates=int((match.kept & ~match.nearest).sum()),
        n_truth=match.n_truth,
        attributes=dict(zip(ATTRIBUTES, means.tolist(), strict=True)),
    )


def _take(columns: dict[str, Floats], index: NDArray[Any]) -> dict[str, Floats]:
    return {name: values[index] for name, values in columns.items()}


def _columns(catalogue: Any) -> tuple[dict[str, NDArray[Any]], Ints]:
    """The SDC2 columns of rows without a blank value, and where those rows were."""
    table = load_sdc2(catalogue)
    require_columns(table, SDC2_COLUMNS, "SDC2")
    known = table[list(SDC2_COLUMNS)].notna().to_numpy().all(axis=1)
    ids = table["id"].to_numpy()[known]
    columns = {"id": ids.astype(ids.dtype.newbyteorder("="), copy=False)}
    try:
        columns |= {name: table[name].to_numpy(dtype=np.float64)[known] for name in SDC2_COLUMNS[1:]}
    except (TypeError, ValueError) as error:
        raise InputError(f"SDC2 catalogue holds what is no number ({error})") from error
    return columns, np.flatnonzero(known)


def _usable(columns: dict[str, Floats], field: Sdc2Field) -> Bools:
    """Rows in the band, with a place in space."""
    frequency = columns["central_freq"]
    low, high = field.band or (-np.inf, np.inf)
    placed = np.isfinite(columns["ra"]) & np.isfinite(columns["dec"])
    return placed & (frequency > low) & (frequency < high) & np.isfinite(angular_distance(frequency))


def _middle(columns: dict[str, Floats]) -> tuple[float, float]:
    """Mean direction of sources, RA and Dec in degrees."""
    x, y, z = unit_vectors(columns["ra"], columns["dec"]).sum(axis=0)
    return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def _candidates(columns: dict[str, Floats], truth: PreparedSdc2Truth) -> Iterator[tuple[Ints, Ints]]:
    """Yield pairs (submission row, truth row) that the official search finds, some rows at a time.

    The pairs are all that lie within the truth's size on the sky, and some more, of those within the row's
    search radius in space.
    """
    rows = np.flatnonzero(_usable(columns, truth.field))
    inside = _take(columns, rows)
    distance = angular_distance(inside["central_freq"])
    points = plane_points(inside, truth.centre, distance)
    radius = search_radius(inside, convolved_size(inside["hi_size"], truth.field.beam), distance)
    for near, far in truth.sources.pairs(inside["ra"], inside["dec"]):
        apart = np.sqrt(((points[near] - truth.points[far]) ** 2).sum(axis=1))
        chosen = apart <= radius[near]
        yield rows[near[chosen]], far[chosen]


def _nearest_of_each(keys: Ints, distance: Floats) -> Ints:
    """Index of the lowest distance for each key value (NaN counts as farthest)."""
    order = np.lexsort((distance, keys))
    ordered = keys[order]
    return order[np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])] if len(order) else order

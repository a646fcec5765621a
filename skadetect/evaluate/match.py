"""One-to-one matches of two catalogues by position, on the sky or in pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skadetect._numba import JIT

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PositionMatch:
    """Which truth each detection is, if any.

    Attributes
    ----------
    truth : array (n,) int
        Index of the truth row, -1 for a false detection.
    distance : array (n,)
        Distance to it in the unit of the radius; infinite for a false detection.
    found : array (n_truth,) bool
        The truth rows that have a detection.
    """

    truth: NDArray[np.int64]
    distance: Floats
    found: NDArray[np.bool_]

    @property
    def matched(self) -> NDArray[np.bool_]:
        """Detections that have a truth, shape (n,)."""
        return self.truth >= 0


def match_positions(
    positions: Floats, truth_positions: Floats, radius: float, *, confidence: Floats | None = None
) -> PositionMatch:
    """Match points one to one within a radius.

    Parameters
    ----------
    positions, truth_positions : arrays (n, ndim) and (n_truth, ndim)
        Cartesian positions, for example pixels.
    radius : float
        Largest distance of a pair, inclusive, in the same unit.
    confidence : array (n,), optional
        Rows choose in falling confidence, each the nearest truth still free; without it the nearest pairs
        are joined first.

    Returns
    -------
    PositionMatch
    """
    n, n_truth = len(positions), len(truth_positions)
    truth, distance = np.full(n, -1, np.int64), np.full(n, np.inf)
    found = np.zeros(n_truth, bool)
    if n and n_truth:
        # An explicit zero distance is kept by the record output, not by a sparse matrix.
        tree = cKDTree(positions)
        pairs = tree.sparse_distance_matrix(cKDTree(truth_positions), radius, output_type="ndarray")
        rank = np.zeros(n) if confidence is None else -np.asarray(confidence, dtype=np.float64)
        order = np.lexsort((pairs["j"], pairs["i"], pairs["v"], rank[pairs["i"]]))
        _join(
            pairs["i"][order].astype(np.int64),
            pairs["j"][order].astype(np.int64),
            pairs["v"][order],
            truth,
            distance,
            found,
        )
    return PositionMatch(truth, distance, found)


def match_sky(
    sky: tuple[Floats, Floats],
    truth_sky: tuple[Floats, Floats],
    radius: float,
    *,
    confidence: Floats | None = None,
) -> PositionMatch:
    """Match sky positions one to one within a radius.

    Parameters
    ----------
    sky, truth_sky : tuples of two arrays (n,) and (n_truth,)
        Right ascension and declination in degrees, anywhere on the sphere.
    radius : float
        Largest separation in arcsec.
    confidence : array (n,), optional
        As in `match_positions`.

    Returns
    -------
    PositionMatch
        With great-circle distances in arcsec.
    """
    unit = np.degrees(1.0) * 3600.0
    points, truth_points = unit_vectors(*sky), unit_vectors(*truth_sky)
    match = match_positions(points, truth_points, chord(radius), confidence=confidence)
    arc = np.full(len(match.distance), np.inf)
    arc[match.matched] = 2.0 * np.arcsin(match.distance[match.matched] / 2.0) * unit
    return PositionMatch(match.truth, arc, match.found)


def separation_arcsec(sky: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> Floats:
    """Great-circle separation in arcsec, shape (n,), of pairs of RA and Dec in degrees (Vincenty)."""
    (ra_1, dec_1), (ra_2, dec_2) = (np.radians(sky), np.radians(other))
    cos_1, sin_1, cos_2, sin_2 = np.cos(dec_1), np.sin(dec_1), np.cos(dec_2), np.sin(dec_2)
    cos_ra, sin_ra = np.cos(ra_2 - ra_1), np.sin(ra_2 - ra_1)
    across = np.hypot(cos_2 * sin_ra, cos_1 * sin_2 - sin_1 * cos_2 * cos_ra)
    return np.asarray(np.degrees(np.arctan2(across, sin_1 * sin_2 + cos_1 * cos_2 * cos_ra)) * 3600.0)


def chord(arc: float) -> float:
    """Distance of unit vectors that lie an arc of so many arcsec apart, a trifle too long."""
    return 2.0 * np.sin(min(np.radians(arc / 3600.0), np.pi) / 2.0) * (1.0 + 1e-12)


def unit_vectors(ra: Floats, dec: Floats) -> Floats:
    """Points (n, 3) on the unit sphere of RA and Dec in degrees."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


@njit(**JIT)  # type: ignore[untyped-decorator]
def _join(
    rows: NDArray[np.int64],
    targets: NDArray[np.int64],
    distances: Floats,
    truth: NDArray[np.int64],
    distance: Floats,
    found: NDArray[np.bool_],
) -> None:
    """Join pairs in the order given, each row and each target once."""
    for pair in range(len(rows)):
        row, target = rows[pair], targets[pair]
        if truth[row] < 0 and not found[target]:
            truth[row], distance[row], found[target] = target, distances[pair], True

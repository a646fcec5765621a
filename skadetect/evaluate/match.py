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
    chord = 2.0 * np.sin(radius / unit / 2.0) * (1.0 + 1e-12)
    match = match_positions(_unit_vectors(*sky), _unit_vectors(*truth_sky), chord, confidence=confidence)
    arc = np.full(len(match.distance), np.inf)
    arc[match.matched] = 2.0 * np.arcsin(match.distance[match.matched] / 2.0) * unit
    return PositionMatch(match.truth, arc, match.found)


def _unit_vectors(ra: Floats, dec: Floats) -> Floats:
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

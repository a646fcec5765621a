"""Pairs of points and sources that are closer than the source is large: all of them, each once."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from skadetect.evaluate import sky_pairs
from skadetect.evaluate.sky_pairs import SizedSources


def _sky(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(359.9, 360.1, n) % 360.0, rng.uniform(-30.1, -29.9, n)


@pytest.mark.parametrize("most", [sky_pairs._MOST_PAIRS, 50], ids=["at once", "in pieces"])
def test_all_close_pairs_are_found_once(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sky_pairs, "_MOST_PAIRS", most)
    (ra, dec), points = _sky(300, 0), _sky(200, 1)
    size = np.exp(np.random.default_rng(2).uniform(0.0, 5.0, 300))
    size[:3] = np.nan, np.inf, 0.0
    parts = list(SizedSources.build(ra, dec, size).pairs(*points))
    found = np.concatenate([np.stack(part, axis=1) for part in parts])
    assert len(np.unique(found, axis=0)) == len(found)
    separation = (
        SkyCoord(*points, unit="deg")[:, None].separation(SkyCoord(ra, dec, unit="deg")).to_value(u.arcsec)
    )
    allowed = np.where(np.isfinite(size), np.maximum(size, 1.0), 1.0)
    close = separation < np.where(np.isfinite(size), size, 0.0)
    seen = np.zeros_like(close)
    seen[tuple(found.T)] = True
    assert close.sum() > 100 and (seen | ~close).all()
    assert (separation[seen] <= np.broadcast_to(2.0 * allowed, close.shape)[seen] * (1 + 1e-9)).all()
    for part in parts:  # all pairs of a point come together
        others = [set(other[0].tolist()) for other in parts if other is not part]
        assert not set(part[0].tolist()) & set().union(*others)


def test_nobody_has_no_pairs() -> None:
    none = np.empty(0)
    assert not list(SizedSources.build(none, none, none).pairs(*_sky(3, 0)))
    assert not list(SizedSources.build(*_sky(3, 0), np.ones(3)).pairs(none, none))

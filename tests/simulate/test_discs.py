from __future__ import annotations

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.simulate.discs import Disc, line_width, render

BEAM = PixelBeam(3.0, 2.2, 0.4)
DISC = Disc(hi_size=9.0, incl=1.1, direction=0.7, v_flat=12.0, dispersion=1.2)


def drawn(disc, seed=1, **changes):
    return render(disc, BEAM, rng=np.random.default_rng(seed), **changes)


@pytest.mark.parametrize("direction", [-2.5, -0.4, 0.7, 3.0])
def test_the_receding_half_at_lower_z_lies_in_its_direction(direction):
    cubelet = drawn(Disc(hi_size=9.0, incl=1.1, direction=direction, v_flat=12.0, dispersion=1.2))
    z, y, x = np.indices(cubelet.pixels.shape) - np.reshape(cubelet.centre, (3, 1, 1, 1))
    low = cubelet.pixels * (z < -1)
    found = np.arctan2((low * y).sum(), (low * x).sum())
    assert np.cos(found - direction) > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_a_symmetric_disc_is_centred_where_it_says_and_holds_all_its_flux(seed):
    cubelet = drawn(DISC, seed, centre=(0.3, -0.4, 0.2), points=40000)
    total = cubelet.pixels.sum()
    centroid = [(cubelet.pixels * axis).sum() / total for axis in np.indices(cubelet.pixels.shape)]
    np.testing.assert_allclose(centroid, cubelet.centre, atol=0.15)
    assert total == pytest.approx(1.0, abs=0.01)


def test_lines_are_as_wide_as_the_rotation_makes_them():
    wide, narrow = drawn(DISC), drawn(Disc(hi_size=9.0, incl=0.0, direction=0.0, v_flat=12.0, dispersion=1.2))
    assert 0.8 * 2 * 12 * np.sin(1.1) < wide.w20 < 1.3 * 2 * 12 * np.sin(1.1)
    assert narrow.w20 == pytest.approx(3.59 * 1.2, rel=0.15)  # of a Gaussian
    assert wide.w50 < wide.w20


def test_width_between_crossings():
    triangle = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    assert line_width(triangle, 0.5) == pytest.approx(4.0)
    assert line_width(triangle, 0.2) == pytest.approx(6.4)
    assert line_width(np.array([4.0, 4.0]), 0.5) == pytest.approx(2.0)


def test_seen_through_the_beam_a_tiny_galaxy_is_the_beam():
    pixels = drawn(Disc(hi_size=0.1, incl=0.5, direction=0.0, v_flat=3.0, dispersion=1.0)).pixels.sum(axis=0)
    rows, columns = np.indices(pixels.shape)
    total = pixels.sum()
    y, x = (pixels * rows).sum() / total, (pixels * columns).sum() / total
    second = [(pixels * (a * b)).sum() / total for a, b in ((rows - y,) * 2, (columns - x,) * 2)]
    cos, sin = np.cos(0.4) ** 2, np.sin(0.4) ** 2
    wanted = np.array([9 * sin + 4.84 * cos, 9 * cos + 4.84 * sin]) / (8 * np.log(2)) + 1 / 12
    np.testing.assert_allclose(second, wanted, rtol=0.08)


def test_every_irregularity_occurs_and_can_be_drawn():
    rng = np.random.default_rng(0)
    discs = [DISC.irregular(rng) for _ in range(60)]
    for name in ("lopsided", "kinematic", "arms", "clumps", "hole", "warp_pa", "companion"):
        assert 0 < sum(getattr(disc, name) != 0 for disc in discs) < 60, name
    for seed, disc in enumerate(discs[:20]):
        cubelet = drawn(disc, seed)
        assert np.isfinite(cubelet.pixels).all() and cubelet.pixels.sum() == pytest.approx(1.0, abs=0.02)
    assert DISC.asymmetry == 0.0 and max(disc.asymmetry for disc in discs) > 0.3

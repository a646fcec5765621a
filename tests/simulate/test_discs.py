from __future__ import annotations

from dataclasses import replace

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


@pytest.mark.parametrize("hi_size", [0.05, 9.0])
def test_a_symmetric_disc_is_centred_where_it_says_and_holds_all_its_flux(hi_size):
    disc = Disc(hi_size=hi_size, incl=1.1, direction=0.7, v_flat=12.0, dispersion=1.2)
    cubelet = drawn(disc, centre=(0.3, -0.4, 0.2))
    total = cubelet.pixels.sum()
    centroid = [(cubelet.pixels * axis).sum() / total for axis in np.indices(cubelet.pixels.shape)]
    np.testing.assert_allclose(centroid, cubelet.centre, atol=0.1)
    np.testing.assert_allclose(centroid[1:], cubelet.centre[1:], atol=0.02)
    assert total == pytest.approx(1.0, abs=0.01)


def test_lines_are_as_wide_as_the_rotation_makes_them():
    wide, narrow = drawn(DISC), drawn(replace(DISC, incl=0.0, dispersion=4.0))
    assert 0.8 * 2 * 12 * np.sin(1.1) < wide.w20 < 1.3 * 2 * 12 * np.sin(1.1)
    assert narrow.w20 == pytest.approx(3.59 * 4.0, rel=0.02)  # of a Gaussian
    assert wide.w50 < wide.w20


def test_width_between_crossings():
    triangle = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    assert line_width(triangle, 0.5) == pytest.approx(4.0)
    assert line_width(triangle, 0.2) == pytest.approx(6.4)
    assert line_width(np.array([4.0, 4.0]), 0.5) == pytest.approx(2.0)


@pytest.mark.parametrize("averaged", [False, True])
def test_seen_through_the_beam_a_tiny_galaxy_is_the_beam(averaged):
    disc = Disc(hi_size=0.05, incl=0.5, direction=0.0, v_flat=3.0, dispersion=1.0)
    pixels = drawn(disc, averaged=averaged).pixels.sum(axis=0)
    rows, columns = np.indices(pixels.shape)
    total = pixels.sum()
    y, x = (pixels * rows).sum() / total, (pixels * columns).sum() / total
    second = [(pixels * (a * b)).sum() / total for a, b in ((rows - y,) * 2, (columns - x,) * 2)]
    cos, sin = np.cos(0.4) ** 2, np.sin(0.4) ** 2
    wanted = np.array([9 * sin + 4.84 * cos, 9 * cos + 4.84 * sin]) / (8 * np.log(2)) + averaged / 12
    np.testing.assert_allclose(second, wanted, rtol=0.03)


def test_even_points_make_smooth_discs():
    few, many = drawn(DISC), drawn(DISC, seed=2, points=100_000)
    assert few.w20 == pytest.approx(many.w20, abs=0.05)
    spectra = [one.pixels.sum(axis=(1, 2)) for one in (few, many)]
    np.testing.assert_allclose(*spectra, atol=0.02 * spectra[1].max())


@pytest.mark.parametrize("side", [0.0, np.pi])
def test_a_tail_draws_the_light_to_its_side(side):
    tailed = drawn(replace(DISC, tail=0.2, tail_phase=side))
    image = tailed.pixels.sum(axis=0)
    y, x = np.indices(image.shape)
    apart = [(image * axis).sum() - at for axis, at in zip((y, x), tailed.centre[1:])]
    assert apart[1] * np.cos(0.7 + side) + apart[0] * np.sin(0.7 + side) > 0.3


def test_a_warp_turns_the_outskirts():
    def major_axis(disc):
        cubelet = drawn(disc)
        image, centre = cubelet.pixels.sum(axis=0), np.reshape(cubelet.centre[1:], (2, 1, 1))
        y, x = np.indices(image.shape) - centre
        return 0.5 * np.arctan2(2 * (image * x * y).sum(), (image * (x**2 - y**2)).sum())

    assert major_axis(replace(DISC, warp_pa=1.0)) > major_axis(DISC) + 0.1


def test_every_irregularity_occurs_and_can_be_drawn():
    rng = np.random.default_rng(0)
    discs = [DISC.irregular(rng) for _ in range(60)]
    for name in ("lopsided", "displaced", "kinematic", "arms", "clumps", "hole", "warp_pa", "tail"):
        assert 0 < sum(getattr(disc, name) != 0 for disc in discs) < 60, name
    for seed, disc in enumerate(discs[:20]):
        cubelet = drawn(disc, seed)
        assert np.isfinite(cubelet.pixels).all() and cubelet.pixels.sum() == pytest.approx(1.0, abs=0.02)
    assert DISC.asymmetry == 0.0 and max(disc.asymmetry for disc in discs) > 0.3

"""Galaxies that belong to larger ones."""

import math
from dataclasses import replace

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.simulate import HiOptions
from skadetect.simulate.companions import draw_companion
from skadetect.simulate.discs import Disc, render
from skadetect.simulate.hi_galaxies import place_galaxies
from skadetect.simulate.hi_options import HiTelescope

HOST = Disc(hi_size=12.0, incl=1.0, direction=0.4, v_flat=15.0, dispersion=1.5)
SPREAD = HiOptions(shape=(400, 128, 128), seed=3, setting="nearby", density=4.0)


def placed(options):
    telescope = HiTelescope.from_options(options)
    return place_galaxies(telescope, options), telescope


@pytest.mark.parametrize("seed", range(20))
def test_a_companion_is_small_near_and_bound(seed):
    host, companion = draw_companion(HOST, np.random.default_rng(seed))
    z, y, x = companion.offset
    assert 0.45 * HOST.hi_size <= math.hypot(y, x) <= HOST.hi_size
    assert abs(z) < HOST.v_flat
    assert 0.01 < companion.share < 0.34
    assert replace(host, bridge=0.0, bridge_end=HOST.bridge_end) == HOST


def test_companions_follow_the_relations_of_all_galaxies():
    pairs = [draw_companion(replace(HOST, bridge=0.0), np.random.default_rng(seed)) for seed in range(300)]
    mass = np.array([host.bridge + companion.share for host, companion in pairs])
    size = np.array([companion.disc.hi_size for _, companion in pairs]) / HOST.hi_size
    slope = np.polyfit(np.log10(mass), np.log10(size), 1)
    assert slope == pytest.approx([0.481, 0.0], abs=0.08)
    assert np.std(np.log10(size) - np.polyval(slope, np.log10(mass))) == pytest.approx(0.134, rel=0.15)


def test_half_of_the_pairs_have_a_bridge_and_no_gas_is_lost_to_it():
    pairs = [draw_companion(HOST, np.random.default_rng(seed)) for seed in range(100)]
    bridges = np.array([host.bridge for host, _ in pairs])
    assert 30 < (bridges > 0).sum() < 70
    masses = bridges + [companion.share for _, companion in pairs]
    assert masses.min() >= 0.03 and masses.max() <= 0.33


def test_a_bridge_leads_to_the_companion():
    end = (8.0, 9.0, 3.0)
    beam = PixelBeam(2.5, 2.5)
    bridged = render(replace(HOST, bridge=0.5, bridge_end=end), beam, rng=np.random.default_rng(1))
    plain = render(HOST, beam, rng=np.random.default_rng(1))

    def mean(cubelet):
        voxels = np.indices(cubelet.pixels.shape)
        centre = [float((cubelet.pixels * axis).sum() / cubelet.pixels.sum()) for axis in voxels]
        return np.array(centre) - cubelet.centre

    np.testing.assert_allclose(mean(bridged), 0.5 * mean(plain) + 0.25 * np.array(end), atol=0.3)


def test_companions_are_galaxies_of_the_truth_beside_their_hosts():
    (with_them, telescope), (without, _) = (placed(replace(SPREAD, companions=c)) for c in (1.0, 0.0))
    kept = np.isin(with_them.columns.flux, without.columns.flux)
    companions = np.flatnonzero(~kept)
    assert 0.3 * kept.sum() < len(companions) < kept.sum()
    assert with_them.columns.flux.min() >= telescope.flux_min
    hosts = np.flatnonzero(kept)
    for row in companions:
        apart = np.abs(with_them.position[hosts] - with_them.position[row])
        limits = np.array(
            [[with_them.placed[h].disc.v_flat, *[with_them.placed[h].disc.hi_size] * 2] for h in hosts]
        )
        near = hosts[(apart <= limits + 1e-6).all(axis=1)]
        ratio = with_them.columns.flux[row] / with_them.columns.flux[near]
        # a host that lies wholly outside of the cube is not among them
        assert len(near) == 0 or ratio.min() < 0.34


def test_the_truths_columns_are_what_is_drawn():
    galaxies, telescope = placed(replace(SPREAD, companions=1.0))
    columns = galaxies.columns
    for row, each in enumerate(galaxies.placed):
        assert columns.flux[row] == each.flux
        assert columns.hi_size[row] == pytest.approx(each.disc.hi_size * telescope.pixel_scale)
        assert math.radians(columns.incl[row]) == pytest.approx(each.disc.incl)
        pa = math.radians(columns.pa[row])
        assert math.cos(math.atan2(math.cos(pa), -math.sin(pa)) - each.disc.direction) == pytest.approx(1.0)
        frequency = telescope.frequencies[0] + telescope.step * each.position[0]
        assert columns.freq[row] == pytest.approx(frequency, rel=1e-9)

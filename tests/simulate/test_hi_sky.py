"""Voxels of galaxies added to slabs."""

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.simulate.discs import Disc, render
from skadetect.simulate.hi_sky import add, hanning, overlap, reach


@pytest.mark.parametrize("corner", [(0, 0, 0), (2, -3, 4), (-9, 0, 0), (7, 7, 7), (-2, -2, -2), (20, 0, 0)])
def test_add_drops_what_falls_outside(corner):
    rng = np.random.default_rng(0)
    pixels = rng.standard_normal((5, 4, 6)).astype(np.float32)
    cube = np.zeros((8, 9, 10), np.float32)
    add(cube, pixels, corner)
    slow = np.zeros_like(cube)
    for index in np.ndindex(pixels.shape):
        place = tuple(i + c for i, c in zip(index, corner))
        if all(0 <= p < n for p, n in zip(place, cube.shape)):
            slow[place] += pixels[index]
    np.testing.assert_array_equal(cube, slow)
    inside, target = overlap(pixels.shape, corner, cube.shape)
    assert pixels[inside].shape == cube[target].shape


def test_hanning_keeps_the_sum_and_widens_by_a_channel_each_side():
    pixels = np.zeros((3, 1, 1), np.float32)
    pixels[1] = 4.0
    np.testing.assert_allclose(hanning(pixels)[:, 0, 0], [0, 1, 2, 1, 0])


def test_reach_holds_every_galaxy():
    rng, beam = np.random.default_rng(1), PixelBeam(3.0, 2.5, 0.3)
    for _ in range(40):
        size, speed = np.exp(rng.uniform(np.log(1), np.log(20))), np.exp(rng.uniform(np.log(1), np.log(40)))
        smooth = Disc(
            hi_size=size, incl=rng.uniform(0, np.pi / 2), direction=1.0, v_flat=speed, dispersion=1.5
        )
        disc = smooth.irregular(rng)
        cubelet = render(disc, beam, rng=rng)
        for middle, n, most in zip(cubelet.centre, cubelet.pixels.shape, reach(disc, beam)):
            assert max(middle, n - 1 - middle) <= most

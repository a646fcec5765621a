import numpy as np
import pytest

from skadetect.simulate import artefacts
from skadetect.simulate.options import ContinuumOptions, Instrument


def rng():
    return np.random.default_rng(5)


def test_noise_profile_spans_the_gradient_about_one():
    profile = artefacts.noise_profile((64, 48), 0.4, rng())
    assert profile.min() == pytest.approx(0.6, abs=1e-5)
    assert profile.max() == pytest.approx(1.4, abs=1e-5)
    assert profile.mean() == pytest.approx(1.0, abs=1e-5)


def test_stripes_have_unit_rms_and_one_direction():
    image = artefacts.stripes((256, 256), 3.0, rng())
    assert image.std() == pytest.approx(1.0, rel=1e-3)
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    strongest = np.sort(power.ravel())[::-1]
    assert strongest[:60].sum() > 0.8 * power.sum()


def test_blank_mask_border_and_circle():
    mask = artefacts.blank_mask(20, border=3, circle=False)
    assert np.array_equal(~mask, np.pad(np.ones((14, 14), bool), 3))
    assert not artefacts.blank_mask(20, border=0, circle=False).any()
    circle = artefacts.blank_mask(200, border=0, circle=True)
    assert (~circle).mean() == pytest.approx(np.pi / 4, rel=0.01)


def test_clouds_are_extended_and_their_clumps_hold_their_flux():
    instrument = Instrument.from_options(ContinuumOptions())
    clouds, clumps = artefacts.draw_clouds((512, 512), 30.0, instrument, rng())
    assert len(clouds) > 10
    assert np.all(clouds.major >= 4 * instrument.beam_major)
    per_cloud = clumps.flux.reshape(len(clouds), -1)
    np.testing.assert_allclose(per_cloud.sum(axis=1), clouds.flux)
    centre = clumps.x.reshape(len(clouds), -1).mean(axis=1)
    np.testing.assert_allclose(centre, clouds.x)


def test_sidelobes_scale_with_level_and_spare_peak_and_distance():
    def pattern(ring, spoke):
        image = np.zeros((301, 301), np.float32)
        peaks = np.array([[150.0, 150.0, 2.0]])
        artefacts.add_sidelobes(image, peaks, beam_pixels=3.0, levels=(ring, spoke), rng=rng())
        return image

    rings = pattern(0.01, 0.0)
    assert rings[150, 150] == pytest.approx(0, abs=1e-6)
    assert 0.005 < np.abs(rings).max() <= 0.02
    assert rings.min() < 0 < rings.max()
    assert np.all(rings[0] == 0)  # beyond the reach of 40 beams
    np.testing.assert_allclose(pattern(0.02, 0.0), 2 * rings, atol=1e-8)
    np.testing.assert_allclose(rings[150, 150:], rings[150:, 150], atol=1e-6)  # round
    spokes = pattern(0.0, 0.01)
    assert np.abs(spokes - spokes.T).max() > 1e-3  # not round

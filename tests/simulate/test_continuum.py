from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates

from skadetect.simulate import ContinuumOptions, draw_field, simulate_continuum

REAL_PERCENTILES = {
    0.1: -1.29,
    1: -1.03,
    5: -0.80,
    16: -0.57,
    50: -0.21,
    75: 0.06,
    90: 0.41,
    95: 1.02,
    99: 6.4,
}
TRAINING_BOX = (-0.6723, 0, -29.9400, -29.4061)


@pytest.fixture(scope="module")
def field():
    return draw_field(ContinuumOptions(size=1024, seed=11))


def test_pixel_values_are_distributed_as_in_the_real_map(field):
    found = np.percentile(field.image * 1e6, list(REAL_PERCENTILES))
    real = np.array(list(REAL_PERCENTILES.values()))
    np.testing.assert_allclose(found, real, atol=0.06, rtol=0.17)


def test_number_of_detectable_sources_is_the_real_one(field):
    truth = field.truth
    factor = np.select([truth.size_type == 1, truth.size_type == 3], [0.47, 1.41], 1.0)
    area = np.sqrt((1.5**2 + (factor * truth.major) ** 2) * (1.5**2 + (factor * truth.minor) ** 2)) / 1.5**2
    apparent = 0.82 * truth.flux / area
    density = np.sum(apparent > 3.5e-6) / (1024 * field.instrument.pixel_scale / 3600) ** 2
    assert density == pytest.approx(6.14e4, rel=0.1)


def test_isolated_bright_sources_peak_where_and_as_high_as_the_truth_says(field):
    truth = field.truth
    margin = (truth.x > 30) & (truth.x < 990) & (truth.y > 30) & (truth.y < 990)
    compact = truth.take(margin & (truth.kind == 2) & (truth.flux > 2e-5) & (truth.major < 0.3))
    x, y = np.rint(compact.x).astype(int), np.rint(compact.y).astype(int)
    apparent = [field.image[j - 1 : j + 2, i - 1 : i + 2].max() for i, j in zip(x, y)]
    assert len(compact) > 5
    assert np.median(apparent / compact.flux) == pytest.approx(0.9, abs=0.08)


def test_files_agree_with_each_other(tmp_path):
    options = ContinuumOptions(size=128, seed=2, offset_east=0.6, noise_rms=0.0, zero_spacing=True)
    folder = simulate_continuum(tmp_path / "field", options=options)
    assert sorted(p.name for p in folder.iterdir()) == ["image.fits", "primary_beam.fits", "truth.txt"]
    image, header = fits.getdata(folder / "image.fits"), fits.getheader(folder / "image.fits")
    assert image.shape == (1, 1, 128, 128)
    truth = np.loadtxt(folder / "truth.txt")
    assert truth.shape[1] == 12
    x, y = WCS(header, naxis=2).all_world2pix(truth[:, 3], truth[:, 4], 0)
    assert np.all((x >= -0.501) & (x < 127.501) & (y >= -0.501) & (y < 127.501))
    beam, beam_header = (
        fits.getdata(folder / "primary_beam.fits").squeeze(),
        fits.getheader(folder / "primary_beam.fits"),
    )
    bx, by = WCS(beam_header, naxis=2).all_world2pix(truth[:, 3], truth[:, 4], 0)
    attenuation = map_coordinates(beam, [by, bx], order=1)
    assert np.all((attenuation > 0.78) & (attenuation < 0.88))
    brightest = np.argmax(truth[:, 5] * (truth[:, 10] == 2))
    peak = image[0, 0, round(float(y[brightest])), round(float(x[brightest]))]
    assert peak == pytest.approx(truth[brightest, 5] * attenuation[brightest], rel=0.45)


def test_default_field_keeps_out_of_the_official_training_area(tmp_path):
    folder = simulate_continuum(tmp_path, options=ContinuumOptions(size=64))
    ra, dec = np.loadtxt(folder / "truth.txt", usecols=(1, 2), unpack=True)
    low, high, south, north = TRAINING_BOX
    assert np.all((ra < low) | (ra > high) | (dec < south) | (dec > north))


def test_same_seed_same_files_other_seed_other_files(tmp_path):
    options = ContinuumOptions(size=64, seed=7, stripe_level=0.2, sidelobe_level=0.01, diffuse_count=2.0)
    first, second = (simulate_continuum(tmp_path / name, options=options) for name in "ab")
    other = simulate_continuum(tmp_path / "c", options=replace(options, seed=8))
    for name in ("image.fits", "primary_beam.fits", "truth.txt"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert (first / "truth.txt").read_bytes() != (other / "truth.txt").read_bytes()


def test_sky_is_attenuated_but_its_truth_is_not():
    options = ContinuumOptions(
        size=128, seed=3, noise_rms=0.0, offset_east=1.0, response_loss=0.0, zero_spacing=True
    )
    attenuated, plain = draw_field(options), draw_field(replace(options, primary_beam=False))
    np.testing.assert_array_equal(attenuated.truth.flux, plain.truth.flux)
    ratio = attenuated.image.sum() / plain.image.sum()
    assert ratio == pytest.approx(np.exp(-4 * np.log(2) / 2.1975**2), rel=0.05)


def test_corrected_field_restores_fluxes_and_is_blank_where_the_beam_is_weak():
    options = ContinuumOptions(
        size=128,
        seed=3,
        offset_east=0.0,
        primary_beam_fwhm=0.018,
        primary_beam_corrected=True,
        noise_rms=1e-6,
    )
    field = draw_field(options)
    assert np.isnan(field.image[0, 0])
    assert np.isfinite(field.image[64, 64])
    x, y = np.rint(field.truth.x).astype(int), np.rint(field.truth.y).astype(int)
    assert np.all(np.isfinite(field.image[y, x]))


def test_noise_rises_along_the_gradient():
    options = ContinuumOptions(size=256, seed=4, density=1e-6, noise_gradient=0.8)
    image = draw_field(options).image
    tiles = image.reshape(4, 64, 4, 64).std(axis=(1, 3))
    assert tiles.max() > 2 * tiles.min()
    assert image.std() == pytest.approx(0.341e-6, rel=0.2)


def test_unlabelled_clouds_are_in_the_image_only():
    options = ContinuumOptions(size=128, seed=5, diffuse_count=5.0, noise_rms=0.0)
    labelled, plain = draw_field(options), draw_field(replace(options, diffuse_labelled=False))
    assert len(labelled.truth) > len(plain.truth)
    np.testing.assert_array_equal(labelled.image, plain.image)


def test_empty_sky_is_noise_with_the_blanks_asked_for():
    field = draw_field(ContinuumOptions(size=64, density=1e-9, nan_border=4))
    assert len(field.truth) == 0
    assert np.isnan(field.image).sum() == 64**2 - 56**2
    assert np.nanstd(field.image) == pytest.approx(0.341e-6, rel=0.2)

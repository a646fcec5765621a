"""Simulated cubes: what the truth says is in the voxels."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from skadetect.catalog.sdc2 import SDC2_COLUMNS, read_sdc2
from skadetect.simulate import HiOptions, simulate_hi

LIGHT_SPEED = 299792.458
# a few well resolved galaxies, so far apart that most are alone
CLEAN = HiOptions(
    shape=(400, 128, 128),
    seed=5,
    density=15.0,
    frequency=1100.0,
    noise_rms=0.0,
    rfi=0.0,
    continuum=0.0,
    flux_min=20.0,
)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return simulate_hi(tmp_path_factory.mktemp("clean"), options=CLEAN)


def around(cube, row, *, channels=45, pixels=12):
    """Voxels around a galaxy with its centre in the middle, or None at an edge of the cube."""
    centre = [round(float(row[name])) for name in "zyx"]
    half = channels, pixels, pixels
    window = tuple(slice(c - h, c + h + 1) for c, h in zip(centre, half))
    inside = all(s.start >= 0 and s.stop <= n for s, n in zip(window, cube.shape))
    return cube[window] if inside else None


def alone(truth, row):
    z, y, x = (abs(truth[name] - row[name]) for name in "zyx")
    return np.sum((z < 90) & (y < 26) & (x < 26)) == 1


def lone_galaxies(folder):
    cube, truth = fits.getdata(folder / "cube.fits"), Table.read(folder / "truth.ecsv")
    pairs = [(row, around(cube, row)) for row in truth if alone(truth, row)]
    return [(row, voxels) for row, voxels in pairs if voxels is not None]


def test_truth_is_sdc2s_table(clean):
    text = (clean / "truth.txt").read_text().splitlines()
    assert text[0].split() == list(SDC2_COLUMNS)
    truth = read_sdc2(clean / "truth.txt")
    assert len(truth) == len(text) - 1 > 5
    header = fits.getheader(clean / "cube.fits")
    x, y, z = WCS(header).all_world2pix(truth["ra"], truth["dec"], truth["central_freq"], 0)
    for place, n in ((x, 128), (y, 128), (z, 400)):
        assert np.all((place > -0.51) & (place < n - 0.49))
    extra = Table.read(clean / "truth.ecsv")
    np.testing.assert_allclose(extra["x"], x, atol=1e-3)
    np.testing.assert_allclose(extra["y"], y, atol=1e-3)
    np.testing.assert_allclose(extra["z"], z, atol=1e-3)


def test_flux_in_the_voxels_is_the_truths(clean):
    header = fits.getheader(clean / "cube.fits")
    beam_area = np.pi / (4 * np.log(2)) * (header["BMAJ"] / header["CDELT2"]) ** 2
    galaxies = lone_galaxies(clean)
    assert len(galaxies) >= 3
    for row, voxels in galaxies:
        flux = voxels.sum(dtype=np.float64) / beam_area * header["CDELT3"]
        assert flux == pytest.approx(row["line_flux_integral"], rel=0.01)


def test_receding_side_is_redshifted_and_lies_along_pa(clean):
    turned = []
    for row, voxels in lone_galaxies(clean):
        middle = voxels.shape[0] // 2
        channels, ys, xs = np.indices(voxels.shape)
        low, high = voxels * (channels < middle), voxels * (channels > middle)
        dx = (low * xs).sum() / low.sum() - (high * xs).sum() / high.sum()
        dy = (low * ys).sum() / low.sum() - (high * ys).sum() / high.sum()
        pa = np.radians(row["pa"])
        # low channels are low frequencies: the receding side; east is -x
        turned.append((-dx * np.sin(pa) + dy * np.cos(pa)) / np.hypot(dx, dy))
    assert np.median(turned) > 0.9


def test_widths_and_centres(clean):
    for row, voxels in lone_galaxies(clean):
        spectrum = voxels.sum(axis=(1, 2))
        above = np.flatnonzero(spectrum > 0.2 * spectrum.max())
        kms = LIGHT_SPEED * 30e3 / row["central_freq"]
        assert row["w20"] / kms == pytest.approx(above[-1] - above[0] + 1, abs=2.0)
        assert row["w50"] <= row["w20"]
        centroid = (spectrum * np.arange(len(spectrum))).sum() / spectrum.sum() - len(spectrum) // 2
        assert abs(centroid) < 0.25 * row["w20"] / kms + 1


@pytest.mark.parametrize(("setting", "density"), [("sdc2", 60.0), ("nearby", 1.5)])
def test_files_do_not_depend_on_the_slabs(tmp_path, setting, density):
    shape = (40, 32, 32)
    options = HiOptions(shape=shape, seed=3, density=density, setting=setting, hanning=True, continuum=20.0)
    whole = simulate_hi(tmp_path / "whole", options=options)
    pieces = simulate_hi(tmp_path / "pieces", options=options, slab=7)
    other = simulate_hi(tmp_path / "other", options=replace(options, seed=4))
    assert sorted(p.name for p in whole.iterdir()) == [
        "continuum.fits",
        "cube.fits",
        "truth.ecsv",
        "truth.txt",
    ]
    for name in ("cube.fits", "continuum.fits", "truth.txt", "truth.ecsv"):
        assert (whole / name).read_bytes() == (pieces / name).read_bytes()
    assert (whole / "cube.fits").read_bytes() != (other / "cube.fits").read_bytes()


def test_velocity_axis_turns_the_channels_and_nothing_else(tmp_path, clean):
    folder = simulate_hi(tmp_path, options=replace(CLEAN, spectral_axis="velocity"))
    header = fits.getheader(folder / "cube.fits")
    assert header["CTYPE3"] == "VRAD"
    assert header["CDELT3"] > 0
    ours, theirs = read_sdc2(folder / "truth.txt"), read_sdc2(clean / "truth.txt")
    np.testing.assert_allclose(ours.to_numpy(), theirs.to_numpy(), rtol=1e-6)
    np.testing.assert_allclose(
        fits.getdata(folder / "cube.fits"), fits.getdata(clean / "cube.fits")[::-1], atol=1e-9
    )
    frequency = WCS(header).spectral.pixel_to_world(Table.read(folder / "truth.ecsv")["z"])
    rest = header["RESTFRQ"]
    np.testing.assert_allclose(rest * (1 - frequency.value / 299792458.0), ours["central_freq"], rtol=1e-8)


def test_noise_of_the_cube_and_signal_to_noise_of_the_truth(tmp_path, clean):
    options = replace(CLEAN, noise_rms=None)
    folder = simulate_hi(tmp_path, options=options)
    cube, truth = fits.getdata(folder / "cube.fits"), Table.read(folder / "truth.ecsv")
    rms = 1.4826 * np.median(np.abs(cube - np.median(cube)))
    assert rms == pytest.approx(29.2e-6, rel=0.05)
    for row, voxels in lone_galaxies(clean):
        expected = np.sqrt((voxels.astype(np.float64) ** 2).sum() / (7.08 / 2)) / 29.2e-6
        found = truth["snr"][np.argmin(abs(truth["central_freq"] - row["central_freq"]))]
        assert found == pytest.approx(expected, rel=0.03)


def test_blank_corners_hold_no_galaxies(tmp_path):
    options = replace(CLEAN, nan_circle=True, shape=(24, 48, 48), density=150.0, flux_min=2.0)
    folder = simulate_hi(tmp_path, options=options)
    cube, truth = fits.getdata(folder / "cube.fits"), Table.read(folder / "truth.ecsv")
    assert np.isnan(cube[:, 0, 0]).all()
    assert np.isfinite(cube[:, 24, 24]).all()
    z, y, x = (np.rint(truth[name]).astype(int) for name in "zyx")
    assert len(truth) > 0
    assert np.isfinite(cube[z, y, x]).all()


def test_nearby_galaxies_are_many_beams_across(tmp_path):
    options = HiOptions(setting="nearby", shape=(96, 80, 80), seed=2, density=2.0)
    folder = simulate_hi(tmp_path, options=options)
    truth, header = Table.read(folder / "truth.ecsv"), fits.getheader(folder / "cube.fits")
    beams = truth["hi_size"] / 3600 / header["BMAJ"]
    assert len(truth) > 3
    assert beams.max() > 2
    assert beams.max() < 60

"""Checks of the HI benchmark's smooth-and-clip finder: kernels, linking, reliability, moments, tuning."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from scipy.ndimage import convolve1d, label

sys.path.insert(0, str(Path(__file__).parent))

import moments
import smooth_and_clip as finder
import tune

from skadetect.evaluate.sdc2 import PreparedSdc2Truth, match_sdc2, score_sdc2


def header(step=30e3, channels=64):
    values = {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CTYPE3": "FREQ", "CUNIT1": "deg", "CUNIT2": "deg"}
    values |= {"CRVAL1": 180.0, "CRVAL2": -30.0, "CRPIX1": 16.5, "CRPIX2": 16.5, "CRPIX3": 1.0}
    values |= {"CDELT1": -2.8 / 3600, "CDELT2": 2.8 / 3600, "CDELT3": step, "CRVAL3": 1.05e9}
    values |= {"BMAJ": 7.0 / 3600, "BMIN": 7.0 / 3600, "BPA": 0.0, "NAXIS": 3}
    return fits.Header(values | {"NAXIS1": 32, "NAXIS2": 32, "NAXIS3": channels})


def frame(step=30e3):
    noise = finder.Noise(np.ones(64, np.float32), np.ones((32, 32), np.float32))
    return moments.Frame.from_header(header(step), noise)


def rotating(centre=(32.0, 15.3, 16.8), angle=0.6, speed=3.0):
    """A noiseless rotating disc: beams along a line, each in its channel, of unit flux in all."""
    z, y, x = np.indices((64, 32, 32))
    cube = np.zeros(z.shape)
    sigma = 2.5 / finder.FWHM_PER_SIGMA
    for t in np.linspace(-3.0, 3.0, 25):
        dy, dx = y - centre[1] - t * np.sin(angle), x - centre[2] - t * np.cos(angle)
        dz = z - centre[0] + speed * t  # lower z on the side that `angle` points to
        cube += np.exp(-0.5 * ((dy**2 + dx**2) / sigma**2 + dz**2 / 1.5**2))
    return (cube / cube.sum() * frame().beam.area).astype(np.float32)


@pytest.mark.parametrize("fwhm", [0.0, 3.0, 6.0])
@pytest.mark.parametrize("width", [0, 3, 7])
def test_smoothing_is_a_gaussian_on_the_sky_and_a_mean_along_the_spectrum(fwhm, width):
    cube = np.random.default_rng(0).normal(size=(12, 18, 15)).astype(np.float32)
    out = np.empty_like(cube)
    taps = finder.gaussian_taps(fwhm)
    finder.smooth(cube, np.zeros(cube.shape, bool), out, taps=taps, width=width, value=2.0)
    kernel = np.concatenate([taps[:0:-1], taps])
    expected = convolve1d(convolve1d(cube, kernel, 1, mode="constant"), kernel, 2, mode="constant")
    if width:
        expected = convolve1d(expected, np.full(width, 1 / width), 0, mode="constant")
    np.testing.assert_allclose(out, expected, atol=2e-6)
    assert kernel.sum() == pytest.approx(1.0)


def test_detected_voxels_are_held_at_a_fixed_value():
    cube = np.zeros((3, 9, 9), np.float32)
    cube[1, 4, 4], cube[1, 4, 5] = 100.0, -50.0
    out = np.empty_like(cube)
    finder.smooth(cube, cube != 0, out, taps=finder.gaussian_taps(0), width=0, value=2.0)
    assert out[1, 4, 4] == 2.0 and out[1, 4, 5] == -2.0


def test_noise_is_divided_out_channel_by_channel_and_over_the_field():
    rng = np.random.default_rng(1)
    channels, sky = rng.uniform(1, 3, 40), np.linspace(0.7, 1.3, 96)
    cube = rng.normal(size=(40, 96, 96)).astype(np.float32) * channels[:, None, None] * sky
    cube = cube.astype(np.float32)
    cube[:, :5] = np.nan
    noise = finder.normalise(cube)
    assert (cube[:, :5] == 0).all()
    np.testing.assert_allclose(cube[:, 5:, 16:-16].std(axis=(0, 1)), 1.0, atol=0.07)
    np.testing.assert_allclose(noise.channels / channels, 1.0, atol=0.1)


def test_linking_equals_connected_components():
    rng = np.random.default_rng(2)
    cube = rng.normal(size=(20, 24, 22)).astype(np.float32)
    mask = np.abs(cube) > 1.5
    options = finder.LinkerOptions(radius=(1, 1), least=(1, 1, 1))
    sources = finder.link(cube, mask, np.empty(cube.shape, np.int32), options=options)
    expected, n = label(mask, np.ones((3, 3, 3)))
    assert len(sources.table) == n
    assert (np.unique(np.stack([sources.labels, expected]).reshape(2, -1), axis=1)).shape[1] == n + 1
    for row, one in sources.table.iterrows():
        z, y, x = np.nonzero(sources.labels == row + 1)
        values = cube[z, y, x].astype(np.float64)
        assert (one["z0"], one["z1"], one["x1"]) == (z.min(), z.max() + 1, x.max() + 1)
        assert one["sum"] == pytest.approx(values.sum()) and one["n"] == len(z)
        assert one["peak"] == (values.max() if values.sum() > 0 else values.min())


def test_small_sources_are_dropped():
    mask = np.zeros((10, 10, 10), bool)
    mask[1:4, 1:4, 1:4] = mask[7, 7, 5:9] = True
    sources = finder.link(
        np.ones(mask.shape, np.float32),
        mask,
        np.empty(mask.shape, np.int32),
        options=finder.LinkerOptions(radius=(1, 1)),
    )
    assert len(sources.table) == 1
    assert (sources.labels > 0).sum() == 27


def test_sources_beyond_the_negative_ones_are_reliable_and_those_among_them_are_not():
    rng = np.random.default_rng(3)
    n = rng.integers(10, 40, 400)
    total = np.where(np.arange(400) % 2, 1, -1) * n * rng.uniform(2, 3, 400)
    table = pd.DataFrame({"n": n, "sum": total, "peak": np.sign(total) * rng.uniform(4, 5, 400)})
    table.loc[400] = (200, 1500.0, 12.0)
    sure = finder.reliability(table, np.arange(1, 402, 2)[:-1], 0.4)
    assert finder.reliability(table, np.array([400]), 0.4)[0] > 0.99
    assert np.median(sure) < 0.3


@pytest.mark.parametrize("step", [30e3, -30e3])
def test_moments_of_a_rotating_disc(step):
    cube, where = rotating(), frame(step)
    found = moments.measure(cube, cube > 1e-9, [0, 0, 0], frame=where)
    x, y = where.wcs.wcs_world2pix(found["ra"], found["dec"], 0)
    assert (x, y) == pytest.approx((16.8, 15.3), abs=0.02)
    assert found["line_flux_integral"] == pytest.approx(30e3, rel=1e-3)
    assert found["central_freq"] == pytest.approx(1.05e9 + 32 * step, abs=1e3)
    side = np.degrees(np.arctan2(-np.cos(0.6), np.sin(0.6)))  # east is towards smaller x
    assert found["pa"] == pytest.approx((side if step > 0 else side + 180) % 360, abs=1.0)
    spread = 6.0 / np.sqrt(12.0) * finder.FWHM_PER_SIGMA * 2.8
    assert found["bmaj"] == pytest.approx(spread, rel=0.05) and found["bmin"] < 1.0
    spectrum = cube.sum(axis=(1, 2))
    channels = found["w20"] / 299792.458 * found["central_freq"] / 30e3
    assert channels == pytest.approx((spectrum > 0.2 * spectrum.max()).sum(), abs=1.0)


def test_line_width_is_interpolated():
    assert moments.line_width(np.array([0.0, 0.5, 1.0, 0.5, 0.0]), 0.25) == pytest.approx(3.0)


def test_a_bright_disc_is_found_and_tuning_finds_it_worth_most():
    rng = np.random.default_rng(4)
    taps = finder.gaussian_taps(2.5)
    noise = rng.normal(size=(64, 32, 32)).astype(np.float32)
    white = np.empty_like(noise)
    finder.smooth(noise, np.zeros(noise.shape, bool), white, taps=taps, width=0, value=0.0)
    cube = white / white.std() + 3000 * rotating(angle=2.0) / frame().beam.area
    normal = finder.normalise(cube)
    where = moments.Frame.from_header(header(), normal)
    table = tune.candidates(cube, where, finders=(finder.FinderOptions(4.5),))
    ra, dec = where.wcs.wcs_pix2world(16.8, 15.3, 0)
    names = ("id", "ra", "dec", "hi_size", "line_flux_integral", "central_freq", "pa", "i", "w20")
    row = (
        0,
        float(ra),
        float(dec),
        15.0,
        3000 / where.beam.area * 30e3,
        1.05e9 + 32 * 30e3,
        300.0,
        80.0,
        180.0,
    )
    truth = PreparedSdc2Truth.prepare(pd.DataFrame([row], columns=names))
    best = tune.tune([(table, truth)])
    rows = tune.to_sdc2(tune.select(table, best.selection), best.calibration)
    assert best.score == pytest.approx(score_sdc2(rows, truth).score)
    assert best.score > 0.8
    plain = tune.tune([(table, truth)], calibrated=False)
    assert plain.calibration == tune.Calibration() and plain.score <= best.score
    assert tune.tune([(table, truth)] * 2).score == pytest.approx(2 * best.score)


def test_score_of_a_subset_is_the_official_one():
    rng = np.random.default_rng(5)
    n = 60
    truth = pd.DataFrame(
        {
            "id": np.arange(n),
            "ra": 180 + rng.uniform(-0.05, 0.05, n),
            "dec": -30 + rng.uniform(-0.05, 0.05, n),
            "hi_size": rng.uniform(4, 20, n),
            "line_flux_integral": rng.uniform(10, 90, n),
            "central_freq": rng.uniform(1.0e9, 1.1e9, n),
            "pa": rng.uniform(0, 360, n),
            "i": rng.uniform(0, 90, n),
            "w20": rng.uniform(50, 400, n),
        }
    )
    rows = pd.concat([truth.iloc[:40], truth.iloc[20:40], truth.iloc[:15].assign(dec=-30.5)])
    rows = rows.assign(id=np.arange(len(rows)))
    prepared = PreparedSdc2Truth.prepare(truth)
    match = match_sdc2(rows, prepared)
    for share in (0.2, 0.7, 1.0):
        some = rng.random(len(rows)) < share
        expected = score_sdc2(rows[some], prepared).score
        assert tune.score_subset(match, some) == pytest.approx(expected)

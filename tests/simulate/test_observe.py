import math
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from data_paths import shared
from scipy.ndimage import map_coordinates

from skadetect.simulate.bands import DRAWING_BEAM, NOISE_POWER, NOISE_WAVENUMBER, REFERENCE_BEAM_PIXELS
from skadetect.simulate.observe import (
    beam_covariance,
    draw_noise,
    noise_power,
    observe,
    primary_beam,
    scaled_wavenumber2,
)
from skadetect.simulate.options import ContinuumOptions, Instrument
from skadetect.simulate.shapes import Gaussians, to_gaussians
from skadetect.simulate.sources import Sources
from skadetect.simulate.stamps import add_gaussians

SDC1 = Instrument.from_options(ContinuumOptions())
OBLIQUE = replace(SDC1, beam_major=3.0, beam_minor=2.0, beam_pa=25.0)


def draw_point(instrument, flux, size=96):
    sky = np.zeros((size, size), np.float32)
    point = Gaussians(*(np.array([v], float) for v in (size // 2, size // 2, flux, 0, 0, 0)))
    add_gaussians(sky, point, beam=beam_covariance(instrument, factor=DRAWING_BEAM), floor=flux * 1e-6)
    return sky


def test_beam_pa_runs_from_north_through_east():
    cxx, _, cyy = beam_covariance(replace(OBLIQUE, beam_pa=0.0))
    assert cyy > cxx  # along north, which is +y
    assert beam_covariance(OBLIQUE)[1] < 0  # towards east, which is -x


def test_bright_point_is_restored_with_the_clean_beam():
    instrument = replace(OBLIQUE, clip=1e-12)
    image = observe(draw_point(instrument, 1e-3), instrument, response_loss=0.26, zero_spacing=True)
    sigma = [beam_covariance(instrument)[:2], beam_covariance(instrument)[1:]]
    y, x = np.mgrid[:96, :96] - 48
    inverse = np.linalg.inv(sigma)
    expected = np.exp(-0.5 * (inverse[0, 0] * x**2 + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y**2))
    np.testing.assert_allclose(image * 1e3, expected, atol=2e-5)


def test_faint_point_loses_response_only_by_the_loss():
    sky = draw_point(SDC1, 1e-6)
    full = observe(sky, SDC1, response_loss=0.0, zero_spacing=True).max()
    lossy = observe(sky, SDC1, response_loss=0.26, zero_spacing=True).max()
    assert full == pytest.approx(1e-6, rel=4e-3)
    assert lossy == pytest.approx(0.77e-6, rel=0.02)


def test_zero_spacing_decides_on_the_mean():
    sky = np.full((64, 64), 1e-6, np.float32)
    kept = observe(sky, SDC1, response_loss=0.0, zero_spacing=True)
    np.testing.assert_allclose(kept, 1e-6 / DRAWING_BEAM**2, rtol=1e-4)
    assert observe(sky, SDC1, response_loss=0.0, zero_spacing=False).mean() < 0


@pytest.mark.parametrize("spectrum", ["sdc1", "natural", "beam"])
def test_noise_has_the_rms_and_no_mean(spectrum):
    noise = draw_noise((255, 256), OBLIQUE, spectrum=spectrum, rng=np.random.default_rng(0))
    assert noise.std() == pytest.approx(OBLIQUE.noise_rms, rel=0.04)
    assert abs(noise.mean()) < 1e-3 * OBLIQUE.noise_rms


def test_noise_follows_the_measured_spectrum():
    noise = draw_noise((512, 512), SDC1, spectrum="sdc1", rng=np.random.default_rng(1)) * 1e6
    power = np.abs(np.fft.fft2(noise)) ** 2 / noise.size
    k = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.fftfreq(512)[None, :])
    for wavenumber, expected in zip(NOISE_WAVENUMBER[3:18:2], NOISE_POWER[3:18:2]):
        assert power[np.abs(k - wavenumber) < 0.006].mean() == pytest.approx(expected, rel=0.12)


def test_beam_noise_is_correlated_like_the_beam():
    noise = draw_noise((512, 512), OBLIQUE, spectrum="beam", rng=np.random.default_rng(2)).astype(float)
    cxx, cxy, cyy = beam_covariance(OBLIQUE)
    inverse = np.linalg.inv([[cxx, cxy], [cxy, cyy]])
    for shift in ((0, 3), (3, 0), (2, 2), (2, -2)):
        correlation = np.mean(noise * np.roll(noise, shift, axis=(0, 1))) / noise.var()
        step = np.array(shift[::-1])
        assert correlation == pytest.approx(math.exp(-0.25 * step @ inverse @ step), abs=0.03)


def test_wavenumber_unit_is_the_beam():
    k2 = scaled_wavenumber2((32, 32), SDC1)
    assert k2[0, 8] == pytest.approx((0.25 * REFERENCE_BEAM_PIXELS) ** 2, rel=1e-5)
    assert noise_power(k2, "sdc1")[0, 8] == pytest.approx(
        np.interp(0.25, NOISE_WAVENUMBER, NOISE_POWER), rel=0.02
    )


def test_primary_beam_is_half_at_half_its_width():
    beam = primary_beam(np.array([-1.1, 0.0, 1.1]), np.array([0.0, 1.05]), (2.2, 2.1))
    np.testing.assert_allclose(beam, [[0.5, 1, 0.5], [0.25, 0.5, 0.25]], rtol=1e-5)


class RealPiece:
    """The piece of the real SDC1 map, and what this telescope makes of its truth."""

    pad = 60

    def __init__(self):
        folder = shared("sdc1_cutout")
        self.pixels, self.wcs = self._open(folder / "B1_1000h_0.05tr.fits")
        self.beam, self.beam_wcs = self._open(folder / "PrimaryBeam_B1.fits")
        self.truth = np.loadtxt(folder / "truth.txt")

    @staticmethod
    def _open(path):
        header = fits.getheader(path)
        return fits.getdata(path).squeeze().astype(np.float64), WCS(header, naxis=2)

    def model(self, *, pa_sign=1):
        t = self.truth
        x, y = np.array(self.wcs.all_world2pix(t[:, 3], t[:, 4], 0)) + self.pad
        core_x, core_y = np.array(self.wcs.all_world2pix(t[:, 1], t[:, 2], 0)) + self.pad
        kinds = t[:, 10].astype(int), t[:, 11].astype(int)
        sources = Sources(
            x, y, core_x, core_y, t[:, 5], np.abs(t[:, 6]), t[:, 7], t[:, 8], pa_sign * t[:, 9], *kinds
        )
        sky = np.zeros([n + 2 * self.pad for n in self.pixels.shape], np.float32)
        parts = to_gaussians(sources, SDC1.pixel_scale, rng=np.random.default_rng(0))
        add_gaussians(sky, parts, beam=beam_covariance(SDC1, factor=DRAWING_BEAM), floor=1e-8)
        loss = ContinuumOptions().response_loss
        image = observe(sky * self.primary_beam(sky.shape), SDC1, response_loss=loss, zero_spacing=True)
        return image[self.pad : -self.pad, self.pad : -self.pad]

    def primary_beam(self, shape):
        y, x = np.indices(shape) - self.pad
        x, y = self.beam_wcs.all_world2pix(*self.wcs.all_pix2world(x, y, 0), 0)
        return map_coordinates(self.beam, [y, x], order=3).astype(np.float32)


@pytest.mark.filterwarnings(
    "ignore::astropy.wcs.FITSFixedWarning", "ignore::astropy.io.fits.verify.VerifyWarning"
)
def test_real_piece_minus_its_model_is_noise():
    piece = RealPiece()
    inside = slice(9, -9), slice(9, -9)  # sources just outside of the piece are not in its truth
    residual = (piece.pixels - piece.model())[inside]
    assert residual.std() == pytest.approx(SDC1.noise_rms, rel=0.03)
    mirrored = (piece.pixels - piece.model(pa_sign=-1))[inside]
    assert mirrored.std() > 1.1 * residual.std()
    model, real = piece.model()[inside], piece.pixels[inside] - np.median(residual)
    bright = model > 8e-6
    assert np.sum(real[bright] * model[bright]) / np.sum(model[bright] ** 2) == pytest.approx(1.0, abs=0.03)

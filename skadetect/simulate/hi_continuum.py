"""Continuum in a cube: what imperfect subtraction leaves of it, and HI absorption in front of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import maximum_filter

from skadetect.beams import FWHM_PER_SIGMA, PixelBeam
from skadetect.simulate.hi_observe import unit_rms, wavenumber2
from skadetect.simulate.hi_options import LIGHT_SPEED, HiOptions, HiTelescope
from skadetect.simulate.options import ContinuumOptions
from skadetect.simulate.shapes import covariance, to_gaussians
from skadetect.simulate.sources import draw_sources
from skadetect.simulate.stamps import add_gaussians

Plane = NDArray[np.float32]

# Counts are those at 560 MHz; faintest flux drawn, Jy, and in units of a channel's noise.
_COUNTS_FREQUENCY, _SPECTRAL_INDEX, _FAINTEST, _FAINTEST_NOISE = 560e6, -0.7, 1e-5, 0.3
# Absorption lines: FWHM (km/s) and peak optical depth.
_LINE_WIDTH, _LINE_DEPTH = (10.0, 200.0), (0.005, 0.7)
_REACH = 4.0  # of beams and lines, standard deviations


@dataclass(frozen=True)
class AbsorptionLine:
    """One HI absorption line.

    Parameters
    ----------
    y, x : int
        Pixel of the continuum source.
    brightness : float
        Of the source, Jy/beam.
    z, sigma : float
        Middle and standard deviation of the line, channels of the file.
    depth : float
        Optical depth at the middle.
    """

    y: int
    x: int
    brightness: float
    z: float
    sigma: float
    depth: float


class Continuum:
    """The continuum sources of a field and what they do to each channel.

    Parameters
    ----------
    telescope : HiTelescope
        Grid, beam and frequencies.
    options : HiOptions
        Seed, numbers of sources and lines, gain errors.
    rms : float
        Noise of a channel, Jy/beam; sets the faintest sources that matter.
    """

    def __init__(self, telescope: HiTelescope, options: HiOptions, rms: float) -> None:
        self._telescope, self._options = telescope, options
        self.image = _draw_image(telescope, options, rms)
        self.lines = _draw_lines(self.image, telescope, options)
        self._gain: dict[int, Plane] = {}
        side = math.ceil(_REACH * telescope.beam.bmaj / FWHM_PER_SIGMA)
        self._stamp = _beam_stamp(telescope.beam, side)

    def add(self, plane: Plane, z: int) -> None:
        """Add residuals and absorption to one channel, in place.

        Parameters
        ----------
        plane : ndarray, shape (y, x)
            Jy/beam.
        z : int
            Channel of the file.
        """
        if self._options.continuum == 0:
            return
        if self._options.gain_error > 0:
            plane += self.image * self._gain_error(z)
        for line in self.lines:
            depth = line.depth * math.exp(-0.5 * ((z - line.z) / line.sigma) ** 2)
            if abs(z - line.z) < _REACH * line.sigma:
                _subtract(plane, self._stamp, line, line.brightness * (1 - math.exp(-depth)))

    def _gain_error(self, z: int) -> Plane:
        """Relative gain error: blends of maps that stand a coherence bandwidth apart in frequency."""
        place = float(self._telescope.frequencies[z]) / (self._options.gain_bandwidth * 1e6)
        node = math.floor(place)
        self._gain = {k: self._gain[k] if k in self._gain else self._node(k) for k in (node, node + 1)}
        angle = 0.5 * math.pi * (place - node)
        gain: Plane = self._gain[node] * np.float32(math.cos(angle))
        gain += self._gain[node + 1] * np.float32(math.sin(angle))
        return gain

    def _node(self, number: int) -> Plane:
        shape = self._telescope.shape[1], self._telescope.shape[2]
        rng = np.random.default_rng(np.random.SeedSequence(self._options.seed, spawn_key=(5, number)))
        fwhm = self._telescope.gain_scale / self._telescope.pixel_scale
        # a map whose autocorrelation has this FWHM is white noise smoothed over 1/sqrt(2) of it
        wave2 = wavenumber2(shape, PixelBeam(fwhm, fwhm)) / 2
        amplitude = unit_rms(np.exp(-2 * (math.pi / FWHM_PER_SIGMA) ** 2 * wave2), shape)
        modes = fft.rfft2(rng.standard_normal(shape, dtype=np.float32)) * amplitude
        field: Plane = fft.irfft2(modes, s=shape).astype(np.float32)
        return field * np.float32(self._options.gain_error)


def _draw_image(telescope: HiTelescope, options: HiOptions, rms: float) -> Plane:
    """Continuum in the middle of the band, Jy/beam."""
    shape = telescope.shape[1], telescope.shape[2]
    image = np.zeros(shape, np.float32)
    if options.continuum == 0:
        return image
    streams = np.random.SeedSequence(options.seed, spawn_key=(6,)).spawn(2)
    rngs = [np.random.default_rng(stream) for stream in streams]
    faintest = float(np.clip(_FAINTEST_NOISE * rms, _FAINTEST, 1e-3))
    sky = ContinuumOptions(
        density=options.continuum,
        flux_min=faintest,
        flux_scale=(telescope.frequency / _COUNTS_FREQUENCY) ** _SPECTRAL_INDEX,
    )
    sources = draw_sources(shape, telescope.pixel_scale, options=sky, rng=rngs[0])
    beam = telescope.beam
    sigma = np.array(beam.bmaj / FWHM_PER_SIGMA), np.array(beam.bmin / FWHM_PER_SIGMA)
    cxx, cxy, cyy = (float(c) for c in covariance(*sigma, np.array(beam.theta)))
    gaussians = to_gaussians(sources, telescope.pixel_scale, rng=rngs[1])
    add_gaussians(image, gaussians, beam=(cxx, cxy, cyy), floor=faintest)
    return image


def _draw_lines(image: Plane, telescope: HiTelescope, options: HiOptions) -> list[AbsorptionLine]:
    """Absorption lines in front of the peaks of the continuum."""
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(7,)))
    n = telescope.shape[0]
    expected = options.absorption_rate * n * telescope.channel_width / 1e6
    reach = 2 * math.ceil(telescope.beam.fwhm) + 1
    peaks = (image > options.absorption_flux) & (image == maximum_filter(image, size=reach))
    lines = []
    for y, x in np.argwhere(peaks):
        for _ in range(rng.poisson(expected)):
            z = rng.uniform(-0.5, n - 0.5)
            kms = LIGHT_SPEED * telescope.channel_width / telescope.frequency
            sigma = _log_uniform(rng, _LINE_WIDTH) / FWHM_PER_SIGMA / kms
            depth = _log_uniform(rng, _LINE_DEPTH)
            lines.append(AbsorptionLine(int(y), int(x), float(image[y, x]), z, sigma, depth))
    return lines


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return math.exp(rng.uniform(math.log(limits[0]), math.log(limits[1])))


def _beam_stamp(beam: PixelBeam, half: int) -> Plane:
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    along = x * math.cos(beam.theta) + y * math.sin(beam.theta)
    across = y * math.cos(beam.theta) - x * math.sin(beam.theta)
    distance2 = (along / beam.bmaj) ** 2 + (across / beam.bmin) ** 2
    return np.exp(-4 * math.log(2) * distance2).astype(np.float32)


def _subtract(plane: Plane, stamp: Plane, line: AbsorptionLine, brightness: float) -> None:
    half = stamp.shape[0] // 2
    top, left = max(line.y - half, 0), max(line.x - half, 0)
    target = plane[top : line.y + half + 1, left : line.x + half + 1]
    y, x = top - line.y + half, left - line.x + half
    target -= np.float32(brightness) * stamp[y : y + target.shape[0], x : x + target.shape[1]]

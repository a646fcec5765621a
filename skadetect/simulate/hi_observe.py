"""What the telescope adds to a cube: noise correlated by the beam, interference, lost spacings, blanks.

Everything here is a function of the seed and the channel, never of the channels asked for before, so a cube
is the same however it is cut into slabs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from skadetect.beams import FWHM_PER_SIGMA, PixelBeam
from skadetect.simulate import artefacts
from skadetect.simulate.hi_options import HiOptions, HiTelescope

Plane = NDArray[np.float32]
Floats = NDArray[np.float64]

# Interference as SDC2 found it: MHz; median and scatter (in ln) of the extra noise below, its largest factor.
_LOW_BAND, _LOW_EXCESS, _LOW_SCATTER, _WORST = (950.0, 960.0), 0.28, 1.1, 12.0
_HIGH_BAND, _HIGH_EXCESS = (1080.0, 1100.0), 0.4
_RUN = 3.0  # correlation of interference along the channels, channels
# Runs of interference per channel in other bands, their mean length and median extra noise.
_RUN_RATE, _RUN_LENGTH, _RUN_EXCESS = 1 / 150, 6.0, 0.4
# A channel counts as flagged from this noise factor on.
_FLAGGED = 1.05
# Spacings that flagging loses, cycles per beam; waves that ripple, cycles per beam, their rms over the noise.
_LOST = 1 / 15
_RIPPLE, _WAVES, _RIPPLE_LEVEL = (1 / 25, 1 / 6), 3, 0.5
# rms of white noise smoothed with 1/4, 1/2, 1/4.
_HANNING_RMS = math.sqrt(0.375)


@dataclass(frozen=True)
class NoiseLevel:
    """Noise of a cube: a factor a channel times a map.

    Parameters
    ----------
    channel : ndarray, shape (z,)
        Noise of each channel of the file at the mean of the map, Jy/beam.
    factor : ndarray, shape (z,)
        Share of it that interference makes: 1 is a clean channel.
    profile : ndarray, shape (y, x)
        The noise relative to its mean over the field.
    """

    channel: Floats
    factor: Floats
    profile: Plane


def noise_level(telescope: HiTelescope, options: HiOptions) -> NoiseLevel:
    """Noise of every voxel.

    Parameters
    ----------
    telescope : HiTelescope
        Grid, noise and its gradient.
    options : HiOptions
        Setting, seed and strength of the interference.

    Returns
    -------
    NoiseLevel
        Channels in file order.
    """
    frequency = telescope.frequencies
    rms = telescope.noise_rms
    clean = sdc2_noise(frequency) if rms is None else np.full(len(frequency), rms)
    factor = interference(np.sort(frequency) / 1e6, options)
    factor = factor if telescope.ascending else factor[::-1]
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(3,)))
    plane = telescope.shape[1], telescope.shape[2]
    profile = artefacts.noise_profile(plane, telescope.noise_gradient, rng)
    return NoiseLevel(clean * factor, factor, profile)


def sdc2_noise(frequency: Floats) -> Floats:
    """Noise of SDC2's channels free of interference.

    Parameters
    ----------
    frequency : ndarray, shape (n,)
        Hz.

    Returns
    -------
    ndarray, shape (n,)
        Jy/beam in 30 kHz: 26.6, 28.3 and 30.1 uJy/beam at 950, 1050 and 1150 MHz.
    """
    return np.asarray((13.6 + 3.5 * (frequency / 1e9 - 0.95) / 0.4) * 1e-6 * math.sqrt(115 / 30))


def interference(megahertz: Floats, options: HiOptions) -> Floats:
    """Factor by which interference raises the noise of each channel.

    Parameters
    ----------
    megahertz : ndarray, shape (n,)
        Ascending frequencies, MHz.
    options : HiOptions
        Setting, seed and strength.

    Returns
    -------
    ndarray, shape (n,)
        1 in clean channels.
    """
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(4,)))
    n = len(megahertz)
    # unit normal, correlated over a few channels
    wander = gaussian_filter1d(rng.standard_normal(n), _RUN) * math.sqrt(2 * _RUN * math.sqrt(math.pi))
    excess = np.zeros(n)
    if options.setting == "sdc2":
        low = (megahertz >= _LOW_BAND[0]) & (megahertz < _LOW_BAND[1])
        high = (megahertz >= _HIGH_BAND[0]) & (megahertz < _HIGH_BAND[1])
        excess = np.where(low, _LOW_EXCESS * np.exp(_LOW_SCATTER * wander), excess)
        excess = np.where(high, _HIGH_EXCESS * np.clip(np.abs(wander) / 2, 0, 1), excess)
    else:
        for _ in range(rng.poisson(n * _RUN_RATE)):
            first = rng.integers(n)
            length = 1 + int(rng.exponential(_RUN_LENGTH))
            excess[first : first + length] = _RUN_EXCESS * math.exp(rng.normal())
    return 1 + options.rfi * np.minimum(excess, _WORST - 1)


class ChannelNoise:
    """Noise, plane by plane.

    Parameters
    ----------
    telescope : HiTelescope
        Grid, beam, and whether channels are smoothed.
    options : HiOptions
        Seed and spectrum of the noise.
    level : NoiseLevel
        How strong.
    """

    def __init__(self, telescope: HiTelescope, options: HiOptions, level: NoiseLevel) -> None:
        self._telescope, self._seed, self._level = telescope, options.seed, level
        self._shape = telescope.shape[1], telescope.shape[2]
        self._wave2 = wavenumber2(self._shape, telescope.beam)
        power = 2.0 if options.noise_spectrum == "beam" else 1.0
        amplitude = np.exp(-0.5 * power * 2 * (math.pi / FWHM_PER_SIGMA) ** 2 * self._wave2)
        self._amplitude = unit_rms(amplitude, self._shape)
        self._kept: dict[int, Plane] = {}

    def plane(self, z: int) -> Plane:
        """Noise of one channel.

        Parameters
        ----------
        z : int
            Channel of the file.

        Returns
        -------
        ndarray, shape (y, x)
            Jy/beam.
        """
        k = self._number(z)
        unit = self._smoothed(k) if self._telescope.hanning else self._unit(k)
        scaled: Plane = unit * np.float32(self._level.channel[z])
        return scaled if self._telescope.noise_gradient == 0 else scaled * self._level.profile

    def extra(self) -> Plane:
        """Noise of a plane that is none of the channels, as strong as in the median channel, Jy/beam."""
        return self._unit(self._telescope.shape[0] + 2) * np.float32(np.median(self._level.channel))

    def flagged(self, z: int) -> bool:
        """Whether channel `z` of the file suffers from interference."""
        return bool(self._level.factor[z] > _FLAGGED)

    def flag(self, plane: Plane, z: int) -> Plane:
        """A channel without the spacings that flagging lost, and with the ripples of what it missed.

        Parameters
        ----------
        plane : ndarray, shape (y, x)
            Sky and noise of the channel, Jy/beam.
        z : int
            Channel of the file.

        Returns
        -------
        ndarray, shape (y, x)
            Jy/beam.
        """
        factor = float(self._level.factor[z])
        lost = 1 - 1 / factor**2
        spectrum = fft.rfft2(plane)
        spectrum *= 1 - np.float32(lost) * np.exp(-self._wave2 / np.float32(_LOST**2))
        kept: Plane = fft.irfft2(spectrum, s=self._shape).astype(np.float32)
        strength = _RIPPLE_LEVEL * lost * float(self._level.channel[z]) / factor
        return kept + np.float32(strength) * self._ripples(self._number(z))

    def _number(self, z: int) -> int:
        """Number of the channel in order of frequency, from 1; 0 and n + 1 exist too."""
        return z + 1 if self._telescope.ascending else self._telescope.shape[0] - z

    def _rng(self, number: int, stream: int) -> np.random.Generator:
        key = np.array([self._seed, 4 * number + stream], np.uint64)
        return np.random.Generator(np.random.Philox(key=key))

    def _unit(self, number: int) -> Plane:
        """Noise of rms 1 that no other channel shares."""
        white = self._rng(number, 0).standard_normal(self._shape, dtype=np.float32)
        modes = fft.rfft2(white, overwrite_x=True)
        modes *= self._amplitude
        unit: Plane = fft.irfft2(modes, s=self._shape, overwrite_x=True)
        return unit

    def _smoothed(self, number: int) -> Plane:
        wanted = (number - 1, number, number + 1)
        self._kept = {k: self._kept[k] if k in self._kept else self._unit(k) for k in wanted}
        left, middle, right = (self._kept[k] for k in wanted)
        smooth: Plane = (left + right + 2 * middle) * np.float32(0.25 / _HANNING_RMS)
        return smooth

    def _ripples(self, number: int) -> Plane:
        """A few plane waves, rms 1."""
        rng, beam = self._rng(number, 1), self._telescope.beam.fwhm
        y, x = (np.arange(n, dtype=np.float32) for n in self._shape)
        waves = np.zeros(self._shape, np.float32)
        for _ in range(_WAVES):
            wave, angle = 2 * math.pi * rng.uniform(*_RIPPLE) / beam, rng.uniform(0, 2 * math.pi)
            phase = wave * math.cos(angle) * x[None, :] + wave * math.sin(angle) * y[:, None]
            waves += np.sin(phase + rng.uniform(0, 2 * math.pi), dtype=np.float32)
        return waves * np.float32(math.sqrt(2 / _WAVES))


def wavenumber2(shape: tuple[int, int], beam: PixelBeam) -> Plane:
    """Squared wavenumber of each mode of the half plane, in cycles per FWHM along the beam's axes.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    beam : PixelBeam
        In pixels.

    Returns
    -------
    ndarray, shape (y, x // 2 + 1)
        Dimensionless.
    """
    ky, kx = fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None, :]
    along = kx * math.cos(beam.theta) + ky * math.sin(beam.theta)
    across = ky * math.cos(beam.theta) - kx * math.sin(beam.theta)
    return ((beam.bmaj * along) ** 2 + (beam.bmin * across) ** 2).astype(np.float32)


def unit_rms(amplitude: Plane, shape: tuple[int, int]) -> Plane:
    """Amplitudes scaled so that white noise of rms 1 keeps rms 1.

    Parameters
    ----------
    amplitude : ndarray, shape (y, x // 2 + 1)
        Transfer of each mode of the half plane.
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    ndarray, shape (y, x // 2 + 1)
        float32.
    """
    # Each column of the half plane stands for two modes, but the first and, where the side is even, the last.
    power = (amplitude.astype(np.float64) ** 2).sum(axis=0)
    total = 2 * power.sum() - power[0] - (power[-1] if shape[1] % 2 == 0 else 0)
    return (amplitude / math.sqrt(total / (shape[0] * shape[1]))).astype(np.float32)


def faint_response(sky: Plane, rms: float, response: float) -> None:
    """Dim emission below three times the noise, in place.

    Parameters
    ----------
    sky : ndarray, shape (y, x)
        Jy/beam.
    rms : float
        Noise of the channel, Jy/beam.
    response : float
        What is left of faint emission; of bright emission the part above three times the noise is kept whole.
    """
    faint = np.minimum(sky, np.float32(3 * rms))
    sky -= np.float32(1 - response) * faint

"""Changes to a patch that leave it a possible observation, made on its pixels, beam and sources together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft

from skadetect.beams import PixelBeam
from skadetect.train.sources import Sources

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True)
class AugmentOptions:
    """Which changes, and how strong.

    Attributes
    ----------
    flips, transpose : bool
        Mirror along x and y (and z), swap x and y (together all flips and quarter turns), each half
        of the time.
    noise_probability : float
        Share of patches that get extra noise.
    noise : float
        Largest rms of the extra beam-correlated noise, in units of the local rms; drawn evenly from 0 on.
    flux : float
        Spread (natural log, Gaussian) of a common factor on all pixels: a misjudged local rms.
    """

    flips: bool = True
    transpose: bool = True
    noise_probability: float = 0.3
    noise: float = 0.7
    flux: float = 0.05


@dataclass(frozen=True)
class Patch:
    """A cut-out of a field: snr (z, y, x) float32, its beam, its sources in the patch's own pixels."""

    snr: np.ndarray
    beam: PixelBeam
    sources: Sources


def augment(patch: Patch, rng: np.random.Generator, options: AugmentOptions) -> Patch:
    """Draw and apply all changes.

    The random numbers drawn do not depend on the patch's content, only on its shape.
    """
    mirror_x, mirror_y, swap, noisy = rng.random(4)
    mirror_z = rng.random() if patch.snr.shape[0] > 1 else 1.0
    level, factor = rng.random(), np.exp(options.flux * rng.standard_normal())
    if options.flips and mirror_z < 0.5:
        patch = flip_z(patch)
    if options.flips and mirror_x < 0.5:
        patch = flip_x(patch)
    if options.flips and mirror_y < 0.5:
        patch = flip_y(patch)
    if options.transpose and swap < 0.5 and patch.snr.shape[-1] == patch.snr.shape[-2]:
        patch = transpose(patch)
    if noisy < options.noise_probability and options.noise > 0.0:
        patch = add_noise(patch, rng, options.noise * level)
    return rescale(patch, float(factor)) if options.flux > 0.0 else patch


def flip_z(patch: Patch) -> Patch:
    """Mirror a cube along its spectral axis: what was at higher z is at lower z, and directions reverse."""
    position = patch.sources.position.copy()
    position[:, 0] = patch.snr.shape[0] - 1 - position[:, 0]
    sources = patch.sources.with_(position=position, theta=patch.sources.theta + np.pi)
    return replace(patch, snr=patch.snr[::-1], sources=sources)


def flip_x(patch: Patch) -> Patch:
    """Mirror left and right."""
    position = patch.sources.position.copy()
    position[:, -1] = patch.snr.shape[-1] - 1 - position[:, -1]
    return _turned(patch, patch.snr[..., ::-1], position, sign=-1.0, offset=np.pi)


def flip_y(patch: Patch) -> Patch:
    """Mirror top and bottom."""
    position = patch.sources.position.copy()
    position[:, -2] = patch.snr.shape[-2] - 1 - position[:, -2]
    return _turned(patch, patch.snr[..., ::-1, :], position, sign=-1.0, offset=0.0)


def transpose(patch: Patch) -> Patch:
    """Swap y and x: an axis at theta from x lies at theta from y."""
    position = patch.sources.position.copy()
    position[:, [-2, -1]] = position[:, [-1, -2]]
    return _turned(patch, patch.snr.swapaxes(-1, -2), position, sign=-1.0, offset=0.5 * np.pi)


def rescale(patch: Patch, factor: float) -> Patch:
    """Multiply all pixels, and so every source's signal to noise."""
    return replace(patch, snr=patch.snr * np.float32(factor), sources=patch.sources.scaled(factor))


def add_noise(patch: Patch, rng: np.random.Generator, level: float) -> Patch:
    """Add beam-correlated noise of rms `level`, divide by the new total; blank pixels (0) stay blank."""
    noise = correlated_noise(patch.snr.shape, patch.beam, rng)
    total = float(np.hypot(1.0, level))
    noise *= np.float32(level)
    noise += patch.snr
    noise *= np.float32(1.0 / total)
    noise[patch.snr == 0.0] = 0.0
    return replace(patch, snr=noise, sources=patch.sources.scaled(1.0 / total))


def correlated_noise(shape: tuple[int, ...], beam: PixelBeam, rng: np.random.Generator) -> np.ndarray:
    """White noise seen through the beam, plane by plane, with unit expected rms.

    Returns
    -------
    numpy.ndarray, `shape`, float32
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    ky = fft.fftfreq(shape[-2])[:, None]
    kx = fft.rfftfreq(shape[-1])[None, :]
    along = kx * np.cos(beam.theta) + ky * np.sin(beam.theta)
    across = ky * np.cos(beam.theta) - kx * np.sin(beam.theta)
    width = (beam.bmaj * along) ** 2 + (beam.bmin * across) ** 2
    transfer = np.exp(-2.0 * (np.pi / FWHM_PER_SIGMA) ** 2 * width)
    # the half spectrum holds its inner columns once for two frequencies of the whole
    twice = np.full(kx.shape, 2.0)
    twice[:, 0] = 1.0
    if shape[-1] % 2 == 0:
        twice[:, -1] = 1.0
    rms = np.sqrt((transfer**2 * twice).sum() / (shape[-2] * shape[-1]))
    spectrum = fft.rfft2(white) * (transfer / rms).astype(np.float32)
    return np.asarray(fft.irfft2(spectrum, s=shape[-2:]), dtype=np.float32)


def _turned(patch: Patch, snr: np.ndarray, position: np.ndarray, *, sign: float, offset: float) -> Patch:
    """The patch with pixels and positions moved and every angle mapped to sign * theta + offset."""
    sources = patch.sources.with_(position=position, theta=sign * patch.sources.theta + offset)
    beam = replace(patch.beam, theta=sign * patch.beam.theta + offset)
    return Patch(snr, beam, sources)

"""Changes to a patch that leave it a possible observation, made on its pixels, beam and sources together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import fft

from skadetect.beams import PixelBeam
from skadetect.nn.backends.pieces import Composition, Piece
from skadetect.train.sources import Sources

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
#: Share of its peak below which the kernel of correlated noise is left out.
KERNEL_EDGE = 1e-4


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
    """A cut-out of a field.

    Attributes
    ----------
    snr : numpy.ndarray, (z, y, x), float32
        Signal to noise, where `gain` is 1 and `noise` 0; else what it is still to be made of.
    beam : PixelBeam
        Of the pixels.
    sources : Sources
        In the patch's own pixels.
    gain, noise, seed : float, float, int
        Factor on the pixels, rms and seed of the noise that is then to be added, see `put_off_noise`.
    composition : Composition, optional
        What is to be made first, of whose space `snr` is a view.
    """

    snr: np.ndarray
    beam: PixelBeam
    sources: Sources
    gain: float = 1.0
    noise: float = 0.0
    seed: int = 0
    composition: Composition | None = None

    @property
    def piece(self) -> Piece:
        """What a back end makes the pixels of."""
        kernel = None
        if self.noise > 0.0:
            kernel = np.float32(self.noise) * noise_kernel(self.snr.shape[-2:], self.beam)
        return Piece(self.snr, self.gain, kernel, self.seed, self.composition)


def augment(patch: Patch, rng: np.random.Generator, options: AugmentOptions, *, later: bool = False) -> Patch:
    """Draw and apply all changes.

    The random numbers drawn do not depend on the patch's content, only on its shape. With `later` the pixels
    are a view of those given, and what is to be done to their values is left to who asks for `Patch.piece`.
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
        noise = put_off_noise if later else add_noise
        patch = noise(patch, rng, options.noise * level)
    if options.flux == 0.0:
        return patch
    return put_off_factor(patch, float(factor)) if later else rescale(patch, float(factor))


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


def put_off_factor(patch: Patch, factor: float) -> Patch:
    """`rescale` for pixels that are made later."""
    sources = patch.sources.scaled(factor)
    return replace(patch, sources=sources, gain=patch.gain * factor, noise=patch.noise * factor)


def put_off_noise(patch: Patch, rng: np.random.Generator, level: float) -> Patch:
    """`add_noise` for pixels that are made later: of its noise only a seed is drawn."""
    patch = put_off_factor(patch, 1.0 / float(np.hypot(1.0, level)))
    return replace(patch, noise=patch.gain * level, seed=int(rng.integers(1 << 63)))


def correlated_noise(shape: tuple[int, ...], beam: PixelBeam, rng: np.random.Generator) -> np.ndarray:
    """White noise seen through the beam, plane by plane, with unit expected rms.

    Returns
    -------
    numpy.ndarray, `shape`, float32
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    spectrum = fft.rfft2(white) * _transfer(shape[-2:], beam).astype(np.float32)
    return np.asarray(fft.irfft2(spectrum, s=shape[-2:]), dtype=np.float32)


@lru_cache(maxsize=256)
def noise_kernel(shape: tuple[int, int], beam: PixelBeam) -> np.ndarray:
    """What white noise is convolved with, round the edges of a plane, to be that of `correlated_noise`.

    Returns
    -------
    numpy.ndarray, (y, x), float32
        Of odd extents, its middle at no shift; the sum of its squares is 1. Read-only.
    """
    whole = fft.fftshift(fft.irfft2(_transfer(shape, beam), s=shape))
    middle = [extent // 2 for extent in shape]
    seen = np.argwhere(np.abs(whole) >= KERNEL_EDGE * whole[middle[0], middle[1]])
    reach = np.minimum(np.abs(seen - middle).max(axis=0), [(extent - 1) // 2 for extent in shape])
    part = whole[tuple(slice(m - r, m + r + 1) for m, r in zip(middle, reach, strict=True))]
    kernel = np.asarray(part / np.sqrt((part**2).sum()), np.float32)
    kernel.flags.writeable = False
    return kernel


def _transfer(shape: tuple[int, ...], beam: PixelBeam) -> np.ndarray:
    """Half spectrum of a plane's noise of unit expected rms over that of white noise."""
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
    return np.asarray(transfer / rms)


def _turned(patch: Patch, snr: np.ndarray, position: np.ndarray, *, sign: float, offset: float) -> Patch:
    """The patch with pixels and positions moved and every angle mapped to sign * theta + offset."""
    sources = patch.sources.with_(position=position, theta=sign * patch.sources.theta + offset)
    beam = replace(patch.beam, theta=sign * patch.beam.theta + offset)
    return replace(patch, snr=snr, beam=beam, sources=sources)

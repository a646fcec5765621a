"""Which voxels of a window are a galaxy's: smooth and clip, keep what hangs together at its place, dilate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from skadetect.beams import FWHM_PER_SIGMA, PixelBeam
from skadetect.products.sources import Source

#: FWHM of the kernels on the image in beams, and their lengths in channels.
KERNELS_XY = (0.0, 1.0, 2.0)
KERNELS_Z = (1, 3, 7, 15)
#: Found voxels count this many noise levels in coarser kernels, so that bright galaxies do not swell.
REPLACED = 2.0
#: How far a galaxy reaches beyond its disc and line in the catalogue, as a share of them; a beam and so many
#: channels come on top. What hangs together with it beyond is something else: sidelobes, the Milky Way.
REACH = 0.3
REACH_CHANNELS = 4.0
#: Voxels from which the noise is told, at most, and at least.
NOISE_SAMPLE = 1_000_000
LEAST_SAMPLE = 50

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Mask:
    """Voxels of a galaxy.

    Attributes
    ----------
    voxels : (z, y, x) bool
        Its own in its window.
    noise : float
        Of a voxel, in the unit of the pixels.
    found : bool
        False if nothing stood out of the noise: `voxels` is then where the catalogue has it.
    """

    voxels: Bools
    noise: float
    found: bool


def source_mask(
    pixels: Floats, source: Source, others: Sequence[Source], *, beam: PixelBeam, threshold: float
) -> Mask:
    """Voxels of a galaxy in its window.

    Parameters
    ----------
    pixels : (z, y, x) float32
        The window, NaN where blank.
    source : Source
        The galaxy.
    others : sequence of Source
        Galaxies close by; each voxel is nearest to one of them all, in half axes, and belongs to that.
    beam : PixelBeam
        Of the image.
    threshold : float
        In noise levels.
    """
    known = np.isfinite(pixels)
    noise = _voxel_noise(pixels, known, source)
    own = _territory(source, others, beam) & known
    bright = _smooth_and_clip(np.where(known, pixels, np.float32(0)), known, beam, threshold, noise)
    bright &= own
    chosen = _connected(bright, source, beam)
    if not chosen.any():
        across, along = source.offsets()
        return Mask((across <= 1.0) & (along <= 1.0)[:, np.newaxis, np.newaxis] & own, noise, False)
    return Mask(_dilated(chosen, beam) & own, noise, True)


def _voxel_noise(pixels: Floats, known: Bools, source: Source) -> float:
    """The catalogue's noise if it is that of the file's pixels, else that of the window."""
    rms = source.row["rms"]
    if source.row.get("factor", 1.0) == 1.0 and math.isfinite(rms) and rms > 0:
        return float(rms)
    return _negative_noise(pixels, known) or 1.0


def _negative_noise(pixels: Floats, known: Bools) -> float:
    """Noise by the median of what is below zero, where no galaxies are; 0 if that is too little."""
    step = max(1, pixels.size // NOISE_SAMPLE)
    values = pixels.ravel()[::step]
    values = values[known.ravel()[::step] & (values < 0)]
    return 1.4826 * float(-np.median(values)) if values.size >= LEAST_SAMPLE else 0.0


def _territory(source: Source, others: Sequence[Source], beam: PixelBeam) -> Bools:
    """Voxels within reach of the galaxy, and nearer to it than to others in half axes of each."""
    across, along = source.grown(REACH, beam.bmaj, REACH_CHANNELS).offsets()
    own = (across <= 1.0) & (along <= 1.0)[:, np.newaxis, np.newaxis]
    across, along = source.offsets()
    z, y, x = (np.arange(a, b) for a, b in zip(source.lo, source.hi, strict=True))
    for other in others:
        far = other.across(y[:, np.newaxis] - other.centre[1], x - other.centre[2])
        behind = np.square((z - other.centre[0]) / (other.depth / 2))
        for plane in range(len(z)):
            own[plane] &= across + along[plane] <= far + behind[plane]
    return own


def _smooth_and_clip(pixels: Floats, known: Bools, beam: PixelBeam, threshold: float, noise: float) -> Bools:
    """Voxels that stand out of the noise at any smoothing; `pixels` is overwritten."""
    plain = _negative_noise(pixels, known)
    # The window tells what smoothing does to noise; the catalogue, from a larger area, how high it is.
    scale = noise / plain if plain > 0 else 1.0
    bright = np.zeros(pixels.shape, np.bool_)
    for width, length in _kernels(pixels.shape):
        smooth = _smoothed(pixels, width * beam.fwhm, length)
        level = _negative_noise(smooth, known) * scale or noise
        bright |= (smooth > threshold * level) & known
        del smooth
        np.copyto(pixels, np.float32(REPLACED * noise), where=bright)
    return bright


def _kernels(shape: tuple[int, ...]) -> Iterator[tuple[float, int]]:
    """Width in beams and length in channels of every kernel that the window can hold, small ones first."""
    for width in KERNELS_XY:
        for length in KERNELS_Z:
            if length == 1 or 2 * length <= shape[0]:
                yield width, length


def _smoothed(pixels: Floats, fwhm: float, length: int) -> Floats:
    """Gaussian on the image of some FWHM in pixels, running mean along channels."""
    smooth = pixels
    if length > 1:
        smooth = ndimage.uniform_filter1d(smooth, length, axis=0, mode="constant")
    if fwhm > 0:
        sigma = fwhm / FWHM_PER_SIGMA
        smooth = ndimage.gaussian_filter(smooth, (0.0, sigma, sigma), mode="constant", truncate=3.0)
    return smooth


def _connected(bright: Bools, source: Source, beam: PixelBeam) -> Bools:
    """Pieces larger than half a beam that reach into the disc and the line."""
    labels, count = ndimage.label(bright, np.ones((3, 3, 3), np.bool_))
    if not count:
        return bright
    across, along = source.offsets()
    core = labels[along <= 1.0][:, across <= 1.0]
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    kept = np.zeros(count + 1, np.bool_)
    kept[np.unique(core)] = True
    kept[0] = False
    kept &= sizes >= beam.area / 2
    return kept[labels]


def _dilated(mask: Bools, beam: PixelBeam) -> Bools:
    """Grown by half a beam to all sides on the image, and by a channel to both."""
    radius = max(1, round(beam.fwhm / 2))
    across = np.arange(-radius, radius + 1)
    disc = np.square(across[:, np.newaxis]) + np.square(across) <= (radius + 0.5) ** 2
    grown = ndimage.binary_dilation(mask, disc[np.newaxis])
    return ndimage.binary_dilation(grown, np.ones((3, 1, 1), np.bool_))

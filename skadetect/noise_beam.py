"""Estimate the restoring beam of a cube from its noise, which the beam correlates.

Noise seen through a Gaussian beam has an autocorrelation that is a Gaussian sqrt(2) times as wide. Several
channels are looked at, without their bright pixels; the median over channels is fitted.
"""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import NDArray

from skadetect.beams import PixelBeam
from skadetect.pixels import PixelSource

Floats = NDArray[np.float64]
CHANNELS = 16
SIDE = 512  # pixels looked at in a channel, about its middle
REACH = 24  # pixels of the largest lag
CLIP = 3.5  # robust standard deviations from which on a pixel is a source
LOWEST = 0.25  # correlation down to which a Gaussian is fitted
MIN_PIXELS = 400


def estimate_pixel_beam(source: PixelSource) -> PixelBeam | None:
    """Beam in pixels from the noise of a cube, or None where the noise does not tell.

    Parameters
    ----------
    source : PixelSource
        In any unit; channels without noise are passed over.
    """
    maps = []
    for z in np.unique(np.linspace(0, source.shape[0] - 1, CHANNELS).round().astype(int)).tolist():
        correlation = _autocorrelation(_middle(source, z))
        if correlation is not None:
            maps.append(correlation)
    return _fitted(np.median(maps, axis=0)) if maps else None


def _middle(source: PixelSource, z: int) -> Floats:
    """The middle (y, x) of a channel."""
    _, height, width = source.shape
    y, x = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
    return source.read((z, y, x), (z + 1, min(y + SIDE, height), min(x + SIDE, width)))[0].astype(np.float64)


def _autocorrelation(plane: Floats) -> Floats | None:
    """Correlation at lags (2 R + 1, 2 R + 1) of what is not blank or bright; None if that is too little."""
    values = plane[np.isfinite(plane)]
    if values.size < MIN_PIXELS:
        return None
    centre = np.median(values)
    sigma = 1.4826 * float(np.median(np.abs(values - centre)))
    if not sigma > 0:
        return None
    excess = np.abs(np.nan_to_num(plane, nan=centre) - centre)
    good = np.isfinite(plane) & (scipy.ndimage.maximum_filter(excess, size=5) < CLIP * sigma)
    if np.count_nonzero(good) < MIN_PIXELS:
        return None
    noise = np.where(good, plane - plane[good].mean(), 0.0)
    shape = tuple(scipy.fft.next_fast_len(n + REACH, real=True) for n in plane.shape)
    products, pairs = (_lags(array, shape) for array in (noise, good.astype(np.float64)))
    mean = products / np.maximum(pairs, 0.05 * pairs[REACH, REACH])
    out: Floats = mean / mean[REACH, REACH]
    return out


def _lags(array: Floats, shape: tuple[int, ...]) -> Floats:
    """Sums of products of an array with itself moved by up to REACH pixels."""
    power = np.abs(scipy.fft.rfft2(array, shape)) ** 2
    sums = np.roll(scipy.fft.irfft2(power, shape), (REACH, REACH), axis=(0, 1))
    out: Floats = sums[: 2 * REACH + 1, : 2 * REACH + 1]
    return out


def _fitted(correlation: Floats) -> PixelBeam | None:
    """Beam of which an autocorrelation is the square in width; None if neighbours are hardly correlated."""
    y, x = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1].astype(np.float64)
    used = _connected(correlation > LOWEST)
    used[REACH, REACH] = False  # there white noise adds, such as rounding
    if np.count_nonzero(used) < 6:
        return None
    weight, lags = correlation[used], (x[used], y[used])
    terms = np.stack([np.ones_like(weight), lags[0] ** 2, 2 * lags[0] * lags[1], lags[1] ** 2], axis=1)
    solution, *_ = np.linalg.lstsq(terms * weight[:, None], np.log(weight) * weight, rcond=None)
    _, xx, xy, yy = (-4 * solution).tolist()
    determinant = xx * yy - xy * xy
    if not (determinant > 0 and xx > 0):
        return None
    covariance = np.array([[yy, -xy], [-xy, xx]]) / determinant
    variances, vectors = np.linalg.eigh(covariance)
    minor, major = np.sqrt(8 * math.log(2) * variances).tolist()
    return PixelBeam(major, minor, math.atan2(vectors[1, 1], vectors[0, 1]))


def _connected(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Marked pixels that hang together with the middle one."""
    labels, _ = scipy.ndimage.label(marked)
    return np.asarray(labels == labels[REACH, REACH]) & marked

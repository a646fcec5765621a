"""Bring an image's beam to the sampling a network knows: means of fine pixels, interpolation of coarse.

A cube's channels are brought to the width it knows first, by `resample_channels`.

Every output pixel is a fixed function of the pixels of the file, whichever window it is read in. The result
is an `Image` with its own WCS and beam; `Image.to_original` leads back to the file's pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numba
import numpy as np
from astropy import units as u
from astropy.wcs import WCS
from numpy.typing import NDArray
from radio_beam import Beam

from skadetect import arena
from skadetect._numba import PARALLEL
from skadetect.beams import FWHM_PER_SIGMA, PixelBeam
from skadetect.errors import ConfigError
from skadetect.image import Image
from skadetect.pixels import Corner, PixelSource, read_padded
from skadetect.resample_channels import match_channels

# Width of a block mean in the FWHM measure: its standard deviation is 1/sqrt(12) of an output pixel.
BLOCK_FWHM = FWHM_PER_SIGMA / math.sqrt(12.0)
REACH = 2  # pixels on each side that cubic convolution looks at


def match_sampling(
    image: Image, fwhm_range: tuple[float, float], channel_range: tuple[float, float] | None = None
) -> Image:
    """The image itself if its beam and channels are sampled within ranges, else a view of it that is.

    Parameters
    ----------
    image : Image
    fwhm_range : (low, high)
        Beam FWHM (geometric mean of the axes) in pixels that is wanted.
    channel_range : (low, high), optional
        Channel width in km/s that is wanted; any by default.

    Returns
    -------
    Image
        Of unit Jy per its own beam: block means widen the beam, and pixel values are raised accordingly.
        `factor` is the side of its pixels in pixels of the file, `factor_z` the width of its channels in
        channels of the file.

    Raises
    ------
    ConfigError
        If a range is not 0 < low < high.
    """
    low, high = fwhm_range
    if not 0 < low < high:
        raise ConfigError(f"fwhm_range {fwhm_range}: expected 0 < low < high")
    if channel_range is not None:
        image = match_channels(image, channel_range)
    fwhm, middle = image.pixel_beam.fwhm, math.sqrt(low * high)
    if fwhm > high:
        widths = {n: _block_beam(image.pixel_beam, n).fwhm for n in range(2, math.ceil(fwhm / low) + 2)}
        return block_mean(image, min(widths, key=lambda n: abs(math.log(widths[n] / middle))))
    if fwhm < low:
        factors = range(2, math.ceil(high / fwhm) + 1)
        return upsample(image, min(factors, key=lambda n: abs(math.log(n * fwhm / middle))))
    return image


def block_mean(image: Image, n: int) -> Image:
    """An image of n x n block means; a block of which less than half is finite is NaN.

    Parameters
    ----------
    image : Image
    n : int
        Side of a block, pixels.
    """
    beam = _block_beam(image.pixel_beam, n)
    gain = beam.area * n * n / image.pixel_beam.area
    source = BlockMeanPixels(image.pixels, n, gain)
    remark = f"beam of {image.pixel_beam.fwhm:.1f} pixels: means of {n} x {n} pixels"
    sky = _widened(image.beam, BLOCK_FWHM * n * image.pixel_scale)
    return _resampled(image, source, beam=beam, sky=sky, factor=float(n), remark=remark)


def upsample(image: Image, n: int) -> Image:
    """An image with n x n pixels in each of its pixels, by cubic convolution (Keys 1981, IEEE ASSP 29, 1153).

    Parameters
    ----------
    image : Image
    n : int
        Output pixels along a side of an input pixel.
    """
    remark = f"beam of {image.pixel_beam.fwhm:.1f} pixels: interpolated to {n} x {n} pixels in each"
    beam = image.pixel_beam.scaled(n)
    source = UpsampledPixels(image.pixels, n)
    return _resampled(image, source, beam=beam, sky=image.beam, factor=1.0 / n, remark=remark)


@dataclass(frozen=True)
class BlockMeanPixels:
    """Means over n x n blocks in each plane, times `gain`."""

    source: PixelSource
    n: int
    gain: float

    @property
    def shape(self) -> Corner:
        """(z, y, x)."""
        z, y, x = self.source.shape
        return z, -(-y // self.n), -(-x // self.n)

    def read(self, lo: Corner, hi: Corner) -> NDArray[np.float32]:
        """Pixels lo <= index < hi, inside the shape."""
        n = self.n
        fine = read_padded(self.source, (lo[0], lo[1] * n, lo[2] * n), (hi[0], hi[1] * n, hi[2] * n))
        out = arena.empty((hi[0] - lo[0], hi[1] - lo[1], hi[2] - lo[2]))
        _block_means(n)(fine, self.gain, out)
        return out


@dataclass(frozen=True)
class UpsampledPixels:
    """n x n pixels in each pixel of a source, by cubic convolution."""

    source: PixelSource
    n: int

    @property
    def shape(self) -> Corner:
        """(z, y, x)."""
        z, y, x = self.source.shape
        return z, y * self.n, x * self.n

    def read(self, lo: Corner, hi: Corner) -> NDArray[np.float32]:
        """Pixels lo <= index < hi, inside the shape."""
        n = self.n
        first = (lo[1] // n - REACH, lo[2] // n - REACH)
        last = (-(-hi[1] // n) + REACH, -(-hi[2] // n) + REACH)
        coarse = read_padded(self.source, (lo[0], *first), (hi[0], *last))
        out = np.empty((hi[0] - lo[0], hi[1] - lo[1], hi[2] - lo[2]), np.float32)
        _cubic(coarse, (lo[1] - first[0] * n, lo[2] - first[1] * n), n, _cubic_weights(n), out)
        return out


def _resampled(
    image: Image, source: PixelSource, *, beam: PixelBeam, sky: Beam, factor: float, remark: str
) -> Image:
    """The image on pixels `factor` times as large."""
    return replace(
        image,
        pixels=source,
        wcs=scaled_wcs(image.wcs, factor, source.shape),
        beam=sky,
        pixel_beam=beam,
        pixel_scale=image.pixel_scale * factor,
        repairs=(*image.repairs, remark),
        factor=image.factor * factor,
    )


def scaled_wcs(wcs: WCS, factor: float, shape: Corner) -> WCS:
    """Coordinates of pixels `factor` times as large, with the corner of the image where it was."""
    scaled = wcs.deepcopy()
    scaled.wcs.crpix = (wcs.wcs.crpix - 0.5) / factor + 0.5
    if scaled.wcs.has_cd():
        scaled.wcs.cd = wcs.wcs.cd * factor
    else:
        scaled.wcs.cdelt = wcs.wcs.cdelt * factor
    scaled.wcs.set()
    scaled.array_shape = shape[1:]
    return scaled


def _block_beam(beam: PixelBeam, n: int) -> PixelBeam:
    """A beam seen in n x n block means, in pixels of that size."""
    return PixelBeam(math.hypot(beam.bmaj / n, BLOCK_FWHM), math.hypot(beam.bmin / n, BLOCK_FWHM), beam.theta)


def _widened(beam: Beam, fwhm: float) -> Beam:
    """A sky beam convolved with a round Gaussian of some arcsec FWHM."""
    major, minor = (math.hypot(axis.to_value(u.arcsec), fwhm) for axis in (beam.major, beam.minor))
    return Beam(major=major * u.arcsec, minor=minor * u.arcsec, pa=beam.pa)


def _cubic_weights(n: int) -> NDArray[np.float64]:
    """Weights (n, 5) of the pixels -2 .. 2 around the one that a subpixel lies in."""
    offset = (np.arange(n) + 0.5) / n - 0.5
    distance = np.abs(np.arange(-REACH, REACH + 1) - offset[:, np.newaxis])
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights: NDArray[np.float64] = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    return weights


@cache
def _block_means(n: int) -> Any:
    """Kernel of means over n x n blocks of finite pixels, without a branch: many are done at a time."""
    least = np.int32((n * n + 1) // 2)

    @numba.njit(**PARALLEL)
    def _means(fine: NDArray[np.float32], gain: float, out: NDArray[np.float32]) -> None:
        rows = out.shape[1]
        for row in numba.prange(out.shape[0] * rows):
            first = n * (row % rows)
            block, line = fine[row // rows, first : first + n], out[row // rows, row % rows]
            for j in range(line.size):
                total, count = 0.0, np.int32(0)
                for y in range(n):
                    for x in range(n):
                        value = block[y, n * j + x]
                        finite = not np.isnan(value)
                        total += np.float64(value) if finite else 0.0
                        count += np.int32(finite)
                line[j] = gain * total / count if count >= least else np.nan

    return _means


@numba.njit(**PARALLEL)
def _cubic(
    coarse: NDArray[np.float32],
    origin: tuple[int, int],
    n: int,
    weights: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Cubic convolution; blank pixels in reach weigh nothing, a blank pixel itself stays blank."""
    for i in numba.prange(out.shape[1]):
        y, fy = (origin[0] + i) // n, (origin[0] + i) % n
        for k in range(out.shape[0]):
            for j in range(out.shape[2]):
                x, fx = (origin[1] + j) // n, (origin[1] + j) % n
                total, norm = 0.0, 0.0
                for a in range(5):
                    for b in range(5):
                        value = coarse[k, y + a - 2, x + b - 2]
                        if not np.isnan(value):
                            weight = weights[fy, a] * weights[fx, b]
                            total += weight * value
                            norm += weight
                blank = np.isnan(coarse[k, y, x]) or norm < 0.5
                out[k, i, j] = np.nan if blank else total / norm

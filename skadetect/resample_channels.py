"""Bring a cube's channels to the width a network knows: means of narrow ones, interpolation of wide ones.

Every output channel is a fixed function of the channels of the file, whichever window it is read in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import PARALLEL
from skadetect.errors import ConfigError
from skadetect.image import Image
from skadetect.pixels import Corner, PixelSource, read_padded
from skadetect.spectral import SpectralAxis


def match_channels(image: Image, channel_range: tuple[float, float]) -> Image:
    """The cube itself if its channels are as wide as wanted, else a view of it whose channels are.

    Parameters
    ----------
    image : Image
        Returned as it is if it has no spectral axis.
    channel_range : (low, high)
        Width of the middle channel that is wanted, km/s.

    Returns
    -------
    Image
        `factor_z` is the width of its channels in channels of the file.

    Raises
    ------
    ConfigError
        If the range is not 0 < low < high.
    """
    low, high = channel_range
    if not 0 < low < high:
        raise ConfigError(f"channel_range {channel_range}: expected 0 < low < high")
    if image.spectral is None:
        return image
    width, middle = image.spectral.channel_kms, math.sqrt(low * high)
    if width < low:
        counts = range(2, math.ceil(high / width) + 1)
        return average_channels(image, min(counts, key=lambda n: abs(math.log(n * width / middle))))
    if width > high:
        counts = range(2, math.ceil(width / low) + 1)
        return interpolate_channels(image, min(counts, key=lambda n: abs(math.log(width / n / middle))))
    return image


def average_channels(image: Image, n: int) -> Image:
    """A cube of means of n channels; where less than half of them are finite it is NaN.

    Parameters
    ----------
    image : Image
        A cube.
    n : int
        Channels to a mean, 2 or more.
    """
    axis = _axis(image)
    remark = f"channels of {axis.channel_kms:.3g} km/s: means of {n}"
    return _resampled(image, MeanChannels(image.pixels, n), axis.averaged(n), factor=float(n), remark=remark)


def interpolate_channels(image: Image, n: int) -> Image:
    """A cube with n channels in each of its channels, linear between their centres.

    Parameters
    ----------
    image : Image
        A cube.
    n : int
        Output channels in an input channel, 2 or more.
    """
    axis = _axis(image)
    remark = f"channels of {axis.channel_kms:.3g} km/s: interpolated to {n} in each"
    source = InterpolatedChannels(image.pixels, n)
    return _resampled(image, source, axis.interpolated(n), factor=1.0 / n, remark=remark)


@dataclass(frozen=True)
class MeanChannels:
    """Means of n planes at a time."""

    source: PixelSource
    n: int

    @property
    def shape(self) -> Corner:
        """(z, y, x)."""
        z, y, x = self.source.shape
        return -(-z // self.n), y, x

    def read(self, lo: Corner, hi: Corner) -> NDArray[np.float32]:
        """Pixels lo <= index < hi, inside the shape."""
        out = np.empty((hi[0] - lo[0], hi[1] - lo[1], hi[2] - lo[2]), np.float32)
        for k in range(lo[0], hi[0]):  # one at a time: n of them may be too much for memory
            fine = read_padded(self.source, (k * self.n, lo[1], lo[2]), ((k + 1) * self.n, hi[1], hi[2]))
            _mean_planes(fine, out[k - lo[0]])
        return out


@dataclass(frozen=True)
class InterpolatedChannels:
    """n planes in each plane, linear between the centres; blank where the plane it lies in is."""

    source: PixelSource
    n: int

    @property
    def shape(self) -> Corner:
        """(z, y, x)."""
        z, y, x = self.source.shape
        return z * self.n, y, x

    def read(self, lo: Corner, hi: Corner) -> NDArray[np.float32]:
        """Pixels lo <= index < hi, inside the shape."""
        first = lo[0] // self.n - 1
        last = -(-hi[0] // self.n) + 1
        coarse = read_padded(self.source, (first, lo[1], lo[2]), (last, hi[1], hi[2]))
        out = np.empty((hi[0] - lo[0], hi[1] - lo[1], hi[2] - lo[2]), np.float32)
        _between_planes(coarse, lo[0] - first * self.n, self.n, out)
        return out


def _axis(image: Image) -> SpectralAxis:
    """The spectral axis of a cube."""
    if image.spectral is None:
        raise ValueError(f"{image.name} has no spectral axis; only channels of cubes are resampled")
    return image.spectral


def _resampled(image: Image, source: PixelSource, axis: SpectralAxis, *, factor: float, remark: str) -> Image:
    """The cube on channels `factor` times as wide."""
    return replace(
        image,
        pixels=source,
        spectral=axis,
        frequency=float(axis.freq[0]),
        repairs=(*image.repairs, remark),
        factor_z=image.factor_z * factor,
    )


@numba.njit(**PARALLEL)
def _mean_planes(fine: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Mean over planes of what is finite; NaN where that is less than half."""
    planes = fine.shape[0]
    for i in numba.prange(out.shape[0]):
        for j in range(out.shape[1]):
            total, count = 0.0, 0
            for k in range(planes):
                value = fine[k, i, j]
                if not np.isnan(value):
                    total += value
                    count += 1
            out[i, j] = total / count if 2 * count >= planes else np.nan


@numba.njit(**PARALLEL)
def _between_planes(coarse: NDArray[np.float32], origin: int, n: int, out: NDArray[np.float32]) -> None:
    """Planes k of which n make a coarse one, counted from `origin`; a blank neighbour weighs nothing."""
    for i in numba.prange(out.shape[1]):
        for k in range(out.shape[0]):
            plane, part = (origin + k) // n, (origin + k) % n
            offset = (part + 0.5) / n - 0.5
            side = plane + 1 if offset > 0 else plane - 1
            weight = abs(offset)
            for j in range(out.shape[2]):
                near, far = coarse[plane, i, j], coarse[side, i, j]
                out[k, i, j] = near if np.isnan(far) else near + weight * (far - near)

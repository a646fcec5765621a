"""Background and noise of an image: a mesh of robust statistics, estimated by strips, read by windows.

In crowded fields sources lift every quantile above the mode, and even the mean and the clipped median, so
both numbers come from the pixels below the mode: within each mesh cell a Gaussian is fitted to the part of
the distribution under `upper` standard deviations (maximum likelihood of a truncated normal), which is where
the sky is clean. On pure Gaussian noise that is unbiased. The channels of a cube then steady each other
(`background_channels`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numba
import numpy as np
import scipy
from numpy.typing import NDArray

from skadetect._numba import JIT, PARALLEL
from skadetect.background_channels import steady
from skadetect.background_mesh import Background
from skadetect.errors import ConfigError
from skadetect.image import Image
from skadetect.pixels import read_rows

BLOCK_PIXELS = 1 << 22
MIN_SAMPLES = 64
ITERATIONS = 30


@dataclass(frozen=True)
class BackgroundOptions:
    """How background and noise are estimated.

    Parameters
    ----------
    cell : int
        Side of a mesh cell in pixels; 0 chooses the larger of 128 and `cell_beams` beams.
    cell_beams : float
        Side of a cell in beam FWHM, where `cell` is 0.
    samples : int
        About how many pixels of a cell are looked at.
    upper, lower : float
        Pixels from `lower` standard deviations below the mode to `upper` above it are fitted.
    filter_size : int
        Side in cells of the median filter over the mesh, odd; 1 is none.
    channels : int
        Channels of a cube around each that steady its mesh, odd; 1 is none.
    """

    cell: int = 0
    cell_beams: float = 32.0
    samples: int = 4096
    upper: float = 1.0
    lower: float = 4.0
    filter_size: int = 3
    channels: int = 65

    def __post_init__(self) -> None:
        if self.cell < 0 or self.samples < 64 or self.filter_size < 1 or self.filter_size % 2 == 0:
            raise ConfigError(f"{self}: expected cell >= 0, samples >= 64 and an odd filter_size")
        if self.channels < 1 or self.channels % 2 == 0:
            raise ConfigError(f"{self}: expected an odd number of channels")
        if not (self.upper > -1 and self.lower > 2 and self.cell_beams > 0):
            raise ConfigError(f"{self}: expected upper > -1, lower > 2 and cell_beams > 0")


def estimate_background(
    image: Image,
    options: BackgroundOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Background:
    """Estimate background level and noise of each plane of an image.

    Parameters
    ----------
    image : Image
        It is read once, by blocks of rows of cells.
    options : BackgroundOptions, optional
    progress : callable, optional
        Called with (rows of cells done, rows of cells in all), where a row of several channels is one.

    Returns
    -------
    Background
        Cells with too few pixels take the values of their neighbours; where an image is constant the rms is
        the smallest positive number that keeps signal to noise finite.
    """
    options = options or BackgroundOptions()
    planes, height, width = image.shape
    _, rows, columns = mesh_shape(image, options)
    edges_y, edges_x = _edges(height, rows), _edges(width, columns)
    mesh = np.full((2, planes, rows, columns), np.nan)
    block = _block_pixels(image)
    at_once = max(1, block // (int(np.diff(edges_y).max()) * width))
    starts, covered = range(0, planes, at_once), 0
    for step, first in enumerate(starts):
        channels = (first, min(first + at_once, planes))
        for row in range(rows):
            span = (int(edges_y[row]), int(edges_y[row + 1]))
            mesh[:, slice(*channels), row] = _row_of_cells(image, channels, span, edges_x, options)
            if progress is not None:
                progress(step * rows + row + 1, len(starts) * rows)
        covered += int(np.count_nonzero(np.isfinite(mesh[0, slice(*channels)])))
        mesh[:, slice(*channels)] = _completed(mesh[:, slice(*channels)], size=options.filter_size)
    cell_beams = height * width / (rows * columns) / image.pixel_beam.area
    steady(mesh[0], mesh[1], beams=min(cell_beams, options.samples), window=options.channels)
    return Background(mesh[0], mesh[1], image.shape, covered / mesh[0].size)


def mesh_shape(image: Image, options: BackgroundOptions | None = None) -> tuple[int, int, int]:
    """Planes, rows and columns of the mesh of an image; its pixels are not read."""
    options = options or BackgroundOptions()
    side = options.cell or max(128, math.ceil(options.cell_beams * image.pixel_beam.fwhm))
    planes, height, width = image.shape
    return planes, max(1, round(height / side)), max(1, round(width / side))


def _edges(extent: int, cells: int) -> NDArray[np.int64]:
    """Borders of cells that share an extent equally."""
    return np.rint(np.linspace(0, extent, cells + 1)).astype(np.int64)


def _row_of_cells(
    image: Image,
    channels: tuple[int, int],
    span: tuple[int, int],
    edges: NDArray[np.int64],
    options: BackgroundOptions,
) -> NDArray[np.float64]:
    """Level and rms (2, channels, cells) of the cells between two rows of pixels in some channels."""
    height = span[1] - span[0]
    step = max(1, math.floor(math.sqrt(height * int(edges[1] - edges[0]) / options.samples)))
    parts = []
    for first, last in _blocks(edges, height=height, block=_block_pixels(image)):
        lo, hi = (channels[0], span[0], int(edges[first])), (channels[1], span[1], int(edges[last]))
        pixels = read_rows(image.pixels, lo, hi, step)
        inner = edges[first : last + 1] - edges[first]
        parts.append(_cell_statistics(pixels, inner, step, options.upper, options.lower))
    return np.concatenate(parts, axis=2)


def _block_pixels(image: Image) -> int:
    """Pixels that are read at a time: of averaged ones fewer, as several of the file make one."""
    return max(1, int(BLOCK_PIXELS / max(image.factor, 1.0) ** 2))


def _blocks(edges: NDArray[np.int64], *, height: int, block: int) -> Iterator[tuple[int, int]]:
    """Ranges of cells whose pixels may be in memory together."""
    cells = edges.size - 1
    per_block = max(1, block // (height * int(edges[1] - edges[0])))
    for first in range(0, cells, per_block):
        yield first, min(first + per_block, cells)


def _completed(mesh: NDArray[np.float64], *, size: int) -> NDArray[np.float64]:
    """Level and rms (2, z, my, mx) without gaps (the nearest cell fills them), then median filtered."""
    filled = np.empty_like(mesh)
    single = np.finfo(np.float32)
    for (level, rms), out in zip(mesh.swapaxes(0, 1), filled.swapaxes(0, 1), strict=True):
        out[0] = _filled(level, np.isfinite(level), default=0.0)
        floor = max(float(single.tiny), float(single.eps) * float(np.abs(out[0]).max()))
        out[1] = _filled(rms, np.isfinite(rms) & (rms > floor), default=floor)
    return _median_filtered(filled, size)


def _filled(values: NDArray[np.float64], good: NDArray[np.bool_], *, default: float) -> NDArray[np.float64]:
    """Values, where they are not good those of the nearest that are."""
    if good.all():
        return values
    if not good.any():
        return np.full_like(values, default)
    nearest = scipy.ndimage.distance_transform_edt(~good, return_distances=False, return_indices=True)
    filled: NDArray[np.float64] = values[tuple(nearest)]
    return filled


def _median_filtered(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Median over size x size cells of the last two axes; the border repeats."""
    around = (size // 2, size // 2)
    padded = np.pad(values, [(0, 0)] * (values.ndim - 2) + [around, around], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(-2, -1))
    medians: NDArray[np.float64] = np.median(windows, axis=(-2, -1))
    return medians


@numba.njit(**PARALLEL)
def _cell_statistics(
    pixels: NDArray[np.float32], edges: NDArray[np.int64], step: int, upper: float, lower: float
) -> NDArray[np.float64]:
    """Level and rms (2, z, cells) of cells side by side, from every step-th column; NaN for few pixels."""
    planes, height, _ = pixels.shape
    cells = edges.size - 1
    out = np.empty((2, planes, cells))
    for index in numba.prange(planes * cells):
        plane, cell = index // cells, index % cells
        values = np.empty(height * (edges[cell + 1] - edges[cell]), np.float32)
        count = 0
        for i in range(height):
            for j in range(edges[cell], edges[cell + 1], step):
                values[count] = pixels[plane, i, j]
                count += not np.isnan(pixels[plane, i, j])
        level, rms = _clean_gaussian(_sorted(values[:count]), upper, lower)
        out[0, plane, cell], out[1, plane, cell] = level, rms
    return out


@numba.njit(**JIT)
def _sorted(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rising values, none of them NaN, by their bits, eleven at a time: 20 times as fast as comparing."""
    sign = np.uint32(1) << np.uint32(31)
    keys, other = values.copy().view(np.uint32), np.empty(values.size, np.uint32)
    for i in range(keys.size):  # as unsigned integers, negative numbers turned round and below the others
        keys[i] = ~keys[i] if keys[i] & sign else keys[i] | sign
    for shift in (np.uint32(0), np.uint32(11), np.uint32(22)):
        start = np.zeros(2049, np.int64)
        for i in range(keys.size):
            start[((keys[i] >> shift) & np.uint32(2047)) + 1] += 1
        start = np.cumsum(start)
        for i in range(keys.size):
            digit = (keys[i] >> shift) & np.uint32(2047)
            other[start[digit]] = keys[i]
            start[digit] += 1
        keys, other = other, keys
    for i in range(keys.size):
        keys[i] = keys[i] ^ sign if keys[i] & sign else ~keys[i]
    return keys.view(np.float32)


@numba.njit(**JIT)
def _clean_gaussian(values: NDArray[np.float32], upper: float, lower: float) -> tuple[float, float]:
    """Mean and sigma of the Gaussian under sorted values whose upper part is contaminated."""
    values = _without_padding(values)
    n = values.size
    if n < MIN_SAMPLES:
        return np.nan, np.nan
    origin = np.float64(values[n // 2])
    mean, sigma = 0.0, origin - np.float64(values[int(0.16 * n)])
    if sigma == 0.0:
        return origin, 0.0
    sums = _running_sums(values, origin)
    for _ in range(ITERATIONS):
        cut = mean + upper * sigma
        start = np.searchsorted(values, np.float32(origin + mean - lower * sigma))
        stop = np.searchsorted(values, np.float32(origin + cut), side="right")
        count = stop - start
        if count < MIN_SAMPLES // 2:
            break
        first, second = (sums[stop] - sums[start]) / count
        gap = cut - first
        xi, hazard = _truncation((second - first * first) / (gap * gap))
        new = gap / (xi + hazard)
        change = abs(new - sigma)
        mean, sigma = cut - xi * new, new
        if change < 1e-4 * sigma:
            break
    return origin + mean, sigma


@numba.njit(**JIT)
def _running_sums(values: NDArray[np.float32], origin: float) -> NDArray[np.float64]:
    """Sums (n + 1, 2) of the values above the origin, and of their squares, before each of them."""
    sums = np.empty((values.size + 1, 2))
    first, second = 0.0, 0.0
    for k in range(values.size):
        sums[k, 0], sums[k, 1] = first, second
        x = np.float64(values[k]) - origin
        first, second = first + x, second + x * x
    sums[values.size, 0], sums[values.size, 1] = first, second
    return sums


@numba.njit(**JIT)
def _truncation(ratio: float) -> tuple[float, float]:
    """Where a unit Gaussian is cut, and its hazard there, given variance / (cut - mean)^2 of what is below.

    Cohen 1950 (Ann. Math. Stat. 21, 557): the ratio is (1 - xi h - h^2) / (xi + h)^2, h = phi(xi) / Phi(xi),
    which falls with xi; solved by bisection.
    """
    low, high = -3.0, 8.0
    for _ in range(40):
        xi = 0.5 * (low + high)
        hazard = _hazard(xi)
        if (1.0 - xi * hazard - hazard * hazard) > ratio * (xi + hazard) ** 2:
            low = xi
        else:
            high = xi
    return xi, hazard


@numba.njit(**JIT)
def _hazard(xi: float) -> float:
    """phi(xi) / Phi(xi) of the unit Gaussian."""
    return math.sqrt(2.0 / math.pi) * math.exp(-0.5 * xi * xi) / math.erfc(-xi / math.sqrt(2.0))


@numba.njit(**JIT)
def _without_padding(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sorted values without the one that fills padded regions: far more frequent than any other."""
    n, start, longest, begin, runner_up = values.size, 0, 0, 0, 0
    for k in range(1, n + 1):
        if k == n or values[k] != values[start]:
            if k - start > longest:
                runner_up, longest, begin = longest, k - start, start
            elif k - start > runner_up:
                runner_up = k - start
            start = k
    if longest == n or longest < 16 + 8 * runner_up:
        return values
    return np.concatenate((values[:begin], values[begin + longest :]))

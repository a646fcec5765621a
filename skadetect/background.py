"""Background and noise of an image: a mesh of robust statistics, estimated by strips, read by windows.

In crowded fields sources lift every quantile above the mode, and even the mean and the clipped median, so
both numbers come from the pixels below the mode: within each mesh cell a Gaussian is fitted to the part of
the distribution under `upper` standard deviations (maximum likelihood of a truncated normal), which is where
the sky is clean. On pure Gaussian noise that is unbiased.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from skadetect._numba import JIT, PARALLEL
from skadetect.errors import ConfigError
from skadetect.image import Image

BLOCK_PIXELS = 1 << 23
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
    """

    cell: int = 0
    cell_beams: float = 32.0
    samples: int = 4096
    upper: float = 1.0
    lower: float = 4.0
    filter_size: int = 3

    def __post_init__(self) -> None:
        if self.cell < 0 or self.samples < 64 or self.filter_size < 1 or self.filter_size % 2 == 0:
            raise ConfigError(f"{self}: expected cell >= 0, samples >= 64 and an odd filter_size")
        if not (self.upper > -1 and self.lower > 2 and self.cell_beams > 0):
            raise ConfigError(f"{self}: expected upper > -1, lower > 2 and cell_beams > 0")


@dataclass(frozen=True)
class Background:
    """Background level and noise of an image as a mesh.

    Attributes
    ----------
    level, rms : (z, my, mx) float64
        At the centres of the cells, in the image's unit.
    shape : (z, y, x)
        Of the image.
    """

    level: NDArray[np.float64]
    rms: NDArray[np.float64]
    shape: tuple[int, int, int]

    def at(
        self, lo: tuple[int, int, int], hi: tuple[int, int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Level and rms of the pixels lo <= index < hi, bilinear between cell centres.

        Outside the mesh's centres, and outside the image, the nearest value holds. A pixel's value does not
        depend on the window it is asked in.

        Returns
        -------
        level, rms : (z, y, x) float32
        """
        size = tuple(max(b - a, 0) for a, b in zip(lo, hi, strict=True))
        planes = np.clip(np.arange(lo[0], lo[0] + size[0]), 0, self.shape[0] - 1)
        rows = _mesh_positions(lo[1], size[1], extent=self.shape[1], cells=self.level.shape[1])
        columns = _mesh_positions(lo[2], size[2], extent=self.shape[2], cells=self.level.shape[2])
        out = np.empty((2, *size), np.float32)
        for values, plane in zip((self.level, self.rms), out, strict=True):
            _interpolate(values, planes, rows, columns, plane)
        return out[0], out[1]


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
        Called with (rows of cells done, rows of cells in all).

    Returns
    -------
    Background
        Cells with too few pixels take the values of their neighbours; where an image is constant the rms is
        the smallest positive number that keeps signal to noise finite.
    """
    options = options or BackgroundOptions()
    planes, height, width = image.shape
    side = options.cell or max(128, math.ceil(options.cell_beams * image.pixel_beam.fwhm))
    edges_y, edges_x = _edges(height, side), _edges(width, side)
    rows = edges_y.size - 1
    mesh = np.full((2, planes, rows, edges_x.size - 1), np.nan)
    for plane in range(planes):
        for row in range(rows):
            span = (int(edges_y[row]), int(edges_y[row + 1]))
            mesh[:, plane, row] = _row_of_cells(image, plane, span, edges_x, options)
            if progress is not None:
                progress(plane * rows + row + 1, planes * rows)
        mesh[:, plane] = _completed(mesh[:, plane], size=options.filter_size)
    return Background(mesh[0], mesh[1], image.shape)


def _edges(extent: int, side: int) -> NDArray[np.int64]:
    """Borders of cells of about `side` that share an extent equally."""
    return np.rint(np.linspace(0, extent, max(1, round(extent / side)) + 1)).astype(np.int64)


def _mesh_positions(start: int, count: int, *, extent: int, cells: int) -> NDArray[np.float64]:
    """Positions of pixels in units of cells, 0 at the first cell's centre, held within the centres."""
    position = (np.arange(start, start + count) + 0.5) * (cells / extent) - 0.5
    return np.clip(position, 0.0, cells - 1.0)


def _row_of_cells(
    image: Image, plane: int, span: tuple[int, int], edges: NDArray[np.int64], options: BackgroundOptions
) -> NDArray[np.float64]:
    """Level and rms (2, cells) of the cells between two rows of pixels."""
    height = span[1] - span[0]
    step = max(1, math.floor(math.sqrt(height * int(edges[1] - edges[0]) / options.samples)))
    parts = []
    for first, last in _blocks(edges, height=height):
        lo, hi = (plane, span[0], int(edges[first])), (plane + 1, span[1], int(edges[last]))
        pixels = np.ascontiguousarray(image.read(lo, hi)[0, ::step])
        inner = edges[first : last + 1] - edges[first]
        parts.append(_cell_statistics(pixels, inner, step, options.upper, options.lower))
    return np.concatenate(parts, axis=1)


def _blocks(edges: NDArray[np.int64], *, height: int) -> Iterator[tuple[int, int]]:
    """Ranges of cells whose pixels may be in memory together."""
    cells = edges.size - 1
    per_block = max(1, BLOCK_PIXELS // (height * int(edges[1] - edges[0])))
    for first in range(0, cells, per_block):
        yield first, min(first + per_block, cells)


def _completed(mesh: NDArray[np.float64], *, size: int) -> NDArray[np.float64]:
    """Level and rms (2, my, mx) without gaps (the nearest cell fills them), then median filtered."""
    level, rms = mesh
    level = _filled(level, np.isfinite(level), default=0.0)
    single = np.finfo(np.float32)
    floor = max(float(single.tiny), float(single.eps) * float(np.abs(level).max()))
    rms = _filled(rms, np.isfinite(rms) & (rms > floor), default=floor)
    return np.stack([_median_filtered(level, size), _median_filtered(rms, size)])


def _filled(values: NDArray[np.float64], good: NDArray[np.bool_], *, default: float) -> NDArray[np.float64]:
    """Values, where they are not good those of the nearest that are."""
    if not good.any():
        return np.full_like(values, default)
    nearest = distance_transform_edt(~good, return_distances=False, return_indices=True)
    filled: NDArray[np.float64] = values[tuple(nearest)]
    return filled


def _median_filtered(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Median over size x size cells; the border repeats."""
    padded = np.pad(values, size // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    medians: NDArray[np.float64] = np.median(windows, axis=(-2, -1))
    return medians


@numba.njit(**PARALLEL)
def _cell_statistics(
    pixels: NDArray[np.float32], edges: NDArray[np.int64], step: int, upper: float, lower: float
) -> NDArray[np.float64]:
    """Level and rms (2, cells) of cells side by side, from every step-th column; NaN for few pixels."""
    out = np.empty((2, edges.size - 1))
    for cell in numba.prange(edges.size - 1):
        values = np.empty(pixels.shape[0] * (edges[cell + 1] - edges[cell]), np.float32)
        count = 0
        for i in range(pixels.shape[0]):
            for j in range(edges[cell], edges[cell + 1], step):
                values[count] = pixels[i, j]
                count += not np.isnan(pixels[i, j])
        level, rms = _clean_gaussian(np.sort(values[:count]), upper, lower)
        out[0, cell], out[1, cell] = level, rms
    return out


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
    for _ in range(ITERATIONS):
        cut = mean + upper * sigma
        count, first, second = 0, 0.0, 0.0
        for k in range(np.searchsorted(values, np.float32(origin + mean - lower * sigma)), n):
            x = np.float64(values[k]) - origin
            if x > cut:
                break
            count, first, second = count + 1, first + x, second + x * x
        if count < MIN_SAMPLES // 2:
            break
        first /= count
        gap = cut - first
        xi, hazard = _truncation((second / count - first * first) / (gap * gap))
        new = gap / (xi + hazard)
        change = abs(new - sigma)
        mean, sigma = cut - xi * new, new
        if change < 1e-4 * sigma:
            break
    return origin + mean, sigma


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


@numba.njit(**PARALLEL)
def _interpolate(
    mesh: NDArray[np.float64],
    planes: NDArray[np.int64],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Bilinear values of a mesh at rows and columns given in cells."""
    last_y, last_x = mesh.shape[1] - 1, mesh.shape[2] - 1
    for i in numba.prange(rows.size):
        y = min(int(rows[i]), max(last_y - 1, 0))
        fy = rows[i] - y
        for k in range(planes.size):
            lower, upper = mesh[planes[k], y], mesh[planes[k], min(y + 1, last_y)]
            line = (1.0 - fy) * lower + fy * upper
            for j in range(columns.size):
                x = min(int(columns[j]), max(last_x - 1, 0))
                fx = columns[j] - x
                out[k, i, j] = (1.0 - fx) * line[x] + fx * line[min(x + 1, last_x)]

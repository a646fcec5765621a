"""Background and noise of an image as a mesh of cells, bilinear between their centres, read by windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect import arena
from skadetect._numba import EXACT, JIT, PARALLEL

LARGEST = np.finfo(np.float32).max


class _Where(NamedTuple):
    """Places of a window's pixels in a mesh.

    Planes of channels, rows in cells; columns by stretches between two centres of cells: the left cell and
    the first column of each (and the end), and each column's share of the right cell.
    """

    planes: NDArray[np.int64]
    rows: NDArray[np.float64]
    left: NDArray[np.int64]
    starts: NDArray[np.int64]
    share: NDArray[np.float32]


@dataclass(frozen=True)
class Background:
    """Background level and noise of an image as a mesh.

    Attributes
    ----------
    level, rms : (z, my, mx) float64
        At the centres of the cells, in the image's unit.
    shape : (z, y, x)
        Of the image.
    covered : float
        Share of the cells that hold data.
    """

    level: NDArray[np.float64]
    rms: NDArray[np.float64]
    shape: tuple[int, int, int]
    covered: float = 1.0

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
        where, level, rms = self._window(lo, hi)
        _interpolate(self.level, where, level)
        _interpolate(self.rms, where, rms)
        return level, rms

    def near(
        self,
        lo: tuple[int, int, int],
        hi: tuple[int, int, int],
        positions: NDArray[np.float64],
        *,
        reach: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Level and rms as `at` gives them, but only where they are looked at.

        Parameters
        ----------
        lo, hi : (z, y, x)
            The window.
        positions : (n, 3) float64
            (z, y, x) in pixels of the window; what lies outside counts as its nearest pixel.
        reach : int
            Pixels from a position's own along each axis that are worked out; all others hold anything.

        Returns
        -------
        level, rms : (z, y, x) float32
        """
        where, level, rms = self._window(lo, hi)
        pixels = np.clip(np.floor(positions + 0.5), 0, np.array(level.shape) - 1).astype(np.int64)
        _interpolate_near(self.level, where, pixels, reach, level)
        _interpolate_near(self.rms, where, pixels, reach, rms)
        return level, rms

    def spectra(
        self, first: NDArray[np.int64], count: int, where: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Level and rms of some channels at pixels, as `at` has them.

        Parameters
        ----------
        first : (n,) int
            First channel of each pixel's.
        count : int
            Channels of each; beyond the cube those at its ends hold.
        where : (n, 2) int
            The pixels (y, x).

        Returns
        -------
        level, rms : (n, count) float64
        """
        planes = np.clip(first[:, None] + np.arange(count), 0, self.shape[0] - 1)
        places = [
            _mesh_positions(where[:, axis], extent=extent, cells=cells)
            for axis, (cells, extent) in enumerate(zip(self.level.shape[1:], self.shape[1:], strict=True))
        ]
        return _bilinear(self.level, planes, places), _bilinear(self.rms, planes, places)

    def snr(
        self, pixels: NDArray[np.float32], lo: tuple[int, int, int], *, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Signal to noise (pixels - level) / rms of a window, without making maps of either.

        Parameters
        ----------
        pixels : (z, y, x) float32
            The window, in the image's unit.
        lo : (z, y, x)
            Its first pixel in the image.
        out : (z, y, x) float32, optional
            Where to put it.

        Returns
        -------
        (z, y, x) float32
            0 where pixels are blank.
        """
        out = np.empty(pixels.shape, np.float32) if out is None else out
        _signal_to_noise(pixels, self.level, self.rms, self._where(lo, pixels.shape), out)
        return out

    def _window(
        self, lo: tuple[int, int, int], hi: tuple[int, int, int]
    ) -> tuple[_Where, NDArray[np.float32], NDArray[np.float32]]:
        """Where a window's pixels are in the mesh, and room for its level and rms."""
        size = max(hi[0] - lo[0], 0), max(hi[1] - lo[1], 0), max(hi[2] - lo[2], 0)
        return self._where(lo, size), arena.empty(size), arena.empty(size)

    def _where(self, lo: tuple[int, int, int], size: tuple[int, ...]) -> _Where:
        """Where the pixels of a window are in the mesh."""
        planes = np.clip(np.arange(lo[0], lo[0] + size[0]), 0, self.shape[0] - 1)
        rows = _mesh_positions(
            np.arange(lo[1], lo[1] + size[1]), extent=self.shape[1], cells=self.level.shape[1]
        )
        columns = _mesh_positions(
            np.arange(lo[2], lo[2] + size[2]), extent=self.shape[2], cells=self.level.shape[2]
        )
        left = np.minimum(columns.astype(np.int64), max(self.level.shape[2] - 2, 0))
        starts = np.append(np.flatnonzero(np.diff(left, prepend=-1)), left.size)
        return _Where(planes, rows, left[starts[:-1]], starts, (columns - left).astype(np.float32))


def _mesh_positions(pixels: NDArray[np.int64], *, extent: int, cells: int) -> NDArray[np.float64]:
    """Positions of pixels in units of cells, 0 at the first cell's centre, held within the centres."""
    return np.clip((pixels + 0.5) * (cells / extent) - 0.5, 0.0, cells - 1.0)


def _bilinear(
    mesh: NDArray[np.float64], planes: NDArray[np.int64], places: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Values of planes (n, count) of a mesh at places y and x (n,) in cells."""
    total = np.zeros(planes.shape)
    low = [place.astype(np.int64) for place in places]
    for corner in np.ndindex(2, 2):
        near = [np.minimum(a + c, n - 1) for a, c, n in zip(low, corner, mesh.shape[1:], strict=True)]
        share = [np.abs(1 - c - (p - a)) for p, a, c in zip(places, low, corner, strict=True)]
        total += (share[0] * share[1])[:, None] * mesh[planes, near[0][:, None], near[1][:, None]]
    return total


@numba.njit(**PARALLEL)
def _interpolate(mesh: NDArray[np.float64], where: _Where, out: NDArray[np.float32]) -> None:
    """Bilinear values of a mesh."""
    for i in numba.prange(where.rows.size):
        for k in range(where.planes.size):
            line, row = _mesh_line(mesh[where.planes[k]], where.rows[i]), out[k, i]
            for c in range(where.left.size):
                value, step = _ends(line, where.left[c])
                for j in range(where.starts[c], where.starts[c + 1]):
                    row[j] = value + where.share[j] * step


@numba.njit(**PARALLEL)
def _interpolate_near(
    mesh: NDArray[np.float64], where: _Where, pixels: NDArray[np.int64], reach: int, out: NDArray[np.float32]
) -> None:
    """Bilinear values of a mesh around some pixels; where they meet, the same is written twice."""
    depth, height, width = out.shape
    cells = np.empty(width, np.int64)
    for c in range(where.left.size):
        cells[where.starts[c] : where.starts[c + 1]] = where.left[c]
    for n in numba.prange(len(pixels)):
        z, y, x = pixels[n]
        for k in range(max(z - reach, 0), min(z + reach + 1, depth)):
            plane = mesh[where.planes[k]]
            for i in range(max(y - reach, 0), min(y + reach + 1, height)):
                for j in range(max(x - reach, 0), min(x + reach + 1, width)):
                    value = _mesh_value(plane, where.rows[i], cells[j])
                    step = _mesh_value(plane, where.rows[i], min(cells[j] + 1, plane.shape[1] - 1)) - value
                    out[k, i, j] = value + where.share[j] * step


@numba.njit(**PARALLEL)
def _signal_to_noise(
    pixels: NDArray[np.float32],
    level: NDArray[np.float64],
    rms: NDArray[np.float64],
    where: _Where,
    out: NDArray[np.float32],
) -> None:
    """(pixels - level) / rms, 0 where that is not finite."""
    for i in numba.prange(where.rows.size):
        for k in range(where.planes.size):
            levels = _mesh_line(level[where.planes[k]], where.rows[i])
            noises = _mesh_line(rms[where.planes[k]], where.rows[i])
            line, row = pixels[k, i], out[k, i]
            for c in range(where.left.size):
                here = slice(where.starts[c], where.starts[c + 1])
                ends = _ends(levels, where.left[c]), _ends(noises, where.left[c])
                _stretch_signal_to_noise(line[here], where.share[here], ends, row[here])


@numba.njit(**EXACT)
def _stretch_signal_to_noise(line: Any, share: Any, ends: Any, row: Any) -> None:
    """Pixels between two centres of cells, in vector instructions.

    Rounded alike at the end of a row, where fewer pixels are left than a vector has: windows must agree.
    """
    (level, rise), (noise, step) = ends
    for j in range(line.size):
        value = (line[j] - (level + share[j] * rise)) / (noise + share[j] * step)
        row[j] = value if abs(value) <= LARGEST else np.float32(0)


@numba.njit(**JIT)
def _mesh_line(plane: NDArray[np.float64], row: float) -> NDArray[np.float32]:
    """A plane of the mesh at a row given in cells."""
    line = np.empty(plane.shape[1], np.float32)
    for column in range(line.size):
        line[column] = _mesh_value(plane, row, column)
    return line


@numba.njit(**JIT)
def _mesh_value(plane: NDArray[np.float64], row: float, column: int) -> np.float32:
    """A column of the mesh at a row given in cells."""
    last = plane.shape[0] - 1
    y = min(int(row), max(last - 1, 0))
    share = row - y
    return np.float32((1.0 - share) * plane[y, column] + share * plane[min(y + 1, last), column])


@numba.njit(**JIT)
def _ends(line: NDArray[np.float32], left: int) -> tuple[float, float]:
    """Value at a cell's centre and the step to the next one."""
    return line[left], line[min(left + 1, line.size - 1)] - line[left]

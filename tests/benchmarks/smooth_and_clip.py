"""The peer of the HI benchmark: a smooth-and-clip finder in the manner of SoFiA-2 (Westmeier et al. 2021).

A cube is divided by the noise of its channels and cells, and smoothed by each spatial and each spectral
kernel in turn, with what is detected already held at a fixed value; voxels beyond a threshold, of either
sign, are flagged. Flagged voxels near each other are linked to sources. The density of negative sources in
the space of peak, sum and mean says how reliable each positive one is (Serra et al. 2012). Parameters are
moments over the source's voxels (`moments.py`); thresholds and calibration are tuned on the truth
(`tune.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit, prange
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from skadetect._numba import JIT, PARALLEL

Cube = NDArray[np.float32]
FWHM_PER_SIGMA = math.sqrt(8.0 * math.log(2.0))
MAD_TO_SIGMA = 1.4826
SAMPLES = 1 << 20
CELL = 32


@dataclass(frozen=True)
class FinderOptions:
    """How voxels are flagged.

    Attributes
    ----------
    threshold : float
        Clip level in units of the noise of each smoothed cube.
    spatial : tuple of float
        FWHM of the Gaussian kernels, pixels; 0 is none.
    spectral : tuple of int
        Widths of the boxcar kernels, channels, odd; 0 is none.
    replacement : float
        Value, in units of the noise, that detected voxels are given before the next smoothing.
    """

    threshold: float = 4.0
    spatial: tuple[float, ...] = (0.0, 3.0, 6.0)
    spectral: tuple[int, ...] = (0, 3, 7, 15)
    replacement: float = 2.0


@dataclass(frozen=True)
class LinkerOptions:
    """How voxels become sources.

    Attributes
    ----------
    radius : (z, xy)
        Flagged voxels no further apart than this are linked.
    least : (z, y, x)
        Smallest extent of a source in voxels.
    """

    radius: tuple[int, int] = (2, 1)
    least: tuple[int, int, int] = (3, 3, 3)


@dataclass(frozen=True)
class Noise:
    """The noise of a cube, a product.

    Attributes
    ----------
    channels : (z,) float32
        Noise of the channels, in the cube's unit.
    sky : (y, x) float32
        Factor over the field, about 1.
    """

    channels: NDArray[np.float32]
    sky: NDArray[np.float32]


@dataclass(frozen=True)
class Sources:
    """Linked sources.

    Attributes
    ----------
    labels : (z, y, x) int32
        Source of each voxel, row of `table` plus 1; 0 is none.
    table : DataFrame
        Of each source: n (voxels), sum, peak (of the larger of both signs; units of the noise) and the bounds
        z0, z1, y0, y1, x0, x1 (upper ones exclusive).
    """

    labels: NDArray[np.int32]
    table: pd.DataFrame


def normalise(cube: Cube) -> Noise:
    """Divide a cube by its noise, in place, and give blank voxels 0.

    The noise is 1.4826 times the median size of the negative values, of each channel and then of each cell of
    the sky, all channels together.
    """
    channels = _channel_noise(cube)
    _divide(cube, channels, np.ones(cube.shape[1:], np.float32))
    sky = _sky_noise(cube)
    _divide(cube, np.ones(len(cube), np.float32), sky)
    return Noise(channels, sky)


def flag_voxels(cube: Cube, work: Cube, options: FinderOptions) -> NDArray[np.bool_]:
    """Smooth and clip.

    Parameters
    ----------
    cube : (z, y, x) float32
        In units of the noise, as `normalise` leaves it.
    work : (z, y, x) float32
        Room for a smoothed cube.
    options : FinderOptions

    Returns
    -------
    (z, y, x) bool
        Voxels beyond the threshold, of either sign, in any of the smoothed cubes.
    """
    mask = np.zeros(cube.shape, np.bool_)
    for fwhm in options.spatial:
        taps = gaussian_taps(fwhm)
        for width in options.spectral:
            smooth(cube, mask, work, taps=taps, width=width, value=options.replacement)
            _flag(work, np.float32(options.threshold * noise_of(work)), mask)
    return mask


def gaussian_taps(fwhm: float) -> NDArray[np.float32]:
    """Half a Gaussian kernel, its middle first, cut at 3.5 standard deviations; the whole has unit sum."""
    sigma = max(fwhm / FWHM_PER_SIGMA, 1e-6)
    taps = np.exp(-0.5 * (np.arange(math.ceil(3.5 * sigma) if fwhm else 1) / sigma) ** 2)
    return (taps / (2.0 * taps.sum() - taps[0])).astype(np.float32)


def smooth(
    cube: Cube,
    mask: NDArray[np.bool_],
    out: Cube,
    *,
    taps: NDArray[np.float32],
    width: int,
    value: float,
) -> None:
    """Smooth a cube, masked voxels held at `value` with their own sign; zero beyond the edges."""
    _smooth_planes(cube, mask, np.float32(value), taps, out)
    if width > 1:
        _smooth_spectra(out, width)


def noise_of(cube: Cube) -> float:
    """Noise from the negative values of about a million voxels."""
    flat = cube.reshape(-1)
    step = max(flat.size // SAMPLES, 1)
    sample = flat[:: step + 1 - step % 2]  # odd, so as not to walk along an axis
    negative = sample[sample < 0]
    return MAD_TO_SIGMA * float(-np.median(negative)) if len(negative) else 0.0


def link(
    cube: Cube, mask: NDArray[np.bool_], labels: NDArray[np.int32], *, options: LinkerOptions
) -> Sources:
    """Link flagged voxels to sources of either sign; `labels`, room for theirs, is written over."""
    voxels = np.flatnonzero(mask)
    offsets = _offsets(*options.radius)
    roots = _link(voxels, offsets, labels)
    unique, source = np.unique(roots, return_inverse=True)
    stats, bounds = _measure(cube, voxels, source, len(unique))
    extent = bounds[:, 1::2] - bounds[:, ::2]
    large = (extent >= np.asarray(options.least)).all(axis=1) & (stats[:, 1] != 0.0)
    number = np.where(large, np.cumsum(large), 0).astype(np.int32)
    labels.reshape(-1)[voxels] = number[source]
    table = pd.DataFrame(bounds[large], columns=["z0", "z1", "y0", "y1", "x0", "x1"])
    total = stats[large, 1]
    peak = np.where(total > 0, stats[large, 3], stats[large, 2])
    return Sources(labels, table.assign(n=stats[large, 0].astype(np.int64), sum=total, peak=peak))


def significance(table: pd.DataFrame, beam_area: float) -> NDArray[np.float64]:
    """Size of each sum over the noise of as many voxels, whose beam covers `beam_area` pixels, shape (n,)."""
    return np.abs(table["sum"].to_numpy()) / np.sqrt(table["n"].to_numpy() * beam_area)


def reliability(table: pd.DataFrame, rows: NDArray[np.int64], scale: float) -> NDArray[np.float64]:
    """How sure sources are positive for a reason.

    Parameters
    ----------
    table : DataFrame
        Sources of either sign, with n, sum and peak.
    rows : (m,) int
        Those asked for.
    scale : float
        Width of the kernel of density in units of the spread of the negative sources.

    Returns
    -------
    (m,) float64
        (P - N) / P with the densities of positive and negative sources in (log peak, log sum, log mean), at
        least 0; 1 where fewer than four negative sources leave their density unknown.
    """
    total = np.abs(table["sum"].to_numpy())
    features = np.log10(np.stack([np.abs(table["peak"].to_numpy()), total, total / table["n"]], axis=1))
    positive = table["sum"].to_numpy() > 0
    if (~positive).sum() < 4:
        return np.ones(len(rows))
    covariance = np.cov(features[~positive].T) * scale**2 + 1e-9 * np.eye(3)
    white = features @ np.linalg.cholesky(np.linalg.inv(covariance))
    density = _density(white[rows], white, positive)
    share = (density[:, 0] - density[:, 1]) / np.maximum(density[:, 0], 1e-300)
    return np.maximum(share, 0.0)


def _offsets(radius_z: int, radius_xy: int) -> NDArray[np.int64]:
    """Neighbours that come before a voxel in memory: a disc on the sky, channels up to a radius."""
    z, y, x = np.mgrid[
        -radius_z : radius_z + 1, -radius_xy : radius_xy + 1, -radius_xy : radius_xy + 1
    ].reshape(3, -1)
    within = y**2 + x**2 <= radius_xy**2 + radius_xy  # a diagonal neighbour counts at radius 1
    before = (z < 0) | ((z == 0) & ((y < 0) | ((y == 0) & (x < 0))))
    return np.stack([z, y, x], axis=1)[within & before]


def _sky_noise(cube: Cube) -> NDArray[np.float32]:
    """Noise over the field, (y, x), bilinear between cells of about `CELL` pixels."""
    thin = cube[:: max(len(cube) // 64, 1)]
    cells = tuple(max(side // CELL, 1) for side in cube.shape[1:])
    rows, columns = (
        np.linspace(0, side, n + 1).astype(int) for side, n in zip(cube.shape[1:], cells, strict=True)
    )
    noise = np.ones(cells)
    for i, j in np.ndindex(*cells):
        block = thin[:, rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
        negative = block[block < 0]
        if negative.size > CELL:
            noise[i, j] = -MAD_TO_SIGMA * np.median(negative)
    places = [(np.arange(side) + 0.5) * n / side - 0.5 for side, n in zip(cube.shape[1:], cells, strict=True)]
    return map_coordinates(noise, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest").astype("f4")


@njit(**PARALLEL)
def _channel_noise(cube):
    out = np.ones(cube.shape[0], np.float32)
    for z in prange(cube.shape[0]):
        plane = cube[z].copy().ravel()
        negative = plane[plane < 0]
        if negative.size:
            out[z] = -1.4826 * np.median(negative)
    return out


@njit(**PARALLEL)
def _divide(cube, channels, sky):
    for z in prange(cube.shape[0]):
        for y in range(cube.shape[1]):
            for x in range(cube.shape[2]):
                value = cube[z, y, x] / (channels[z] * sky[y, x])
                cube[z, y, x] = value if np.isfinite(value) else np.float32(0.0)


@njit(**PARALLEL)
def _smooth_planes(cube, mask, value, taps, out):
    nz, ny, nx = cube.shape
    r = taps.size - 1
    for z in prange(nz):
        rows = np.zeros((ny + 2 * r, nx), np.float32)
        line = np.zeros(nx + 2 * r, np.float32)
        for y in range(ny):
            for x in range(nx):
                v = cube[z, y, x]
                line[x + r] = np.copysign(value, v) if mask[z, y, x] else v
            row = rows[y + r]
            row[:] = taps[0] * line[r : r + nx]
            for k in range(1, r + 1):
                for x in range(nx):
                    row[x] += taps[k] * (line[x + r - k] + line[x + r + k])
        for y in range(ny):
            row = out[z, y]
            for x in range(nx):
                row[x] = taps[0] * rows[y + r, x]
            for k in range(1, r + 1):
                for x in range(nx):
                    row[x] += taps[k] * (rows[y + r - k, x] + rows[y + r + k, x])


@njit(**PARALLEL)
def _smooth_spectra(cube, width):
    """Running means over `width` channels, in place."""
    nz, ny, nx = cube.shape
    r = width // 2
    for y in prange(ny):
        kept = np.zeros((width, nx), np.float32)  # a ring of the original channels
        total = np.zeros(nx, np.float64)
        for z in range(nz + r):
            slot = kept[z % width]
            for x in range(nx):
                new = cube[z, y, x] if z < nz else np.float32(0.0)
                total[x] += new - slot[x]
                slot[x] = new
            if z >= r:
                for x in range(nx):
                    cube[z - r, y, x] = total[x] / width


@njit(**PARALLEL)
def _flag(smoothed, limit, mask):
    for z in prange(smoothed.shape[0]):
        for y in range(smoothed.shape[1]):
            for x in range(smoothed.shape[2]):
                if abs(smoothed[z, y, x]) > limit:
                    mask[z, y, x] = True


@njit(**JIT)
def _root(parent, k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@njit(**JIT)
def _link(voxels, offsets, labels):
    """Root of each voxel's tree, shape (n,); `labels` becomes each voxel's place in `voxels` plus 1."""
    ny, nx = labels.shape[1:]
    parent = np.arange(voxels.size)
    labels[:] = 0
    for k in range(voxels.size):
        z, rest = divmod(voxels[k], ny * nx)
        y, x = divmod(rest, nx)
        labels[z, y, x] = k + 1
        for j in range(len(offsets)):
            a, b, c = z + offsets[j, 0], y + offsets[j, 1], x + offsets[j, 2]
            if a >= 0 and 0 <= b < ny and 0 <= c < nx and labels[a, b, c] > 0:
                one, other = _root(parent, k), _root(parent, labels[a, b, c] - 1)
                parent[max(one, other)] = min(one, other)
    for k in range(voxels.size):
        parent[k] = _root(parent, k)
    return parent


@njit(**JIT)
def _measure(cube, voxels, source, n):
    """Count, sum, minimum and maximum (n, 4) and bounds z0, z1, y0, y1, x0, x1 (n, 6) of each source."""
    ny, nx = cube.shape[1:]
    stats, bounds = np.zeros((n, 4)), np.zeros((n, 6), np.int64)
    for k in range(voxels.size):
        z, rest = divmod(voxels[k], ny * nx)
        y, x = divmod(rest, nx)
        one, value, place = source[k], cube[z, y, x], (z, y, x)
        for axis in range(3):
            if stats[one, 0] == 0 or place[axis] < bounds[one, 2 * axis]:
                bounds[one, 2 * axis] = place[axis]
            if stats[one, 0] == 0 or place[axis] + 1 > bounds[one, 2 * axis + 1]:
                bounds[one, 2 * axis + 1] = place[axis] + 1
        stats[one, 0] += 1
        stats[one, 1] += value
        stats[one, 2] = min(stats[one, 2], value)
        stats[one, 3] = max(stats[one, 3], value)
    return stats, bounds


@njit(**PARALLEL)
def _density(at, points, positive):
    """Densities of positive and negative points, in units of their own, at some places (m, 2)."""
    out = np.zeros((len(at), 2))
    for i in prange(len(at)):
        for j in range(len(points)):
            square = 0.0
            for k in range(3):
                square += (at[i, k] - points[j, k]) ** 2
            if square < 40.0:
                out[i, 0 if positive[j] else 1] += math.exp(-0.5 * square)
    return out

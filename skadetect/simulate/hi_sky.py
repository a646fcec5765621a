"""The galaxies of a cube, slab by slab: each is drawn for the first slab it is in, dropped after the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skadetect.beams import PixelBeam
from skadetect.simulate.discs import Cubelet, Disc, line_width, render
from skadetect.simulate.hi_observe import NoiseLevel
from skadetect.simulate.hi_options import HiOptions, HiTelescope

Cube = NDArray[np.float32]


@dataclass(frozen=True)
class PlacedGalaxy:
    """A galaxy and its place in the cube.

    Parameters
    ----------
    number : int
        Names it and seeds what is irregular about it.
    position : tuple of float
        Channel of the file, row and column of its centre.
    flux : float
        Line flux integral, Jy Hz.
    disc : Disc
        Its shape in pixels and channels, frequency ascending.
    """

    number: int
    position: tuple[float, float, float]
    flux: float
    disc: Disc


@dataclass(frozen=True)
class Rendered:
    """A galaxy's voxels.

    Parameters
    ----------
    pixels : ndarray, shape (z, y, x)
        Jy/beam, channels in file order.
    corner : tuple of int
        Voxel of the cube, or outside of it, that its first voxel falls on.
    """

    pixels: Cube
    corner: tuple[int, int, int]

    @property
    def last(self) -> int:
        """Channel of the cube behind its last one."""
        return self.corner[0] + self.pixels.shape[0]


@dataclass(frozen=True)
class Measured:
    """What is known of a galaxy once it is drawn.

    Parameters
    ----------
    w20, w50 : float
        Widths of the noiseless line, after Hanning smoothing if the cube has it, channels.
    snr : float
        Signal to noise of the voxels inside of the cube, by the filter that matches them.
    peak : float
        Brightest voxel over the noise.
    asymmetry : float
        The disc's own: 0 is symmetric.
    """

    w20: float
    w50: float
    snr: float
    peak: float
    asymmetry: float


class Sky:
    """Galaxies drawn into slabs of channels, which have to be asked for in order.

    Parameters
    ----------
    galaxies : sequence of PlacedGalaxy
        Those that may reach into the cube.
    telescope : HiTelescope
        Grid and beam.
    options : HiOptions
        Seed.
    level : NoiseLevel
        Noise that signal to noise ratios refer to.

    Attributes
    ----------
    measured : dict of int to Measured
        By the number of each galaxy drawn so far.
    """

    def __init__(
        self, galaxies: Sequence[PlacedGalaxy], telescope: HiTelescope, options: HiOptions, level: NoiseLevel
    ) -> None:
        self._telescope, self._seed, self._level = telescope, options.seed, level
        self._waiting = sorted(galaxies, key=self._first, reverse=True)
        self._drawn: list[Rendered] = []
        self.measured: dict[int, Measured] = {}

    def slab(self, first: int, last: int) -> Cube:
        """Noiseless galaxies in channels first to last - 1.

        Parameters
        ----------
        first, last : int
            Channels of the file; `first` is the `last` of the call before.

        Returns
        -------
        ndarray, shape (last - first, y, x)
            Jy/beam.
        """
        while self._waiting and self._first(self._waiting[-1]) < last:
            self._drawn.append(self._draw(self._waiting.pop()))
        slab = np.zeros((last - first, *self._telescope.shape[1:]), np.float32)
        for each in self._drawn:
            add(slab, each.pixels, (each.corner[0] - first, *each.corner[1:]))
        self._drawn = [each for each in self._drawn if each.last > last]
        return slab

    def _first(self, galaxy: PlacedGalaxy) -> float:
        return galaxy.position[0] - reach(galaxy.disc, self._telescope.beam)[0]

    def _draw(self, galaxy: PlacedGalaxy) -> Rendered:
        cubelet, pixels, corner = self._render(galaxy)
        scale = galaxy.flux / self._telescope.channel_width * self._telescope.beam.area
        rendered = Rendered(pixels * np.float32(scale), corner)
        self.measured[galaxy.number] = self._measure(rendered, cubelet, galaxy)
        return rendered

    def _render(self, galaxy: PlacedGalaxy) -> tuple[Cubelet, Cube, tuple[int, int, int]]:
        """Voxels of sum 1 in file order and where the first one falls."""
        telescope, place = self._telescope, np.array(galaxy.position)
        turn = np.array([1.0 if telescope.ascending else -1.0, 1.0, 1.0])
        offset = (place - np.rint(place)) * turn
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(8, galaxy.number)))
        centre = float(offset[0]), float(offset[1]), float(offset[2])
        cubelet = render(galaxy.disc, telescope.beam, rng=rng, centre=centre)
        pixels, middle = cubelet.pixels, np.array(cubelet.centre)
        if telescope.hanning:
            pixels, middle = hanning(pixels), middle + np.array([1.0, 0.0, 0.0])
        if not telescope.ascending:
            pixels, middle[0] = pixels[::-1], pixels.shape[0] - 1 - middle[0]
        z, y, x = (int(n) for n in np.rint(place - middle))
        return cubelet, pixels, (z, y, x)

    def _measure(self, rendered: Rendered, cubelet: Cubelet, galaxy: PlacedGalaxy) -> Measured:
        """Signal to noise of the part inside of the cube, and the shape of the whole."""
        shape = self._telescope.shape
        inside, target = overlap(rendered.pixels.shape, rendered.corner, shape)
        pixels, channel = rendered.pixels[inside], self._level.channel[target[0]]
        row, column = (int(np.clip(round(galaxy.position[a]), 0, shape[a] - 1)) for a in (1, 2))
        rms = np.asarray(channel * float(self._level.profile[row, column]), np.float32)
        snr = peak = math.nan
        if pixels.size and np.all(rms > 0):
            ratio = pixels / rms[:, None, None]
            power = float(np.sum(ratio**2, dtype=np.float64))
            snr, peak = math.sqrt(power / max(self._telescope.beam.area / 2, 1.0)), float(ratio.max())
        widths = cubelet.w20, cubelet.w50
        if self._telescope.hanning:
            spectrum = rendered.pixels.sum(axis=(1, 2), dtype=np.float64)
            widths = line_width(spectrum, 0.2), line_width(spectrum, 0.5)
        return Measured(*widths, snr, peak, galaxy.disc.asymmetry)


def reach(disc: Disc, beam: PixelBeam) -> tuple[float, float, float]:
    """How far from its centre a galaxy may be seen, at most.

    Parameters
    ----------
    disc : Disc
        In pixels and channels.
    beam : PixelBeam
        What it is seen through.

    Returns
    -------
    z, y, x : float
        Channels, rows and columns.
    """
    across = 2.0 * disc.hi_size + 3.0 * beam.bmaj + 2.0
    return 2.0 * disc.v_flat + 8.0 * disc.dispersion + 5.0, across, across


def hanning(pixels: Cube) -> Cube:
    """Voxels smoothed along the channels with weights 1/4, 1/2, 1/4, one channel longer at both ends."""
    padded = np.pad(pixels, ((2, 2), (0, 0), (0, 0)))
    smooth: Cube = 0.25 * (padded[:-2] + padded[2:]) + 0.5 * padded[1:-1]
    return smooth


def add(cube: Cube, pixels: Cube, corner: tuple[int, int, int]) -> None:
    """Add voxels to a cube in place, those that fall outside of it dropped.

    Parameters
    ----------
    cube : ndarray, shape (z, y, x)
        Changed.
    pixels : ndarray, shape (z, y, x)
        Voxels to add.
    corner : tuple of int
        Voxel of the cube that the first one falls on; it may be outside.
    """
    inside, target = overlap(pixels.shape, corner, cube.shape)
    cube[target] += pixels[inside]


def overlap(
    small: tuple[int, ...], corner: tuple[int, ...], large: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The part of a small array that lies in a large one, as slices of the small and of the large one."""
    inside, target = [], []
    for n, start, size in zip(small, corner, large, strict=True):
        low, high = min(max(start, 0), size), max(min(start + n, size), 0)
        high = max(low, high)
        inside.append(slice(low - start, high - start) if high > low else slice(0, 0))
        target.append(slice(low, high))
    return tuple(inside), tuple(target)

"""Simulate an HI cube: galaxies, telescope, continuum residuals, and the files, in bounded memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from tqdm import tqdm

from skadetect.simulate.hi_continuum import Continuum
from skadetect.simulate.hi_files import continuum_header, cube_header, write_planes, write_truth
from skadetect.simulate.hi_galaxies import place_galaxies, truth_table
from skadetect.simulate.hi_observe import ChannelNoise, faint_response, noise_level
from skadetect.simulate.hi_options import HiOptions, HiTelescope
from skadetect.simulate.hi_sky import Sky

Cube = NDArray[np.float32]

logger = logging.getLogger(__name__)

_SLAB_VOXELS = 1 << 24
# Noise of the continuum image over that of a channel.
_CONTINUUM_NOISE = 0.1


def simulate_hi(
    out_dir: str | os.PathLike[str],
    *,
    options: HiOptions | None = None,
    slab: int | None = None,
    progress: bool = False,
) -> Path:
    """Simulate a cube and write cube.fits, continuum.fits, truth.txt and truth.ecsv.

    Parameters
    ----------
    out_dir : path
        Created where absent; files of these names in it are replaced.
    options : HiOptions, optional
        What to simulate; the default is a piece of SDC2's cube.
    slab : int, optional
        Channels made at a time; the files do not depend on it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Path
        The folder. truth.txt has SDC2's columns under a row of their names; truth.ecsv has more.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    cube = HiCube(options or HiOptions())
    folder, centre = Path(out_dir), (cube.options.ra, cube.options.dec)
    header = cube_header(cube.telescope, centre)
    write_planes(folder / "cube.fits", header, cube.slabs(slab, progress=progress))
    write_planes(
        folder / "continuum.fits", continuum_header(cube.telescope, centre), [cube.continuum_image()]
    )
    truth = cube.truth()
    write_truth(folder, truth)
    logger.info("%s: %d galaxies in %s voxels", folder, len(truth), " x ".join(map(str, cube.options.shape)))
    return folder


class HiCube:
    """A simulated cube, made slab by slab.

    Parameters
    ----------
    options : HiOptions
        What to simulate.

    Attributes
    ----------
    options : HiOptions
    telescope : HiTelescope
        What they resolve to.
    """

    def __init__(self, options: HiOptions) -> None:
        self.options, self.telescope = options, HiTelescope.from_options(options)
        self._level = noise_level(self.telescope, options)
        self._noise = ChannelNoise(self.telescope, options, self._level)
        self._continuum = Continuum(self.telescope, options, float(np.median(self._level.channel)))
        self._blank = _blank(self.telescope)
        self._galaxies = place_galaxies(self.telescope, options)
        self._sky = Sky(self._galaxies.placed, self.telescope, options, self._level)

    def slabs(self, channels: int | None = None, *, progress: bool = False) -> Iterator[Cube]:
        """Make the cube, once.

        Parameters
        ----------
        channels : int, optional
            Channels a slab.
        progress : bool
            Show a progress bar.

        Yields
        ------
        ndarray, shape (channels or fewer, y, x)
            Jy/beam, blank pixels NaN; channels in file order.
        """
        n, rows, columns = self.telescope.shape
        size = channels or max(1, _SLAB_VOXELS // (rows * columns))
        with tqdm(total=n, desc="simulate", unit="channel", disable=not progress) as bar:
            for first in range(0, n, size):
                slab = self._sky.slab(first, min(first + size, n))
                for i in range(len(slab)):
                    slab[i] = self._observe(slab[i], first + i)
                    bar.update()
                yield slab

    def truth(self) -> Table:
        """Galaxies whose centre lies on a voxel with data; complete once all slabs have been made."""
        return truth_table(self._galaxies, self._sky.measured, blank=self._blank, options=self.options)

    def continuum_image(self) -> Cube:
        """Continuum with a tenth of a channel's noise, Jy/beam, shape (y, x)."""
        image = self._continuum.image + np.float32(_CONTINUUM_NOISE) * self._noise.extra()
        return np.where(self._blank, np.float32(np.nan), image)

    def _observe(self, plane: Cube, z: int) -> Cube:
        """One channel as the telescope sees it."""
        rms = float(self._level.channel[z])
        if self.options.response < 1 and rms > 0:
            faint_response(plane, rms, self.options.response)
        self._continuum.add(plane, z)
        plane += self._noise.plane(z)
        if self._noise.flagged(z):
            plane = self._noise.flag(plane, z)
        plane[self._blank] = np.nan
        return plane


def _blank(telescope: HiTelescope) -> NDArray[np.bool_]:
    """Pixels without data, shape (y, x)."""
    _, rows, columns = telescope.shape
    if not telescope.nan_circle:
        return np.zeros((rows, columns), bool)
    y, x = (2 * np.arange(n) / (n - 1) - 1 for n in (rows, columns))
    return np.hypot(y[:, None], x[None, :]) > 1

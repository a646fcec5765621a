"""The bits of a cube catalogue's `flag` column: SoFiA-2's four, and from 16 up those of our own."""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from skadetect.catalog.flags import FlagBit


class CubeFlag(IntFlag):
    """Bits of the `flag` column; `CUBE_FLAGS` says what each one means."""

    SPATIAL_EDGE = 1
    SPECTRAL_EDGE = 2
    BLANK = 4
    OVERLAP = 8
    UNRESOLVED = 16
    BEAM_ESTIMATED = 32
    AVERAGED = 64
    NO_PEAK = 128


CUBE_FLAGS: tuple[FlagBit, ...] = (
    FlagBit(CubeFlag.SPATIAL_EDGE, "spatial_edge", "its box reaches the border of the image"),
    FlagBit(CubeFlag.SPECTRAL_EDGE, "spectral_edge", "its box reaches the first or last channel"),
    FlagBit(CubeFlag.BLANK, "blank", "blank or flagged voxels lie within its box"),
    FlagBit(CubeFlag.OVERLAP, "overlap", "its box overlaps the box of another source"),
    FlagBit(CubeFlag.UNRESOLVED, "unresolved", "hi_size is less than half a beam: take it as an upper limit"),
    FlagBit(CubeFlag.BEAM_ESTIMATED, "beam_estimated", "the header has no beam: fluxes hang on a guess"),
    FlagBit(CubeFlag.AVERAGED, "averaged", "found on averaged pixels or channels, see factor"),
    FlagBit(CubeFlag.NO_PEAK, "no_peak", "no positive peak in the voxels at its position"),
)

#: Diameter below which a disc says little about its size, in beams.
UNRESOLVED_BEAMS = 0.5


def edge_flags(boxes: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[np.int32]:
    """Which boxes reach the borders of a cube.

    Parameters
    ----------
    boxes : array (n, 2, 3)
        Low and high corners (z, y, x), pixels; a voxel ends half a pixel from its centre.
    shape : (z, y, x)
        Of the cube, in the same pixels.

    Returns
    -------
    array (n,), int32
        Bits `CubeFlag.SPATIAL_EDGE` and `CubeFlag.SPECTRAL_EDGE`.
    """
    reaches = (boxes[:, 0] <= -0.5) | (boxes[:, 1] >= np.asarray(shape) - 0.5)
    spatial = np.where(reaches[:, 1:].any(axis=1), CubeFlag.SPATIAL_EDGE.value, 0)
    spectral = np.where(reaches[:, 0], CubeFlag.SPECTRAL_EDGE.value, 0)
    return (spatial | spectral).astype(np.int32)

"""The bits of a cube catalogue's `flag` column: SoFiA-2's four, and from 16 up those of our own."""

from __future__ import annotations

from enum import IntFlag

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

"""How the work of a convolution is cut: precisions, the tile of a block, the parts of its warps."""

from __future__ import annotations

from dataclasses import dataclass

PRECISIONS = ("fp16", "bf16", "tf32", "fp32")
#: Bytes of a tile's row along the summed axis; wgmma's rows are twice as long.
ROW, WIDE_ROW = 64, 128
WARP = 32


def element_bytes(precision: str) -> int:
    """Bytes of a stored number."""
    return 2 if precision in ("fp16", "bf16") else 4


@dataclass(frozen=True)
class Tile:
    """What one block computes: `rows` output pixels of `columns` output features.

    Attributes
    ----------
    rows, columns : int
        Of the block.
    warp_rows, warp_columns : int
        Of each warp: multiples of 16 that divide those.
    stages : int
        Parts of the sum that are in shared memory at a time, 2 to 4.
    wide : bool
        Warp groups of four instructions of sm_90a (wgmma); a warp group then has 64 rows and all columns.
    """

    rows: int
    columns: int
    warp_rows: int
    warp_columns: int
    stages: int
    wide: bool = False

    @property
    def threads(self) -> int:
        """Threads of the block."""
        return WARP * (self.rows // self.warp_rows) * (self.columns // self.warp_columns)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in shared memory."""
        return WIDE_ROW if self.wide else ROW

    @property
    def stage_bytes(self) -> int:
        """Bytes of one part of the sum."""
        return (self.rows + self.columns) * self.row_bytes

    @property
    def shared_bytes(self) -> int:
        """Bytes of dynamic shared memory; results pass through it, warp by warp, sixteen rows at a time."""
        results = self.threads // WARP * 16 * (self.warp_columns + 4) * 4
        return max(self.stages * self.stage_bytes, results) + (1024 if self.wide else 0)


#: From few columns to many: 128 output pixels a block, and half of it where there are few blocks.
TILES = (
    Tile(128, 16, 32, 16, 4),
    Tile(128, 32, 32, 32, 4),
    Tile(128, 64, 64, 32, 4),
    Tile(128, 128, 64, 32, 4),
)
SMALL = (Tile(64, 16, 16, 16, 4), Tile(64, 32, 32, 16, 4), Tile(64, 64, 32, 32, 4), Tile(64, 64, 32, 32, 4))
WIDE = (Tile(128, 64, 16, 64, 4, True), Tile(128, 128, 16, 128, 3, True), Tile(128, 192, 16, 192, 3, True))
#: Blocks below which a device is not filled.
FEW_BLOCKS = 256


def choose_tile(rows: int, columns: int, *, wide: bool) -> Tile:
    """The tile with the least of its columns idle; of those as good the largest.

    Parameters
    ----------
    rows, columns : int
        Output pixels and features.
    wide : bool
        Whether wgmma can be used: sm_90a, operands of which it knows the kind, whole parts of 16 bytes.
    """
    if wide and columns >= 64:
        return min(WIDE, key=lambda tile: (-(-columns // tile.columns) * tile.columns, -tile.columns))
    choices = TILES if _blocks(rows, columns, TILES[-1]) >= FEW_BLOCKS else SMALL
    return min(choices, key=lambda tile: (-(-columns // tile.columns) * tile.columns, -tile.columns))


def _blocks(rows: int, columns: int, tile: Tile) -> int:
    return -(-rows // tile.rows) * -(-columns // tile.columns)

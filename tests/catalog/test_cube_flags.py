"""Flags of a cube's catalogue: SoFiA-2's bits, and where a box reaches the border."""

import numpy as np

from skadetect.catalog.cube_flags import CUBE_FLAGS, CubeFlag, edge_flags
from skadetect.catalog.flags import flag_names, flag_summary


def test_every_bit_is_described_and_sofias_come_first():
    assert [row.bit for row in CUBE_FLAGS] == list(CubeFlag) and all(row.description for row in CUBE_FLAGS)
    assert [row.name for row in CUBE_FLAGS[:4]] == ["spatial_edge", "spectral_edge", "blank", "overlap"]
    assert [row.bit.value for row in CUBE_FLAGS[:4]] == [1, 2, 4, 8] and CUBE_FLAGS[4].bit.value == 16
    assert "16 unresolved" in flag_summary(CUBE_FLAGS) and flag_names(9, CUBE_FLAGS) == (
        "spatial_edge",
        "overlap",
    )


def test_a_box_that_ends_within_the_cube_reaches_no_border():
    box = np.array([[[2.0, 3.0, 4.0], [6.0, 7.0, 8.0]]])
    assert edge_flags(box, (8, 9, 10))[0] == 0
    expected = {(0, 0): 2, (0, 1): 1, (0, 2): 1, (1, 0): 2, (1, 1): 1, (1, 2): 1}
    for (corner, axis), bit in expected.items():
        moved = box.copy()
        moved[0, corner, axis] = (-0.5, (8, 9, 10)[axis] - 0.5)[corner]
        assert edge_flags(moved, (8, 9, 10))[0] == bit
    assert edge_flags(np.empty((0, 2, 3)), (8, 9, 10)).shape == (0,)

"""Flags of a cube's catalogue: SoFiA-2's bits come first."""

from skadetect.catalog.cube_flags import CUBE_FLAGS, CubeFlag
from skadetect.catalog.flags import flag_names, flag_summary
from skadetect.photometry import BLANK_VOXEL, SPATIAL_EDGE, SPECTRAL_EDGE


def test_every_bit_is_described_and_sofias_come_first():
    assert [row.bit for row in CUBE_FLAGS] == list(CubeFlag) and all(row.description for row in CUBE_FLAGS)
    assert [row.name for row in CUBE_FLAGS[:4]] == ["spatial_edge", "spectral_edge", "blank", "overlap"]
    assert [row.bit.value for row in CUBE_FLAGS[:4]] == [1, 2, 4, 8] and CUBE_FLAGS[4].bit.value == 16
    assert "16 unresolved" in flag_summary(CUBE_FLAGS) and flag_names(9, CUBE_FLAGS) == (
        "spatial_edge",
        "overlap",
    )


def test_what_measurement_marks_are_these_bits():
    assert tuple(CubeFlag)[:3] == (SPATIAL_EDGE, SPECTRAL_EDGE, BLANK_VOXEL)

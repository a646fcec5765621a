"""Options that make no sense are refused; names are made in one place."""

import pytest

from skadetect.errors import ConfigError
from skadetect.products import ProductOptions, product_paths


@pytest.mark.parametrize(
    "wrong",
    [
        {"margin": -1.0}, {"margin_channels": -1}, {"max_voxels": 0}, {"workers": 0}, {"threshold": 0.0},
        {"limit": -1}, {"velocity": "redshift"},
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ProductOptions(**wrong)


def test_names_are_plain_and_numbered():
    paths = product_paths("out", "NGC 6946 (HI).fits.gz", 7, ("png", "mom0"))
    assert [path.as_posix() for path in paths.values()] == [
        "out/NGC_6946_HI_0007.png",
        "out/NGC_6946_HI_0007_mom0.fits",
    ]
    assert product_paths("out", "a.b.fits", 12345, ("spec",))["spec"].name == "a.b_12345_spec.fits"
    assert product_paths("out", " ", 1, ("spec",))["spec"].name == "cube_0001_spec.fits"


def test_kinds_follow_the_options():
    assert ProductOptions().kinds[-1] == "cube", "the cubelet is written last"
    assert set(ProductOptions(moments=False, png=False).kinds) == {"cube", "mask", "spec"}


def test_windows_shrink_with_the_memory_and_the_workers():
    one, two, four = (
        ProductOptions.for_memory(size, workers=workers, png=False).max_voxels
        for size, workers in (("2GB", 1), ("4GB", 1), ("4GB", 4))
    )
    assert 30_000_000 < one < two and 0 < four < two / 4
    assert ProductOptions.for_memory("100MB").max_voxels == 500_000

"""The picture of a galaxy is drawn, and its cut runs along the galaxy."""

import numpy as np
import pytest

from skadetect.products import ProductOptions, write_products
from skadetect.products.figure import cut, receding_direction
from skadetect.products.sources import find_sources
from tests.products.toy import CHANNEL, DISC, disc_catalog, disc_cube


@pytest.mark.parametrize("disc", [{}, {"flux": 0.0, "size": 4.0}, {"z": 0.0, "y": 0.0}])
def test_a_picture_is_drawn_of_bright_faint_and_cut_off_galaxies(tmp_path, disc):
    read = pytest.importorskip("matplotlib.image").imread
    image = disc_cube(disc)
    write_products(disc_catalog(image, disc), image, tmp_path, options=ProductOptions(moments=False))
    picture = read(tmp_path / "toy_0001.png")
    assert picture.shape[:2] == (900, 1100) and picture[..., :3].std() > 0.1


@pytest.mark.parametrize("step", [CHANNEL, -CHANNEL])
@pytest.mark.parametrize("theta", [0.6, 2.4, -0.6, -2.4])
def test_a_cut_shows_the_receding_side_at_positive_offsets(step, theta):
    image = disc_cube({"theta": theta}, CDELT3=step, noise=0.0)
    (source,) = find_sources(disc_catalog(image, {"theta": theta}), image, ProductOptions())
    direction = receding_direction(source, image)
    receding = theta if step > 0 else theta + np.pi
    assert np.cos(direction - receding) == pytest.approx(1.0, abs=1e-3)
    pixels = image.read(source.lo, source.hi)
    place = (DISC["y"] - source.lo[1], DISC["x"] - source.lo[2])
    values, offsets = cut(pixels, place, direction, image.pixel_beam.fwhm)
    assert values.shape == (len(pixels), len(offsets)) and 0.0 in offsets
    channels = (values * np.arange(len(pixels))[:, np.newaxis]).sum(axis=0) / values.sum(axis=0)
    rise = np.polyfit(offsets[np.abs(offsets) < 5], channels[np.abs(offsets) < 5], 1)[0]
    assert np.sign(rise) == (-1 if step > 0 else 1), "the receding side has the lower frequency"


def test_an_unknown_direction_is_the_major_axis():
    image = disc_cube({})
    catalog = disc_catalog(image, {})
    catalog.table["kin_pa"] = np.nan
    (source,) = find_sources(catalog, image, ProductOptions())
    assert receding_direction(source, image) == source.theta

"""A picture shows the image, the sources and the beam, in bounded memory, and disturbs nothing."""

import sys

import numpy as np
import pytest

from skadetect.catalog.build import build_catalog
from skadetect.detections import Detections
from skadetect.errors import OutputError
from skadetect.image import open_image
from skadetect.plot import plot_detections, read_overview
from tests.catalog.toy import MODEL, toy_catalog, toy_image
from tests.fits_files import sky_header, write_image


def _drawn(path):
    image = pytest.importorskip("matplotlib.image").imread(path)
    return image[..., :3]


def test_boxes_are_drawn_over_the_image(tmp_path):
    image = toy_image()
    plot_detections(image, toy_catalog(), tmp_path / "with.png")
    plot_detections(image, toy_catalog(0), tmp_path / "without.png")
    with_boxes, without = _drawn(tmp_path / "with.png"), _drawn(tmp_path / "without.png")
    # the image is grey, so colour is boxes, their bar and the beam
    coloured = [(np.ptp(picture, axis=2) > 0.2).sum() for picture in (with_boxes, without)]
    assert coloured[0] > coloured[1] + 1000 and coloured[1] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["with.png", "without.png"]


def test_a_path_is_opened_with_the_beam_of_the_catalogue(tmp_path):
    path = write_image(
        tmp_path / "a.fits",
        np.zeros((40, 50), np.float32),
        sky_header(50, 40, BMAJ=None, BMIN=None, BPA=None),
    )
    image = open_image(path, beam=(5.0, 4.0, 30.0))
    plot_detections(path, build_catalog(Detections.empty(2, 5), image, MODEL), tmp_path / "a.png")
    assert _drawn(tmp_path / "a.png").size


@pytest.mark.filterwarnings("error")
def test_a_blank_image_and_one_with_blank_borders_can_be_drawn(tmp_path):
    for fill in (np.nan, 0.0):
        pixels = np.full((30, 40), fill, np.float32)
        plot_detections(open_image((pixels, sky_header(40, 30))), toy_catalog(0), tmp_path / f"{fill}.png")
        assert _drawn(tmp_path / f"{fill}.png").size


def test_overview_is_the_mean_of_blocks_and_ignores_blanks():
    pixels = np.arange(70 * 50, dtype=np.float32).reshape(70, 50)
    pixels[:4, :4] = np.nan
    pixels[4, 4] = np.nan
    image = open_image((pixels, sky_header(50, 70)))
    overview = read_overview(image, max_pixels=18 * 13)
    assert overview.factor == 4 and overview.pixels.shape == (18, 13)
    assert np.isnan(overview.pixels[0, 0])
    assert overview.pixels[1, 1] == pytest.approx(np.nanmean(pixels[4:8, 4:8]))
    assert overview.pixels[17, 12] == pytest.approx(pixels[68:, 48:].mean())  # half outside
    assert overview.extent == (-0.5, 51.5, -0.5, 71.5)
    np.testing.assert_array_equal(read_overview(image, max_pixels=10**6).pixels, pixels)


def test_an_existing_file_is_kept_if_asked(tmp_path):
    (tmp_path / "a.png").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        plot_detections(toy_image(), toy_catalog(0), tmp_path / "a.png", overwrite=False)
    assert (tmp_path / "a.png").read_text() == "mine"


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(OutputError, match=r"skadetect\[plot\]"):
        plot_detections(toy_image(), toy_catalog(0), tmp_path / "a.png")

"""Rows of smoothed views are sources of the image: its pixels, its beam, its peaks."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.catalog.build import build_catalog
from skadetect.catalog.coarser import Coarser
from skadetect.catalog.flags import Flag
from skadetect.detections import Detections
from skadetect.image import Image
from skadetect.residual import residual_view
from skadetect.sky_model import SkyModel
from tests.catalog.toy import MODEL, RMS, toy_detections, toy_image


def smoothed(image: Image) -> Image:
    none = np.empty(0)
    nothing = SkyModel.of(np.empty((0, 2)), none, (none, none, none), beam=image.pixel_beam, noise=none)
    return residual_view(image, nothing)


def wide(image: Image, **columns: np.ndarray) -> Coarser:
    view = smoothed(image)
    rows = toy_detections(view.pixel_beam, n=3, side=48, **columns)
    return Coarser(rows, view, rms=np.full(3, RMS), background=np.full(3, 0.2 * RMS))


@pytest.fixture(scope="module")
def image() -> Image:
    return toy_image(BMAJ=2.0 / 3600, BMIN=1.4 / 3600, BPA=30.0)


def test_a_large_source_is_told_in_pixels_and_beam_of_the_image(image: Image) -> None:
    shape = {"bmaj": np.array([6.0, 5.0, 4.0]), "bmin": np.array([3.0, 5.0, 1.0]), "theta": np.zeros(3)}
    part = wide(image, **shape)
    table = build_catalog(Detections.empty(2, 5), image, MODEL, coarser=[part]).table
    order = np.argsort(table["x"].value)
    table = table[order]
    position = part.view.to_original(part.rows.position)
    position = position[np.argsort(position[:, 1])]
    np.testing.assert_allclose(table["x"].value, position[:, 1])
    np.testing.assert_allclose(table["y"].value, position[:, 0])
    ra, dec = image.wcs.pixel_to_world_values(position[:, 1], position[:, 0])
    np.testing.assert_allclose(table["ra"].value, ra)
    np.testing.assert_allclose(table["dec"].value, dec)
    beam = PixelBeam(2.0, 1.4)
    axes = table["bmaj"].value * table["bmin"].value
    np.testing.assert_allclose(
        table["peak_flux"].value, table["int_flux"].value * beam.bmaj * beam.bmin / axes, rtol=1e-5
    )
    assert (table["bmaj"] > table["bmaj_deconv"]).all()
    assert (
        axes < table["bmaj_deconv"].value * table["bmin_deconv"].value + 12.0
    ).all()  # not the wide beam's
    np.testing.assert_array_equal(table["scale"], 2)
    np.testing.assert_allclose(table["local_rms"].value, RMS)
    np.testing.assert_allclose(table["local_background"].value, 0.2 * RMS)
    assert (table["flags"] & Flag.RESOLVED.value).all()


def test_rows_of_all_views_are_one_catalogue_by_falling_peak(image: Image) -> None:
    rows, part = toy_detections(image.pixel_beam), wide(image)
    alone = build_catalog(rows, image, MODEL).table
    both = build_catalog(rows, image, MODEL, coarser=[part]).table
    assert len(both) == len(alone) + 3
    assert (np.diff(both["peak_flux"].value) <= 0).all()
    np.testing.assert_array_equal(both["source_id"], np.arange(1, len(both) + 1))
    fine = both[both["scale"] == 1]
    for name in ("ra", "peak_flux", "e_bmaj", "snr", "local_rms"):
        np.testing.assert_array_equal(fine[name], alone[name])
    np.testing.assert_array_equal(
        build_catalog(rows, image, MODEL, coarser=[]).table["peak_flux"], alone["peak_flux"]
    )


def test_a_row_on_a_large_source_is_blended(image: Image) -> None:
    part = wide(image)
    middle = part.view.to_original(part.rows.position[:1])
    small = toy_detections(image.pixel_beam, n=1).with_(
        position=middle, boxes=np.stack([middle - 1, middle + 1], axis=1)
    )
    table = build_catalog(small, image, MODEL, coarser=[part]).table
    blended = (table["flags"] & Flag.BLENDED.value) > 0
    assert blended[table["scale"] == 1].all() and blended[table["scale"] == 2].sum() == 1

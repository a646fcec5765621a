"""Errors and flags of sources."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.catalog.build import build_catalog
from skadetect.catalog.columns import is_resolved, source_columns
from skadetect.catalog.flags import Flag
from skadetect.catalog.provenance import CatalogOptions
from skadetect.catalog.uncertainty import floor_scale
from tests.catalog.toy import MODEL, one_source, toy_detections, toy_image

PIXEL = 1.8  # arcsec, of the toy image


def test_errors_along_an_elongated_source_are_larger_than_across():
    north = one_source(toy_image(), bmaj=20.0, bmin=0.2, theta=np.pi / 2)
    assert north["e_dec"][0] > 2 * north["e_ra"][0]
    east = one_source(toy_image(), bmaj=20.0, bmin=0.2, theta=0.0)
    assert east["e_ra"][0].value == pytest.approx(north["e_dec"][0].value, rel=1e-3)


def test_error_calibration_of_a_model_widens_errors():
    image = toy_image()
    rows = toy_detections(image.pixel_beam)
    calibration = dict.fromkeys(("e_ra", "e_pa", "e_bmin"), (1.0, 0.5)) | {"e_int_flux": (2.0, 0.1)}
    model = SimpleNamespace(**{**vars(MODEL), "metadata": {"error_calibration": calibration}})
    plain, wide = build_catalog(rows, image, MODEL), build_catalog(rows, image, model)
    expected = np.hypot(2 * plain["e_int_flux"].value, 0.1 * plain["int_flux"].value)
    np.testing.assert_allclose(wide["e_int_flux"].value, expected, rtol=1e-5)
    np.testing.assert_allclose(
        wide["e_ra"].value, np.hypot(plain["e_ra"].value, 0.5 * plain["bmaj"].value), rtol=1e-5
    )
    np.testing.assert_allclose(wide["e_pa"].value, np.hypot(plain["e_pa"].value, np.degrees(0.5)), rtol=1e-5)
    columns = {name: plain[name].value for name in ("bmaj", "bmin", "snr")}
    floor = floor_scale("e_bmin", columns, beam=image.pixel_beam.scaled(image.pixel_scale))
    size = np.hypot(plain["e_bmin"].value, 0.5 * floor)
    np.testing.assert_allclose(wide["e_bmin"].value, size, rtol=1e-5)
    np.testing.assert_array_equal(wide["e_dec"], plain["e_dec"])


def test_flags_tell_resolved_and_unresolved_apart():
    large = one_source(toy_image(), int_flux=500.0, bmaj=6.0, bmin=5.0)["flags"][0]
    point = one_source(toy_image(), int_flux=500.0, bmaj=0.01, bmin=0.01)["flags"][0]
    assert large & Flag.RESOLVED and not large & Flag.SIZE_LIMIT
    assert point & Flag.SIZE_LIMIT and not point & Flag.RESOLVED
    # however bright, pixels do not tell a solid angle to better than a hundredth
    for size, resolved in ((0.35, False), (0.7, True)):
        bright = one_source(toy_image(), int_flux=1e6, bmaj=size, bmin=size)["flags"][0]
        assert bool(bright & Flag.RESOLVED) == resolved


def test_the_columns_are_those_of_the_catalogue():
    image = toy_image()
    rows = toy_detections(image.pixel_beam)
    columns, shapes = source_columns(rows, image, MODEL, CatalogOptions())
    table = build_catalog(rows, image, MODEL)
    order = np.argsort(-rows.peak, kind="stable")
    for name in ("ra", "e_ra", "bmaj", "e_pa", "int_flux", "snr"):
        np.testing.assert_allclose(columns[name][order], np.asarray(table[name]), rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(columns["bmaj"], shapes.convolved[0] * image.pixel_scale)


def test_a_source_is_resolved_by_its_errors_and_a_hundredth():
    beam, errors = PixelBeam(3.0, 3.0), (np.full(4, 0.03), np.full(4, 0.0))
    sides = np.array([3.0, 3.08, 3.2, 3.02])
    axes = (sides, np.full(4, 3.0))
    assert is_resolved(axes, errors, beam=beam, sigma=3.0).tolist() == [False, False, True, False]
    sharp = (np.zeros(4), np.zeros(4))
    assert is_resolved(axes, sharp, beam=beam, sigma=3.0).tolist() == [False, False, True, False]
    assert is_resolved(axes, sharp, beam=beam, sigma=1.0).tolist() == [False, True, True, False]

"""Fluxes, places and shapes are the network's and the pixels' together."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u

from skadetect.beams import convolve, second_moments
from skadetect.catalog.build import build_catalog
from skadetect.catalog.shapes import decoded, measured, signal_to_noise
from skadetect.parameters import CONTINUUM
from tests.catalog.toy import MODEL, RMS, toy_detections, toy_image

PIXEL = 1.8  # arcsec, of the toy image


def test_fluxes_are_those_of_network_and_pixels_together():
    image = toy_image()
    rows = toy_detections(image.pixel_beam)
    plain = build_catalog(rows, image, MODEL)
    assert np.isnan(plain["aper_flux"].value).all() and np.isnan(plain["e_aper_flux"].value).all()
    network = plain["int_flux"].value[np.argsort(-plain["x"].value)]
    sums = network * np.where(np.arange(len(rows)) == 3, 5.0, 1.1)
    rows = rows.with_(aperture=sums, aperture_error=0.01 * sums)
    metadata = {"flux_mean": {"network": 0.1, "aperture": 0.05, "scale": {"constant": 0.02}}}
    both = build_catalog(rows, image, SimpleNamespace(**{**vars(MODEL), "metadata": metadata}))
    order = np.argsort(-both["x"].value)
    np.testing.assert_allclose(both["aper_flux"].value[order], np.exp(0.02) * sums, rtol=1e-6)
    ratio = both["int_flux"].value[order] / network
    assert ratio[3] == pytest.approx(1.0, rel=1e-6)  # the sum is of something else
    assert ((np.delete(ratio, 3) > 1.08) & (np.delete(ratio, 3) < 1.1 * np.exp(0.02))).all()
    relative = [each["e_int_flux"] / each["int_flux"] for each in (plain, both)]
    np.testing.assert_allclose(relative[1], relative[0], rtol=1e-5)


def test_places_and_shapes_are_those_of_network_and_pixels_together():
    image, n = toy_image(), 3
    beam = image.pixel_beam
    rows = toy_detections(beam, n=n).with_(peak=RMS * np.array([3000.0, 300.0, 2.0]))
    plain = build_catalog(rows, image, MODEL)
    sizes = [plain[name].to_value(u.arcsec) / PIXEL for name in ("bmaj", "bmin")]
    theta = np.radians(plain["pa"].to_value(u.deg)) + np.pi / 2
    spread = np.stack(second_moments(1.1 * sizes[0], 1.1 * sizes[1], theta + 0.1), axis=1) / beam.fwhm**2
    centre = np.tile([0.2, -0.1], (n, 1)) / beam.fwhm
    rows = rows.with_(centre=centre, spread=spread)
    assert_columns_equal(build_catalog(rows, image, MODEL), plain)
    known = {"metadata": {"moment_mean": {"place": 10.0, "axes": 10.0, "angle": 1.0}}}
    both = build_catalog(rows, image, SimpleNamespace(**{**vars(MODEL), **known}))
    moved = [(both[name] - plain[name]).to_value(u.pix) for name in ("y", "x")]
    share = np.array([1.0, 900.0 / 901.0, 4.0 / 104.0])
    np.testing.assert_allclose(moved, [0.2 * share, -0.1 * share], rtol=1e-3)
    grown = (both["bmaj"] / plain["bmaj"]).value
    assert grown[0] == pytest.approx(1.1, abs=0.01) and grown[0] > grown[1] > grown[2] > 0.99
    turn = (both["pa_deconv"] - plain["pa_deconv"]).to_value(u.deg)
    assert turn[0] == pytest.approx(np.degrees(0.1), abs=0.5) and abs(turn[2]) < 1.0
    # what lies elsewhere, or is not known, is of no use
    unknown = rows.with_(centre=np.nan * centre, spread=np.nan * spread)
    for other in (rows.with_(centre=centre + 1.0), unknown):
        left = build_catalog(other, image, SimpleNamespace(**{**vars(MODEL), **known}))
        for name in ("x", "y", "bmaj", "bmin", "pa_deconv"):
            np.testing.assert_allclose(left[name].value, plain[name].value, rtol=1e-6, err_msg=name)


def assert_columns_equal(one, two):
    for name in one.colnames:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_a_network_alone_says_what_was_encoded():
    image = toy_image()
    true = {
        "int_flux": np.full(4, 30.0),
        "bmaj": np.full(4, 4.0),
        "bmin": np.full(4, 2.0),
        "theta": np.full(4, 0.3),
    }
    shapes = decoded(toy_detections(image.pixel_beam, n=4, **true), image, CONTINUUM)
    np.testing.assert_allclose(shapes.int_flux, 30.0 * RMS, rtol=1e-4)
    for axis, name in zip(shapes.intrinsic, ("bmaj", "bmin", "theta"), strict=True):
        np.testing.assert_allclose(axis, true[name], rtol=1e-3)
    np.testing.assert_allclose(shapes.convolved, convolve(*shapes.intrinsic, image.pixel_beam))
    assert (shapes.least < shapes.intrinsic[1]).all()


def test_a_higher_sum_is_believed_of_cleaned_pixels():
    image = toy_image()
    rows = toy_detections(image.pixel_beam)
    network = decoded(rows, image, CONTINUUM).int_flux
    rows = rows.with_(aperture=1.4 * network, aperture_error=0.01 * network)
    model = SimpleNamespace(**{**vars(MODEL), "metadata": {"flux_mean": {"network": 0.05, "aperture": 0.02}}})
    crowded, cleaned = (measured(rows, image, model, cleaned=one) for one in (False, True))
    np.testing.assert_allclose(crowded[0].int_flux, network)
    np.testing.assert_allclose(cleaned[0].int_flux, 1.4 * network, rtol=1e-5)
    np.testing.assert_allclose(cleaned[2]["aper_flux"], 1.4 * network, rtol=1e-5)


def test_signal_to_noise_without_noise_is_none():
    rows = toy_detections(toy_image().pixel_beam, n=2).with_(
        peak=np.full(2, 6.0), local_rms=np.array([2.0, 0.0])
    )
    np.testing.assert_array_equal(signal_to_noise(rows), [3.0, 0.0])

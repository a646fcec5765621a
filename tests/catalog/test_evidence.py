"""What is known of rows makes them more or less probable."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np

from skadetect.catalog.build import build_catalog
from skadetect.catalog.coarse_probability import COLUMNS as COARSE
from skadetect.catalog.coarse_probability import TERMS, CoarseReliability
from skadetect.catalog.evidence import Taken, coarse_columns, coarse_probabilities, image_probabilities
from skadetect.catalog.image_probability import ImageReliability
from skadetect.detections import Detections
from skadetect.residual import residual_view
from skadetect.sky_model import SkyModel
from tests.catalog.toy import MODEL, RMS, toy_detections, toy_image

PIXEL = 1.8  # arcsec, of the toy image


def test_the_same_row_is_less_probable_in_an_emptier_field():
    odds = ImageReliability(0.1, {"score": -1.0, "constant": -2.0}, {"peak": -0.2, "density": -0.7})
    known = SimpleNamespace(**vars(MODEL) | {"metadata": {"reliability": odds.to_dict()}})
    image = toy_image()
    faint = toy_detections(image.pixel_beam, n=3).with_(peak=np.full(3, 5 * RMS), local_rms=np.full(3, RMS))
    bright = Detections.concatenate([faint, faint.with_(peak=np.full(3, 50 * RMS))])
    assert image_probabilities(faint, image, MODEL, covered=1.0) is None
    alone = image_probabilities(faint, image, known, covered=1.0)
    crowded = image_probabilities(bright, image, known, covered=1.0)
    assert (alone < crowded[:3]).all() and (crowded[:3] < crowded[3:]).all()
    # blank pixels are no part of the field
    assert (image_probabilities(bright, image, known, covered=0.1) > crowded)[:3].all()
    assert np.isnan(build_catalog(faint, image, known)["prob"]).all()
    table = build_catalog(faint.with_(prob=alone), image, known)
    np.testing.assert_allclose(np.sort(table["prob"]), np.sort(alone), rtol=1e-6)


def test_a_bright_row_is_more_probable_where_its_pixels_sum_up_to_its_flux_and_nothing_is_beside_it():
    odds = ImageReliability(0.1, {"score": -1.0, "agree": -2.0, "alone": -1.0}, {"constant": -9.0})
    known = SimpleNamespace(**vars(MODEL) | {"metadata": {"reliability": odds.to_dict()}})
    image = toy_image()
    rows = toy_detections(image.pixel_beam, n=2).with_(peak=np.full(2, 50 * RMS), local_rms=np.full(2, RMS))
    rows = rows.with_(position=np.array([[5.0, 5.0], [40.0, 40.0]]), score=np.full(2, 0.5, np.float32))
    flux = np.asarray(build_catalog(rows, image, known)["int_flux"])
    probable = partial(image_probabilities, image=image, model=known, covered=1.0)
    summed, double = (probable(rows.with_(aperture=factor * flux)) for factor in (1.0, 2.0))
    assert (summed > double).all() and (double > probable(rows)).all()
    near = rows.with_(position=np.array([[5.0, 5.0], [5.0, 7.0]]), aperture=flux)
    assert (probable(near) < summed).all()
    # what is too unlikely to be counted is no neighbour
    unlikely = near.with_(score=np.array([0.5, 0.05], np.float32))
    assert probable(unlikely)[0] >= summed[0] > probable(near)[0]
    assert probable(unlikely)[1] < probable(near)[1]


def test_what_was_taken_out_at_the_place_of_a_wide_row_counts_against_it():
    image = toy_image()
    centre = np.array([[20.5, 20.5], [21.0, 22.0], [60.0, 20.0]])
    flux, round_ = np.array([3.0, 5.0, 70.0]) * RMS, (np.full(3, 3.0), np.full(3, 3.0), np.zeros(3))
    found = SkyModel.of(centre, flux, round_, beam=image.pixel_beam, noise=np.full(3, RMS))
    view = residual_view(image, found)
    rows = toy_detections(view.pixel_beam, n=2, side=48, int_flux=np.full(2, 10.0))
    rows = rows.with_(position=np.array([[9.75, 9.75], [40.0, 40.0]]), flags=np.array([0, 1]))
    columns = coarse_columns(rows, view, MODEL, [Taken(found, image)], covered=1.0)
    assert set(COARSE) == set(columns)
    np.testing.assert_allclose(columns["inside"], [0.8, 0.0], rtol=1e-3)  # 3 + 5 of 10
    np.testing.assert_allclose(columns["beside"], [7.0, 0.0], rtol=1e-3)  # the one at 40 pixels, of 48
    np.testing.assert_array_equal(columns["edge"], [0.0, 1.0])
    assert np.isnan(columns["alone"]).all()
    assert coarse_probabilities(rows, view, MODEL, [Taken(found, image)], covered=1.0) is None
    slopes = dict.fromkeys(TERMS, 0.0) | {"inside": -1.0, "constant": 0.5}
    odds = ImageReliability(0.1, {"constant": -2.0}, {"constant": -2.0})
    metadata = {"coarse_reliability": CoarseReliability(slopes).to_dict(), "reliability": odds.to_dict()}
    model = SimpleNamespace(**vars(MODEL) | {"metadata": metadata})
    known = coarse_probabilities(rows, view, model, [Taken(found, image)], covered=1.0)
    np.testing.assert_allclose(
        known, 1.0 / (1.0 + np.exp(np.log(1.0 + np.array([0.8, 0.0])) - 0.5)), rtol=1e-3
    )

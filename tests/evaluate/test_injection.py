"""Injected sources have the flux, place, size and angle that they were given."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.errors import InputError
from skadetect.evaluate.injection import SOURCE_COLUMNS, inject_gaussians, random_point_sources

BEAM = PixelBeam(4.0, 3.0, 0.6)


def moments(image):
    y, x = np.indices(image.shape)
    total = image.sum()
    cx, cy = (image * x).sum() / total, (image * y).sum() / total
    dx, dy = x - cx, y - cy
    return total, cx, cy, [(image * a * b).sum() / total for a, b in ((dx, dx), (dx, dy), (dy, dy))]


def test_point_source_is_the_beam():
    image, truth = inject_gaussians(np.zeros((60, 64)), {"x": [30.3], "y": [28.6], "int_flux": [2.0]}, BEAM)
    total, x, y, _ = moments(image)
    assert total == pytest.approx(2.0 * BEAM.area, rel=1e-4)
    assert (x, y) == pytest.approx((30.3, 28.6), abs=1e-4)
    assert truth["peak_flux"][0] == pytest.approx(2.0)
    assert (truth["conv_bmaj"][0], truth["conv_bmin"][0]) == pytest.approx((4.0, 3.0))


def test_extended_source_keeps_flux_and_turns():
    source = {"x": [50.0], "y": [50.0], "int_flux": [1.0], "bmaj": [8.0], "bmin": [2.0], "theta": [0.4]}
    image, truth = inject_gaussians(np.zeros((101, 101)), source, BEAM)
    total, _, _, (xx, xy, yy) = moments(image)
    assert total == pytest.approx(BEAM.area, rel=1e-4)
    sigma = 1 / np.sqrt(8 * np.log(2))
    expected = 0.0
    for major, minor, theta in ((8.0, 2.0, 0.4), (4.0, 3.0, 0.6)):
        turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
        expected = expected + turn @ np.diag([(major * sigma) ** 2, (minor * sigma) ** 2]) @ turn.T
    np.testing.assert_allclose([[xx, xy], [xy, yy]], expected, rtol=1e-3)
    assert image.max() == pytest.approx(truth["peak_flux"][0], rel=1e-3)


def test_input_stays_and_blank_stays_blank():
    image = np.zeros((30, 30), np.float32)
    image[15, 15] = np.nan
    output, _ = inject_gaussians(image, {"x": [15.0], "y": [14.0], "int_flux": [1.0]}, BEAM)
    assert np.nansum(image) == 0.0
    assert output.dtype == np.float32
    assert np.isnan(output).sum() == 1
    assert output[14, 15] > 0.9


def test_borders_clip_and_far_sources_add_nothing():
    output, truth = inject_gaussians(
        np.zeros((21, 20)), {"x": [-0.5, 500.0], "y": [10.0, 3.0], "int_flux": [1.0, 1.0]}, BEAM
    )
    assert output.sum() / BEAM.area == pytest.approx(0.5, rel=1e-3)  # the edge of the first pixels halves it
    assert len(truth) == 2


def test_random_sources_keep_their_margin_and_seed():
    table = random_point_sources((80, 120), np.ones(500), margin=12.0, seed=3)
    assert list(table.columns) == list(SOURCE_COLUMNS)
    assert table["x"].between(12, 107).all()
    assert table["y"].between(12, 67).all()
    assert table["x"].max() > 90
    assert table.equals(random_point_sources((80, 120), np.ones(500), margin=12.0, seed=3))


def test_bad_input_is_named():
    with pytest.raises(InputError, match="image has 3 axes"):
        inject_gaussians(np.zeros((1, 5, 5)), {"x": [1.0], "y": [1.0], "int_flux": [1.0]}, BEAM)
    with pytest.raises(InputError, match="lack the columns y"):
        inject_gaussians(np.zeros((5, 5)), {"x": [1.0], "int_flux": [1.0]}, BEAM)

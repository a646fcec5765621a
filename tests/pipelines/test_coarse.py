"""Which rows of smoothed views are real, by the truth that the calibration of their probabilities goes by."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skadetect.background import estimate_background
from skadetect.detections import Detections
from skadetect.parameters import decode
from skadetect.search import Part
from tests.catalog.toy import MODEL, RMS, toy_detections, toy_image

FOLDER = Path(__file__).parents[2] / "pipelines" / "continuum"


@pytest.fixture(scope="module")
def coarse():
    with pytest.MonkeyPatch.context() as patching:
        patching.syspath_prepend(FOLDER)
        import coarse

        yield coarse
        for name in ("coarse", "held_out", "reliability"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def part() -> Part:
    image = toy_image()
    return Part(toy_detections(image.pixel_beam, n=6), image, estimate_background(image), 0.0)


def truth_of(coarse, part: Part):
    rows = part.rows
    fwhm = part.view.pixel_beam.fwhm
    values = decode(MODEL.parameters, rows.parameters, anchor=rows.anchor, beam_fwhm=fwhm)
    ellipse = tuple(values[name] for name in ("bmaj", "bmin", "theta"))
    return coarse.Truth(rows.position.copy(), values["int_flux"] * RMS, ellipse)


def test_a_row_is_the_source_of_its_place_flux_and_size(coarse, part: Part) -> None:
    truth = truth_of(coarse, part)
    every = np.ones(6, bool)
    np.testing.assert_array_equal(coarse._matches(part, MODEL, truth, every), np.arange(6))
    bright, large, far = truth.flux.copy(), [axis.copy() for axis in truth.ellipse], truth.position.copy()
    bright[1] *= 1.1 * coarse.FLUX
    large[0][2] *= 4.0
    far[3] += 10.0
    changed = coarse.Truth(far, bright, (large[0], large[1], large[2]))
    np.testing.assert_array_equal(coarse._matches(part, MODEL, changed, every), [0, -1, -1, -1, 4, 5])


def test_what_a_finer_view_has_found_is_found(coarse, part: Part) -> None:
    left = np.array([True, False, True, True, True, True])
    found = coarse._matches(part, MODEL, truth_of(coarse, part), left)
    np.testing.assert_array_equal(found, [0, -1, 2, 3, 4, 5])
    twice = replace(part, rows=Detections.concatenate([part.rows, part.rows]))
    found = coarse._matches(twice, MODEL, truth_of(coarse, part), np.ones(6, bool))
    assert sorted(found[found >= 0]) == list(range(6)) and (found < 0).sum() == 6  # one row a source

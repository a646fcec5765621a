"""What is left of an image: the sky at twice the beam, whichever window is read, without what was found."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from skadetect.beams import PixelBeam, convolve
from skadetect.evaluate.injection import inject_gaussians
from skadetect.image import Image, open_image
from skadetect.residual import residual_view, smoothing
from skadetect.sky_model import SkyModel
from tests.fits_files import sky_header

SHAPE = (121, 143)


def image_of(array: np.ndarray, *, bmaj: float = 4.0, bmin: float = 3.0, pa: float = 30.0) -> Image:
    header = sky_header(array.shape[1], array.shape[0])
    side = abs(header["CDELT1"])
    header["BMAJ"], header["BMIN"], header["BPA"] = bmaj * side, bmin * side, pa
    return open_image((array.astype(np.float32), header))


def sources(image: Image, columns: dict[str, np.ndarray]) -> SkyModel:
    ellipse = convolve(columns["bmaj"], columns["bmin"], columns["theta"], image.pixel_beam)
    centre = np.stack([columns["y"], columns["x"]], axis=1)
    noise = np.full(len(centre), 1e-6)
    return SkyModel.of(centre, columns["int_flux"], ellipse, beam=image.pixel_beam, noise=noise)


NONE = {name: np.empty(0) for name in ("y", "x", "int_flux", "bmaj", "bmin", "theta")}
SOME = {
    "y": np.array([40.3, 70.0, 25.5]),
    "x": np.array([60.2, 90.7, 110.0]),
    "int_flux": np.array([3.0, 9.0, 5.0]),
    "bmaj": np.array([0.0, 9.0, 14.0]),
    "bmin": np.array([0.0, 5.0, 14.0]),
    "theta": np.array([0.0, 0.7, 0.0]),
}


def whole(view: Image) -> np.ndarray:
    return view.read((0, 0, 0), view.shape)[0]


@pytest.mark.parametrize("beam", [PixelBeam(3.0, 3.0), PixelBeam(6.0, 2.0, 0.3)])
def test_the_beam_is_twice_as_wide_and_as_many_pixels_wide(beam: PixelBeam) -> None:
    wide = PixelBeam(
        math.hypot(beam.bmaj, smoothing(beam)), math.hypot(beam.bmin, smoothing(beam)), beam.theta
    )
    assert wide.fwhm == pytest.approx(2.0 * beam.fwhm)
    image = image_of(np.zeros(SHAPE), bmaj=beam.bmaj, bmin=beam.bmin)
    view = residual_view(residual_view(image, sources(image, NONE)), sources(image, NONE))
    assert view.pixel_beam.fwhm == pytest.approx(beam.fwhm)
    assert view.factor == 4
    assert view.beam.sr.value == pytest.approx(16.0 * image.beam.sr.value)
    assert view.pixel_scale == pytest.approx(4.0 * image.pixel_scale)


def test_a_source_keeps_flux_place_and_shape() -> None:
    plain = image_of(np.zeros(SHAPE))
    array, _ = inject_gaussians(np.zeros(SHAPE), SOME, plain.pixel_beam)
    image = image_of(array)
    view = residual_view(image, sources(image, NONE))
    expected, _ = inject_gaussians(
        np.zeros(view.shape[1:]),
        {
            "y": (SOME["y"] + 0.5) / 2 - 0.5,
            "x": (SOME["x"] + 0.5) / 2 - 0.5,
            "int_flux": SOME["int_flux"],
            "bmaj": SOME["bmaj"] / 2,
            "bmin": SOME["bmin"] / 2,
            "theta": SOME["theta"],
        },
        view.pixel_beam,
    )
    # the smoothing Gaussian ends somewhere
    np.testing.assert_allclose(whole(view)[:-1, :-1], expected[:-1, :-1], atol=2e-3 * expected.max())
    place = view.to_original(np.array([[10.0, 20.0]]))
    ra, dec = view.wcs.pixel_to_world_values(20.0, 10.0)
    np.testing.assert_allclose(image.wcs.pixel_to_world_values(*place[0, ::-1]), (ra, dec))


def test_what_was_found_is_gone() -> None:
    plain = image_of(np.zeros(SHAPE))
    noise = np.random.default_rng(1).normal(size=SHAPE) * 1e-3
    array, _ = inject_gaussians(noise, SOME, plain.pixel_beam)
    image = image_of(array)
    left = whole(residual_view(image, sources(image, SOME)))
    alone = whole(residual_view(image_of(noise), sources(plain, NONE)))
    np.testing.assert_allclose(left, alone, atol=1e-4)


def test_any_window_is_cut_from_the_whole() -> None:
    array = np.random.default_rng(6).normal(size=SHAPE)
    array[20:60, 40:75] = np.nan
    array[5, 5] = np.nan
    image = image_of(array)
    view = residual_view(image, sources(image, SOME))
    twice = residual_view(view, sources(view, SOME))
    for each in (view, twice, pickle.loads(pickle.dumps(twice))):
        full = whole(each)
        for y, x in [(0, 0), (1, 2), (5, 7), (11, 13)]:
            window = each.read((0, y, x), (1, y + 9, x + 14))
            np.testing.assert_array_equal(window[0], full[y : y + 9, x : x + 14])
    assert np.isnan(whole(view)[15:25, 25:32]).all()
    assert np.isfinite(whole(view)[2, 2])  # one blank pixel of many


def test_the_image_stays_as_it_is() -> None:
    array = np.random.default_rng(6).normal(size=SHAPE).astype(">f4")
    image = image_of(array)
    before = whole(image).copy()
    whole(residual_view(image, sources(image, SOME)))
    np.testing.assert_array_equal(whole(image), before)

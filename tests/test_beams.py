"""Beams: conventions by hand, convolution and deconvolution against radio_beam."""

from __future__ import annotations

import math

import numpy as np
import pytest
from astropy import units as u
from hypothesis import given, settings
from hypothesis import strategies as st
from radio_beam import Beam

from skadetect.beams import PixelBeam, convolve, deconvolve, inclined_axis
from skadetect.errors import InputError

axes = st.tuples(st.floats(0.5, 20), st.floats(0.05, 1.0), st.floats(-3.0, 3.0))


def ellipse(parts: tuple[float, float, float]) -> tuple[float, float, float]:
    return parts[0], parts[0] * parts[1], parts[2]


def as_radio_beam(bmaj: float, bmin: float, theta: float) -> Beam:
    # Any fixed turn between image angle and position angle serves, if it is the same for all.
    return Beam(major=bmaj * u.arcsec, minor=bmin * u.arcsec, pa=theta * u.rad)


def second_moments(bmaj: float, bmin: float, theta: float) -> np.ndarray:
    turn = np.array([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    return turn @ np.diag([bmaj**2, bmin**2]) @ turn.T


def test_area_and_fwhm_by_hand() -> None:
    beam = PixelBeam(4.0, 1.0, 0.3)
    assert beam.area == pytest.approx(4.0 * 1.1330900354567985)
    assert beam.fwhm == 2.0
    assert beam.scaled(3.0) == PixelBeam(12.0, 3.0, 0.3)


def test_features_by_hand() -> None:
    assert PixelBeam(3.0, 3.0, 1.0).features() == (0.0, 0.0, 0.0)
    size, cos, sin = PixelBeam(12.0, 3.0, math.pi / 2).features()
    assert size == pytest.approx(1.0)
    assert cos == pytest.approx(-135 / 153)
    assert sin == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("axes", [(1.0, 2.0), (0.0, 0.0), (2.0, -1.0), (math.nan, 1.0), (math.inf, 1.0)])
def test_impossible_axes_are_refused(axes: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="expected bmaj >= bmin > 0"):
        PixelBeam(*axes)


@given(axes, axes)
@settings(max_examples=50, deadline=None)
def test_convolution_equals_radio_beam(
    source: tuple[float, float, float], seen: tuple[float, float, float]
) -> None:
    theirs = as_radio_beam(*ellipse(source)).convolve(as_radio_beam(*ellipse(seen)))
    bmaj, bmin, theta = convolve(*ellipse(source), PixelBeam(*ellipse(seen)))
    assert bmaj == pytest.approx(theirs.major.to_value(u.arcsec), rel=1e-6)
    assert bmin == pytest.approx(theirs.minor.to_value(u.arcsec), rel=1e-6)
    if bmaj > 1.001 * bmin:
        assert math.cos(2 * (theta - theirs.pa.to_value(u.rad))) == pytest.approx(1.0, abs=1e-6)


@given(axes, axes)
@settings(max_examples=50, deadline=None)
def test_deconvolution_undoes_convolution(
    source: tuple[float, float, float], seen: tuple[float, float, float]
) -> None:
    beam = PixelBeam(*ellipse(seen))
    back = deconvolve(*convolve(*ellipse(source), beam), beam)
    scale = beam.bmaj**2 + source[0] ** 2
    got = second_moments(float(back[0]), float(back[1]), float(back[2]))
    np.testing.assert_allclose(got, second_moments(*ellipse(source)), atol=1e-9 * scale)


def test_deconvolution_equals_radio_beam_where_it_succeeds() -> None:
    theirs = as_radio_beam(9.0, 5.0, 0.4).deconvolve(as_radio_beam(4.0, 3.0, 1.2))
    bmaj, bmin, theta = deconvolve(9.0, 5.0, 0.4, PixelBeam(4.0, 3.0, 1.2))
    assert bmaj == pytest.approx(theirs.major.to_value(u.arcsec))
    assert bmin == pytest.approx(theirs.minor.to_value(u.arcsec))
    assert math.tan(theta - theirs.pa.to_value(u.rad)) == pytest.approx(0.0, abs=1e-9)


def test_an_axis_that_the_beam_explains_is_zero() -> None:
    beam = PixelBeam(4.0, 3.0, 0.0)
    bmaj, bmin, theta = deconvolve([4.0, 3.0, 8.0], [3.0, 2.0, 2.0], [0.0, 0.0, 0.5], beam)
    assert bmaj[:2].tolist() == [0.0, 0.0]
    assert theta[:2].tolist() == [0.0, 0.0]
    assert bmaj[2] > 0
    assert bmin.tolist() == [0.0, 0.0, 0.0]


def test_from_sky_north_up_east_left() -> None:
    matrix = np.array([[-0.5, 0.0], [0.0, 0.5]])
    north = PixelBeam.from_sky(4.0, 2.0, 0.0, pixel_matrix=matrix)
    assert (north.bmaj, north.bmin) == pytest.approx((8.0, 4.0))
    assert math.cos(2 * north.theta) == pytest.approx(-1.0)
    # 30 degrees from north (+y) towards east (-x) is 120 degrees from +x.
    turned = PixelBeam.from_sky(4.0, 2.0, math.radians(30), pixel_matrix=matrix)
    assert math.tan(turned.theta - math.radians(120)) == pytest.approx(0.0, abs=1e-12)


def test_an_inclined_disc_is_round_face_on_and_as_thick_as_it_is_edge_on():
    np.testing.assert_allclose(
        inclined_axis(10.0, [0.0, np.pi / 3, np.pi / 2], thickness=0.0), [10.0, 5.0, 0.0], atol=1e-12
    )
    np.testing.assert_allclose(inclined_axis([10.0, 4.0], [0.0, np.pi / 2], thickness=0.2), [10.0, 0.8])

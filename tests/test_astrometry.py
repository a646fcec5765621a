"""Astrometry: against astropy, by hand, and there and back."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io.fits import Header
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from hypothesis import given, settings
from hypothesis import strategies as st

from skadetect.astrometry import (
    direction_to_pa,
    iau_name,
    pa_to_theta,
    pixel_to_sky,
    sky_to_pixel,
    theta_to_pa,
)
from skadetect.image import open_image
from tests.data_paths import shared

X, Y = np.array([0.0, 100.0, 37.5, 199.0]), np.array([0.0, 50.25, 180.0, 199.0])


def wcs_of(
    lon: str = "RA", lat: str = "DEC", *, projection: str = "SIN", centre: tuple = (150.0, -30.0), **cards
) -> WCS:
    header = Header()
    for i, name in ((1, lon), (2, lat)):
        header[f"CTYPE{i}"] = f"{name}{'-' * (8 - len(name) - len(projection))}{projection}"
        header[f"CRPIX{i}"], header[f"CRVAL{i}"] = 100.0, centre[i - 1]
        header[f"CDELT{i}"] = (-0.01, 0.01)[i - 1]
    header.update(cards)
    return WCS(header)


FRAMES = [
    wcs_of(),
    wcs_of(centre=(0.001, 60.0), projection="TAN"),
    wcs_of(RADESYS="FK5", EQUINOX=2000.0, PC1_1=0.8, PC1_2=-0.6, PC2_1=0.6, PC2_2=0.8),
    wcs_of("GLON", "GLAT", projection="CAR", centre=(30.0, 0.0)),
    wcs_of(RADESYS="FK4", EQUINOX=1950.0),
]


@pytest.mark.parametrize("wcs", FRAMES, ids=["sin", "ra zero", "rotated", "galactic", "fk4"])
def test_positions_equal_astropy_and_return(wcs: WCS) -> None:
    ra, dec = pixel_to_sky(wcs, X, Y)
    sky = wcs.pixel_to_world(X, Y).icrs
    assert SkyCoord(ra, dec, unit="deg").separation(sky).arcsec.max() < 0.05  # FK5 is taken as ICRS
    assert ((ra >= 0) & (ra < 360)).all()
    x, y = sky_to_pixel(wcs, ra, dec)
    np.testing.assert_allclose([x, y], [X, Y], atol=1e-6)


@pytest.mark.parametrize("wcs", FRAMES, ids=["sin", "ra zero", "rotated", "galactic", "fk4"])
def test_position_angles_equal_astropy_and_return(wcs: WCS) -> None:
    for theta in (0.0, 0.4, 1.5, 3.0):
        step = 1e-3
        ra1, dec1 = pixel_to_sky(wcs, X - step * np.cos(theta), Y - step * np.sin(theta))
        ra2, dec2 = pixel_to_sky(wcs, X + step * np.cos(theta), Y + step * np.sin(theta))
        expected = SkyCoord(ra1, dec1, unit="deg").position_angle(SkyCoord(ra2, dec2, unit="deg")).deg
        pa = theta_to_pa(wcs, X, Y, np.full(4, theta))
        np.testing.assert_allclose(np.sin(np.radians(pa - expected)), 0, atol=2e-4)
        assert ((pa >= 0) & (pa < 180)).all()
        np.testing.assert_allclose(np.sin(pa_to_theta(wcs, X, Y, pa) - theta), 0, atol=1e-7)


def test_several_axes_of_a_pixel_are_turned_alike() -> None:
    theta = np.array([[0.0, 0.3, 1.0, 2.0], [1.5, -0.2, 3.0, 0.7]])
    for wcs in FRAMES:
        each = [theta_to_pa(wcs, X, Y, one) for one in theta]
        np.testing.assert_array_equal(theta_to_pa(wcs, X, Y, theta), each)


def test_no_sources_have_no_names() -> None:
    assert iau_name("SKAD", [], []).shape == (0,)


@pytest.mark.parametrize("wcs", FRAMES, ids=["sin", "ra zero", "rotated", "galactic", "fk4"])
def test_directions_point_where_astropy_finds_the_next_point(wcs: WCS) -> None:
    for theta in (0.0, 0.4, 2.0, 3.1, -1.0, -2.5):
        there = [*pixel_to_sky(wcs, X + 1e-3 * np.cos(theta), Y + 1e-3 * np.sin(theta))]
        here = SkyCoord(*pixel_to_sky(wcs, X, Y), unit="deg")
        expected = here.position_angle(SkyCoord(*there, unit="deg")).deg
        pa = direction_to_pa(wcs, X, Y, np.full(4, theta))
        np.testing.assert_allclose((pa - expected + 180) % 360, 180, atol=0.02)
        assert ((pa >= 0) & (pa < 360)).all()
        np.testing.assert_allclose(pa % 180, theta_to_pa(wcs, X, Y, np.full(4, theta)), atol=1e-9)


def test_north_is_local_far_from_the_reference_point() -> None:
    wcs = wcs_of(centre=(10.0, 80.0), CDELT1=-0.05, CDELT2=0.05)
    pa = theta_to_pa(wcs, [99.0, 199.0], [99.0, 99.0], [np.pi / 2, np.pi / 2])
    assert pa[0] == pytest.approx(0.0, abs=1e-6) or pa[0] == pytest.approx(180.0, abs=1e-6)
    assert 10 < min(pa[1], 180 - pa[1]) < 60


def test_angles_by_hand() -> None:
    wcs = wcs_of()
    # North is +y, east is -x: +x is west, and 30 degrees from +x towards +y is 60 degrees west of north.
    pa = theta_to_pa(wcs, [99.0] * 3, [99.0] * 3, [0.0, np.pi / 2, np.pi / 6])
    np.testing.assert_allclose(np.cos(2 * np.radians(pa - [90, 0, 120])), 1, atol=1e-9)


@given(st.floats(0, 199), st.floats(0, 199), st.sampled_from(FRAMES))
@settings(max_examples=40, deadline=None)
def test_there_and_back(x: float, y: float, wcs: WCS) -> None:
    back = sky_to_pixel(wcs, *pixel_to_sky(wcs, [x], [y]))
    np.testing.assert_allclose([back[0][0], back[1][0]], [x, y], atol=1e-6)


def test_off_the_sky_is_nan() -> None:
    wcs = wcs_of(CDELT1=-1.0, CDELT2=1.0)
    ra, dec = pixel_to_sky(wcs, [99.0, 400.0], [99.0, 99.0])
    assert np.isfinite([ra[0], dec[0]]).all()
    assert np.isnan([ra[1], dec[1]]).all()


@pytest.mark.parametrize(
    ("ra", "dec", "name"),
    [
        (0.0, -30.0, "J000000.0-300000"),
        (15 * (11 + 59 / 60 + 59.99999 / 3600), 59 + 59 / 60 + 59.9999 / 3600, "J115959.9+595959"),
        (359.9999999, -89.9999999, "J235959.9-895959"),
        (15 * (10 + 20 / 60 + 30.4 / 3600), 12 + 34 / 60 + 56 / 3600, "J102030.4+123456"),
        (-0.001, -0.0001, "J235959.7-000000"),
        (360.0, 90.0, "J000000.0+900000"),
        (83.633212, 22.01446, "J053431.9+220052"),
    ],
)
def test_names_are_truncated(ra: float, dec: float, name: str) -> None:
    assert iau_name("", [ra], [dec]).tolist() == [name]
    assert iau_name("SKAD", [ra], [dec]).tolist() == [f"SKAD {name}"]


@given(st.integers(0, 863999), st.integers(-323999, 323999))
@settings(max_examples=100, deadline=None)
def test_exact_digits_survive_the_conversion_to_degrees(tenths: int, seconds: int) -> None:
    name = iau_name("", [tenths / 2400], [seconds / 3600])[0]
    digits = int(name[1:3]) * 36000 + int(name[3:5]) * 600 + int(name[5:7]) * 10 + int(name[8])
    assert digits == tenths
    body = name[10:]
    assert int(body[:2]) * 3600 + int(body[2:4]) * 60 + int(body[4:6]) == abs(seconds)


def test_names_without_a_position() -> None:
    assert iau_name("X", [np.nan, 1.0], [2.0, 2.0]).tolist() == ["X J", "X J000400.0+020000"]


def test_the_real_sdc1_piece_agrees_with_its_truth() -> None:
    image = open_image(shared("sdc1_cutout/B1_1000h_0.05tr.fits"))
    truth = np.loadtxt(shared("sdc1_cutout/truth.txt"))
    pixels = image.read((0, 0, 0), image.shape)[0]
    x, y = sky_to_pixel(image.wcs, truth[:, 3], truth[:, 4])
    inside = (x > 3) & (y > 3) & (x < image.shape[2] - 4) & (y < image.shape[1] - 4)
    rows = np.flatnonzero(inside & (truth[:, 7] < 2.0))
    offsets = []
    for row in rows[np.argsort(truth[rows, 5])[::-1][:10]]:
        iy, ix = round(float(y[row])), round(float(x[row]))
        stamp = pixels[iy - 2 : iy + 3, ix - 2 : ix + 3].astype(float)
        stamp = np.maximum(stamp - stamp.max() / 3, 0)
        yy, xx = np.mgrid[iy - 2 : iy + 3, ix - 2 : ix + 3]
        offsets.append([(stamp * xx).sum() / stamp.sum() - x[row], (stamp * yy).sum() / stamp.sum() - y[row]])
    assert np.abs(np.median(offsets, axis=0)).max() < 0.2
    assert proj_plane_pixel_scales(image.wcs)[0] * u.deg.to(u.arcsec) == pytest.approx(image.pixel_scale)

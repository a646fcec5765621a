"""Axes by CTYPE: any order, degenerate ones, and what cannot be made sense of."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io.fits import Header

from skadetect.errors import InputError
from skadetect.image_axes import celestial_wcs, find_axes, reference_frequency
from tests.fits_files import sky_header


def header_of(*types: str) -> Header:
    header = Header()
    for i, kind in enumerate(types, start=1):
        header[f"CTYPE{i}"] = kind
        header[f"CDELT{i}"] = 0.25 if kind.startswith(("RA", "DEC", "GL")) else 100.0
        header[f"CRVAL{i}"] = {"F": 1.4e9, "S": 1.0}.get(kind[0], 30.0)
        header[f"CRPIX{i}"] = float(i)
    return header


@pytest.mark.parametrize(
    ("types", "shape", "axes", "ndim"),
    [
        (("RA---SIN", "DEC--SIN"), (5, 6), (None, 0, 1), 2),
        (("DEC--SIN", "RA---SIN"), (5, 6), (None, 1, 0), 2),
        (("RA---SIN", "DEC--SIN", "FREQ", "STOKES"), (1, 1, 5, 6), (None, 2, 3), 2),
        (("STOKES", "RA---SIN", "FREQ", "DEC--SIN"), (5, 1, 6, 1), (None, 0, 2), 2),
        (("RA---SIN", "DEC--SIN", "FREQ"), (9, 5, 6), (0, 1, 2), 3),
        (("FREQ", "RA---NCP", "DEC--NCP"), (5, 6, 9), (2, 0, 1), 3),
        (("GLON-CAR", "GLAT-CAR", "VELO-LSR"), (9, 5, 6), (0, 1, 2), 3),
    ],
)
def test_axes_in_any_order(types: tuple[str, ...], shape: tuple[int, ...], axes: object, ndim: int) -> None:
    found, _ = find_axes(header_of(*types), shape, name="a")
    assert found.order.axes == axes
    assert found.ndim == ndim


def test_transposed_and_stokes_are_told() -> None:
    _, repairs = find_axes(header_of("DEC--SIN", "RA---SIN"), (5, 6), name="a")
    assert "transposed" in repairs[0]
    _, repairs = find_axes(header_of("RA---SIN", "DEC--SIN", "STOKES"), (4, 5, 6), name="a")
    assert "Stokes" in repairs[0]


@pytest.mark.parametrize("types", [("", ""), ("RA---SIN", "FREQ"), ("LINEAR", "LINEAR")])
def test_no_celestial_axes(types: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="no celestial axes"):
        find_axes(header_of(*types) if types[0] else Header(), (5, 6), name="a.fits")


def test_an_unknown_long_axis_is_refused() -> None:
    with pytest.raises(InputError, match="TIME.*7 planes"):
        find_axes(header_of("RA---SIN", "DEC--SIN", "TIME"), (7, 5, 6), name="a.fits")


def test_coordinates_of_a_transposed_image_are_the_same() -> None:
    straight, turned = header_of("RA---SIN", "DEC--SIN"), header_of("DEC--SIN", "RA---SIN")
    turned["CRPIX1"], turned["CRPIX2"] = 2.0, 1.0
    one, _ = find_axes(straight, (5, 6), name="a")
    two, _ = find_axes(turned, (6, 5), name="a")
    here = celestial_wcs(straight, one, shape=(5, 6), name="a").wcs_pix2world(1.5, 2.5, 0)
    there = celestial_wcs(turned, two, shape=(5, 6), name="a").wcs_pix2world(1.5, 2.5, 0)
    np.testing.assert_allclose(here, there)


def test_more_coordinates_than_axes() -> None:
    header = header_of("RA---SIN", "DEC--SIN", "FREQ", "STOKES")
    header["CRVAL3"], header["CRPIX3"] = 144e6, 1.0
    axes, _ = find_axes(header, (5, 6), name="a")
    assert reference_frequency(header, axes) == 144e6
    assert celestial_wcs(header, axes, shape=(5, 6), name="a").naxis == 2


def test_rotation_matrices_survive() -> None:
    header = sky_header(PC1_1=0.0, PC1_2=-1.0, PC2_1=1.0, PC2_2=0.0)
    axes, _ = find_axes(header, (12, 16), name="a")
    matrix = celestial_wcs(header, axes, shape=(12, 16), name="a").pixel_scale_matrix
    np.testing.assert_allclose(matrix, [[0, 5e-4], [5e-4, 0]], atol=1e-12)


def test_pixels_of_no_size_are_refused() -> None:
    header = sky_header(CDELT1=0.0)
    axes, _ = find_axes(header, (12, 16), name="a")
    with pytest.raises(InputError, match="celestial coordinates|singular"):
        celestial_wcs(header, axes, shape=(12, 16), name="a")


def test_frequency_of_the_first_plane() -> None:
    header = header_of("RA---SIN", "DEC--SIN", "FREQ")
    header.update({"CRVAL3": 1.4, "CRPIX3": 3.0, "CDELT3": 0.1, "CUNIT3": "GHz"})
    axes, _ = find_axes(header, (9, 5, 6), name="a")
    assert reference_frequency(header, axes) == pytest.approx(1.2e9)


def test_rest_frequency_of_a_velocity_axis() -> None:
    header = header_of("RA---SIN", "DEC--SIN", "VELO-HEL")
    axes, _ = find_axes(header, (9, 5, 6), name="a")
    assert reference_frequency(header, axes) is None
    header["RESTFRQ"] = 1.42e9
    assert reference_frequency(header, axes) == 1.42e9

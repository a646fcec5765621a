"""The challenge's conventions: its angles, its fluxes, its constants."""

import numpy as np
import pytest
from astropy.io import fits

from skadetect.catalog.build import build_catalog
from skadetect.catalog.sdc1 import SDC1_COLUMNS, read_sdc1
from skadetect.catalog.sdc1_export import bilinear, primary_beam_at, sdc1_angle, to_sdc1
from skadetect.errors import InputError
from tests.catalog.toy import MODEL, toy_catalog, toy_detections, toy_image
from tests.data_paths import shared
from tests.fits_files import PIXEL, sky_header, write_image


def _primary_beam(path, gain):
    """A coarse gain image, four axes and no unit, on the field of the toy image."""
    height, width = gain.shape
    header = sky_header(width, height, pixel=8 * PIXEL, BUNIT=None, BMAJ=None, BMIN=None, BPA=None)
    header.update({"CTYPE3": "FREQ", "CRVAL3": 5.6e8, "CTYPE4": "STOKES", "CRVAL4": 1.0})
    return write_image(path, gain[None, None], header)


def test_columns_are_the_challenge_s_and_intrinsic():
    catalog = toy_catalog()
    table = to_sdc1(catalog)
    assert tuple(table.columns) == SDC1_COLUMNS and len(table) == len(catalog)
    np.testing.assert_array_equal(table["flux"], catalog["int_flux"].value)
    np.testing.assert_array_equal(table["b_maj"], catalog["bmaj_deconv"].value)
    np.testing.assert_array_equal(table["ra_core"], table["ra_cent"])
    assert set(table["size"]) == {2} and set(table["class"]) == {3} and set(table["core_frac"]) == {0.0375}


def test_angles_run_clockwise_from_west_on_an_image_with_east_to_the_left():
    # theta = -pa on the image; the catalogue's own pa goes by the sky in between
    theta = np.linspace(-1.4, 1.5, 12)
    image = toy_image()
    catalog = build_catalog(toy_detections(image.pixel_beam, theta=theta), image, MODEL)
    order = np.argsort(catalog["x"].value)  # made up from right to left
    pa = to_sdc1(catalog)["pa"].to_numpy()[order][::-1]
    turn = pa + np.degrees(theta)
    assert (np.abs((turn + 90) % 180 - 90) < 0.1).all()


def test_angles_fold_into_half_a_turn():
    angles = sdc1_angle(np.array([0.0, 45.0, 90.0, 135.0, 180.0, 179.999]))
    np.testing.assert_allclose(angles, [90.0, 45.0, 0.0, -45.0, 90.0, -89.999], atol=1e-9)


def test_fluxes_are_divided_by_the_primary_beam_at_the_source(tmp_path):
    catalog = toy_catalog()
    y, x = np.mgrid[:16, :16]
    gain = (0.5 + 0.02 * x + 0.01 * y).astype(np.float32)
    path = _primary_beam(tmp_path / "pb.fits", gain)
    table = to_sdc1(catalog, primary_beam=path)
    # both images share CRVAL at pixel n/2 - 1; a plane is its own bilinear interpolation
    px = (catalog["x"].value - 47) / 8 + 7
    py = (catalog["y"].value - 47) / 8 + 7
    expected = catalog["int_flux"].value / (0.5 + 0.02 * px + 0.01 * py)
    np.testing.assert_allclose(table["flux"], expected, rtol=1e-4)


def test_rows_outside_of_the_primary_beam_are_left_out_and_counted(tmp_path, caplog):
    catalog = toy_catalog()
    gain = np.ones((16, 16), np.float32)
    gain[:, :7] = np.nan
    table = to_sdc1(catalog, primary_beam=_primary_beam(tmp_path / "pb.fits", gain))
    assert 0 < len(table) < len(catalog)
    assert f"{len(catalog) - len(table)} sources" in caplog.text
    assert (catalog["x"].value[table["id"] - 1] > 40).all()


def test_bilinear_interpolation_holds_the_rim_and_knows_no_further():
    gain = np.arange(6, dtype=np.float32).reshape(2, 3)
    x, y = np.array([0.0, 0.5, 2.0, 2.5, 2.6, -0.6, np.nan]), np.array([0.0, 0.5, 1.0, 1.5, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(bilinear(gain, x, y), [0.0, 2.0, 5.0, 5.0, np.nan, np.nan, np.nan])
    assert bilinear(np.full((1, 1), 3.0, np.float32), np.zeros(1), np.zeros(1))[0] == 3.0


def test_the_real_primary_beam_is_near_its_tabulated_width():
    path = shared("sdc1_cutout/PrimaryBeam_B1.fits")
    header = fits.getheader(path)
    centre = primary_beam_at(path, np.array([header["CRVAL1"]]), np.array([header["CRVAL2"]]))
    half = primary_beam_at(
        path, np.array([header["CRVAL1"]]), np.array([header["CRVAL2"] + 0.879 * 1.4 / 0.56 / 2])
    )
    assert centre[0] == pytest.approx(1.0, abs=0.02) and half[0] == pytest.approx(0.5, abs=0.06)


def test_a_written_file_is_what_the_challenge_reads(tmp_path):
    catalog = toy_catalog()
    catalog.write(tmp_path / "a.txt")
    table = read_sdc1(tmp_path / "a.txt")
    np.testing.assert_allclose(table["flux"], catalog["int_flux"].value, rtol=1e-7)
    np.testing.assert_allclose(table["ra_core"], catalog["ra"].value, atol=1e-8)


def test_what_has_no_jansky_has_no_challenge(tmp_path):
    image = toy_image(BUNIT="K")
    catalog = build_catalog(toy_detections(image.pixel_beam), image, MODEL)
    with pytest.raises(InputError, match="K beam"):
        to_sdc1(catalog)
    with pytest.raises(InputError, match="absent"):
        to_sdc1(toy_catalog(), primary_beam=tmp_path / "absent.fits")

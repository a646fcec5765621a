from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table
from astropy.wcs import WCS

from skadetect.beams import PixelBeam
from skadetect.errors import InputError
from skadetect.train.truth import Truth, attenuate, place, primary_beam_at, read_truth
from tests.fits_files import sky_header, write_image

ROW = "{id} 150.0 -30.0 150.0 -30.0 2e-3 0.1 4.0 2.0 {pa} {size} 3\n"


def truth(**columns) -> Truth:
    base = {"ra": 150.0, "dec": -30.0, "flux": 1.0, "bmaj": 5.4, "bmin": 3.6, "pa": 0.0, "spread": 1.0}
    return Truth(
        **{name: np.atleast_1d(np.asarray(value, float)) for name, value in (base | columns).items()}
    )


def test_sdc1_sizes_become_gaussian_widths_and_angles_count_from_north(tmp_path):
    path = tmp_path / "truth.txt"
    path.write_text("".join(ROW.format(id=k, size=k, pa=30.0) for k in (1, 2, 3)))
    found = read_truth(path)
    np.testing.assert_allclose(found.bmaj, 4.0 * np.array([0.471, 1.0, np.sqrt(2)]))
    np.testing.assert_allclose(found.bmin, found.bmaj / 2)
    np.testing.assert_allclose(found.bmaj * found.spread, 4.0 * np.array([0.471, 1.0, 1.0]))
    np.testing.assert_allclose(found.pa, -120.0)


def test_sdc1_angle_is_clockwise_from_the_x_axis_of_a_usual_image(tmp_path):
    path = tmp_path / "truth.txt"
    path.write_text(ROW.format(id=1, size=2, pa=30.0))
    theta = place(read_truth(path), WCS(sky_header()), pixel_scale=1.8).theta[0]
    assert np.cos(2 * (theta + np.radians(30.0))) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("mirror", [1, -1])
def test_place_puts_sources_on_their_pixels_whatever_the_axes(mirror):
    wcs = WCS(sky_header(CDELT1=mirror * 5e-4))
    ra, dec = wcs.all_pix2world([3.25], [7.5], 0)
    found = place(truth(ra=ra, dec=dec, pa=90.0), wcs, pixel_scale=1.8)
    np.testing.assert_allclose(found.position, [[7.5, 3.25]], atol=1e-6)
    np.testing.assert_allclose([found.bmaj[0], found.bmin[0]], [3.0, 2.0])
    # an east-west axis lies along x
    assert abs(np.cos(found.theta[0])) == pytest.approx(1.0, abs=1e-6)
    north = place(truth(ra=ra, dec=dec, pa=0.0), wcs, pixel_scale=1.8)
    assert abs(np.sin(north.theta[0])) == pytest.approx(1.0, abs=1e-6)


def test_attenuation_by_primary_beam_noise_and_size():
    some = truth(bmaj=0.0, bmin=0.0, flux=8.0)
    wcs, beam = WCS(sky_header()), PixelBeam(3.0, 3.0)
    seen = attenuate(
        place(some, wcs, pixel_scale=1.8), some, gain=np.array([0.5]), rms=np.array([0.1]), beam=beam
    )
    assert seen.flux[0] == pytest.approx(40.0)
    assert seen.peak_snr[0] == pytest.approx(40.0)


def test_tables_are_read_by_name_and_unit(tmp_path):
    columns = {
        "ra": [150.0] * u.deg,
        "dec": [-30.0] * u.deg,
        "int_flux": [3.0] * u.mJy,
        "bmaj": [9.0] * u.arcsec,
    }
    columns |= {"bmin": [8.0] * u.arcsec, "pa": [10.0] * u.deg, "bmaj_deconv": [0.1] * u.arcmin}
    QTable(columns).write(tmp_path / "t.ecsv")
    found = read_truth(tmp_path / "t.ecsv")
    assert found.flux[0] == pytest.approx(3e-3)
    assert found.bmaj[0] == pytest.approx(6.0)
    assert (found.bmin[0], found.pa[0], found.spread[0]) == (8.0, 10.0, 1.0)


def test_absent_columns_and_files_are_named(tmp_path):
    Table({"ra": [1.0], "dec": [1.0]}).write(tmp_path / "t.csv")
    with pytest.raises(InputError, match="int_flux"):
        read_truth(tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"absent\.fits"):
        read_truth(tmp_path / "absent.fits")


def test_primary_beam_is_interpolated_and_held_outside(tmp_path):
    response = np.tile(np.linspace(1.0, 0.0, 16, dtype="f4"), (12, 1))
    header = sky_header()
    path = write_image(tmp_path / "pb.fits", response[None, None], header)
    ra, dec = WCS(header).all_pix2world([0.0, 3.5, 40.0], [5.0, 5.0, 5.0], 0)
    np.testing.assert_allclose(primary_beam_at(path, ra, dec), [1.0, 1 - 3.5 / 15, 0.0], atol=1e-6)


def test_an_unusable_primary_beam_is_an_input_error(tmp_path):
    fits.PrimaryHDU(np.zeros((2, 12, 16), "f4"), sky_header()).writeto(tmp_path / "pb.fits")
    with pytest.raises(InputError, match="3 axes"):
        primary_beam_at(tmp_path / "pb.fits", np.zeros(1), np.zeros(1))
    with pytest.raises(InputError, match="absent"):
        primary_beam_at(tmp_path / "absent.fits", np.zeros(1), np.zeros(1))

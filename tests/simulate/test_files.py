from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skadetect.errors import OutputError
from skadetect.simulate.files import field_header, primary_beam_image, write_image, write_truth
from skadetect.simulate.options import ContinuumOptions, Instrument
from skadetect.simulate.sources import Sources

SDC1 = Instrument.from_options(ContinuumOptions(size=512))


def sources(n):
    columns = [np.linspace(10, 500, n) for _ in range(4)]
    rest = [np.full(n, v) for v in (1e-6, 0.5, 2.0, 1.0, 30.0)]
    return Sources(*columns, *rest, np.full(n, 2), np.full(n, 3))


def test_header_has_four_axes_beam_and_sin_projection():
    header = field_header(replace(SDC1, beam_major=3.0, beam_minor=2.0, beam_pa=40.0), 512)
    assert [header[f"CTYPE{i}"] for i in range(1, 5)] == ["RA---SIN", "DEC--SIN", "FREQ", "STOKES"]
    assert header["BUNIT"] == "JY/BEAM"
    assert (header["BMAJ"] * 3600, header["BMIN"] * 3600, header["BPA"]) == pytest.approx((3.0, 2.0, 40.0))
    assert header["CRVAL3"] == 560e6
    assert header["CDELT1"] < 0 < header["CDELT2"]


@pytest.mark.parametrize(("east", "north"), [(0.3, 0.0), (-0.2, 0.1)])
def test_field_centre_lies_at_the_offset(east, north):
    wcs = WCS(field_header(replace(SDC1, offset=(east, north)), 511), naxis=2)
    ra, dec = wcs.all_pix2world(255.0, 255.0, 0)
    assert ((ra + 180) % 360 - 180) * np.cos(np.radians(30)) == pytest.approx(east, abs=2e-3)
    assert dec == pytest.approx(-30 + north, abs=2e-3)


def test_primary_beam_file_gives_the_attenuation_by_its_wcs():
    image, header = primary_beam_image(SDC1, 512, True)
    wcs = WCS(header, naxis=2)
    x, y = np.array(wcs.all_world2pix(0.0, -30.0, 0))
    assert image[round(float(y)), round(float(x))] == 1.0
    edge = SDC1.offset[0] + 0.5 * 512 * SDC1.pixel_scale / 3600
    x, y = wcs.all_world2pix(edge / np.cos(np.radians(30)), -30.0, 0)
    assert 1 <= x <= image.shape[1] - 2
    assert 1 <= y <= image.shape[0] - 2
    assert np.all(primary_beam_image(SDC1, 512, False)[0] == 1)


def test_image_is_written_as_four_axes_of_float32(tmp_path):
    path = tmp_path / "new" / "image.fits"
    write_image(path, np.arange(12, dtype=np.float32).reshape(3, 4), field_header(SDC1, 4))
    data = fits.getdata(path)
    assert data.shape == (1, 1, 3, 4)
    assert data.dtype == ">f4"
    assert [p.name for p in path.parent.iterdir()] == ["image.fits"]


def test_truth_positions_are_the_images(tmp_path):
    header = field_header(SDC1, 512)
    write_truth(tmp_path / "truth.txt", sources(7), header)
    table = np.loadtxt(tmp_path / "truth.txt")
    assert table.shape == (7, 12)
    x, y = WCS(header, naxis=2).all_world2pix(table[:, 1], table[:, 2], 0)
    np.testing.assert_allclose(x, np.linspace(10, 500, 7), atol=1e-3)
    np.testing.assert_allclose(y, np.linspace(10, 500, 7), atol=1e-3)
    np.testing.assert_allclose(table[0, 5:], [1e-6, 0.5, 2, 1, 30, 2, 3])


def test_right_ascension_west_of_zero_is_negative(tmp_path):
    header = field_header(replace(SDC1, offset=(-0.3, 0.0)), 512)
    write_truth(tmp_path / "truth.txt", sources(2), header)
    table = np.loadtxt(tmp_path / "truth.txt")
    assert np.all((table[:, 1] < 0) & (table[:, 1] > -1))


def test_empty_truth_is_an_empty_file(tmp_path):
    write_truth(tmp_path / "truth.txt", sources(0), field_header(SDC1, 512))
    assert (tmp_path / "truth.txt").read_text() == ""


def test_unwritable_folder_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="expected a writable folder"):
        write_image(tmp_path / "file" / "image.fits", np.zeros((2, 2), np.float32), fits.Header())

"""FITS tables open in other people's programs: names, types, provenance, compression."""

import numpy as np
from astropy.io import fits
from astropy.table import Table

from skadetect.catalog.schema import COLUMNS
from tests.catalog.toy import toy_catalog


def test_fits_has_lower_case_positions_and_its_provenance_in_the_header(tmp_path):
    catalog = toy_catalog()
    catalog.table.meta |= {"network_seconds": 1.5, "image": "a long name é\n" * 10}
    catalog.write(tmp_path / "a.fits")
    header = fits.getheader(tmp_path / "a.fits", 1)
    names = [header[f"TTYPE{number}"] for number in range(1, header["TFIELDS"] + 1)]
    assert {"ra", "dec", "x", "y"} <= set(names)
    assert header["MODEL"] == "toy" and header["THRESH"] == 0.4 and header["network_seconds"] == 1.5
    assert header["IMAGE"].startswith("a long name") and header["OPTIONS"] == catalog.meta["options"]


def test_fits_is_compressed_where_its_name_says_so(tmp_path):
    toy_catalog().write(tmp_path / "a.fits.gz")
    assert (tmp_path / "a.fits.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert len(Table.read(tmp_path / "a.fits.gz")) == 12


def test_columns_have_the_types_of_the_schema(tmp_path):
    toy_catalog().write(tmp_path / "a.fits")
    data = fits.getdata(tmp_path / "a.fits", 1)
    for spec in COLUMNS:
        kind = data[spec.name].dtype.newbyteorder("=")
        assert kind == np.dtype(spec.dtype) or (spec.dtype == "U" and kind.kind in "SU")


def test_the_file_passes_the_standard_s_own_checks(tmp_path):
    toy_catalog().write(tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits") as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SOURCES"]

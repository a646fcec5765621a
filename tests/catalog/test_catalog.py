"""A catalogue behaves as a table of sources."""

import numpy as np
from astropy import units as u

from tests.catalog.toy import toy_catalog


def test_length_columns_and_rows_are_those_of_the_table():
    catalog = toy_catalog(5)
    assert len(catalog) == 5 and [row["source_id"] for row in catalog] == [1, 2, 3, 4, 5]
    assert catalog["peak_flux"].to(u.mJy / u.beam)[0].value == 1e3 * catalog.table["peak_flux"][0].value
    assert catalog.meta is catalog.table.meta and not catalog.is_cube


def test_pandas_has_the_same_numbers():
    catalog = toy_catalog(5)
    frame = catalog.to_pandas()
    assert list(frame.columns) == catalog.colnames and list(frame["name"]) == list(catalog["name"])
    np.testing.assert_array_equal(frame["int_flux"], catalog["int_flux"].value)
    assert len(toy_catalog(0).to_pandas()) == 0

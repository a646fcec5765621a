"""A catalogue that is read is the one that was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from skadetect.catalog.catalog import Catalog
from skadetect.detect import detect
from skadetect.errors import InputError

FIELD = Path(__file__).parents[2] / "examples" / "field" / "image.fits"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return detect(FIELD, threshold=0.9)


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".ecsv", ".vot"])
def test_reads_what_it_wrote(catalog, suffix, tmp_path):
    catalog.write(tmp_path / f"a{suffix}")
    again = Catalog.read(tmp_path / f"a{suffix}")
    assert again.colnames == catalog.colnames
    for name in catalog.colnames:
        one, two = catalog[name], again[name]
        values = [np.asarray(getattr(column, "value", column)) for column in (one, two)]
        assert values[0].dtype.kind == values[1].dtype.kind
        assert values[1].dtype.isnative
        np.testing.assert_array_equal(*values)
        assert getattr(one, "unit", None) == getattr(two, "unit", None)
        assert one.info.description == two.info.description
    if suffix != ".vot":
        assert again.meta["bmaj"] == pytest.approx(catalog.meta["bmaj"])
    again.write(tmp_path / "b.fits")
    assert len(Catalog.read(tmp_path / "b.fits")) == len(catalog)


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot read the catalogue"):
        Catalog.read(tmp_path / "absent.fits")
    with pytest.raises(InputError, match="expected a catalogue in FITS"):
        Catalog.read("a.csv")

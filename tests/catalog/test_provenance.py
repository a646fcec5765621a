"""Provenance is made of plain values under known keywords."""

import json

from skadetect.catalog.provenance import CatalogOptions, provenance
from skadetect.catalog.schema import KEYWORDS
from tests.catalog.toy import MODEL, toy_image


def test_entries_are_plain_and_documented():
    meta = provenance(toy_image(), MODEL, CatalogOptions(prefix="XYZ"))
    assert set(meta) <= {keyword.name for keyword in KEYWORDS}
    assert all(isinstance(value, (str, float)) and value != "" for value in meta.values())
    assert json.loads(meta["options"])["prefix"] == "XYZ"


def test_repairs_of_the_header_are_told():
    assert provenance(toy_image(), MODEL, CatalogOptions())["repairs"] == "none"
    assert "Jy/beam" in provenance(toy_image(BUNIT="mJy/beam"), MODEL, CatalogOptions())["repairs"]


def test_what_is_unknown_is_left_out():
    assert "freq" not in provenance(toy_image(), MODEL, CatalogOptions())

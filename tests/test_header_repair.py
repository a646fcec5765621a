"""Header repair: spellings seen in the wild, beams wherever they are, and a word about each change."""

from __future__ import annotations

import pytest
from astropy.io.fits import Card, Header

from skadetect.header_repair import brightness_unit, find_beam, repair_header

PIXEL = 1.0 / 3600


@pytest.mark.parametrize(
    ("given", "standard"),
    [
        ("JY/BEAM ", "Jy/beam"),
        ("beam-1 Jy", "Jy/beam"),
        ("Jy beam^-1", "Jy/beam"),
        ("Jy.beam-1", "Jy/beam"),
        ("Jy / beam", "Jy/beam"),
        ("Jy/bm", "Jy/beam"),
        ("mJy/beam", "mJy/beam"),
        ("MJY/BEAM", "mJy/beam"),
        ("uJy beam-1", "uJy/beam"),
        ("\u00b5Jy/beam", "uJy/beam"),
        ("microJy/beam", "uJy/beam"),
        ("JY/PIXEL", "Jy/pixel"),
        ("pixel-1 Jy", "Jy/pixel"),
        ("K", "K"),
        ("Kelvin", "K"),
        ("mK", "mK"),
        ("MJy/sr", "MJy/sr"),
        ("MJy sr-1", "MJy/sr"),
        ("W.U.", "5 mJy/beam"),
        ("counts", None),
        ("erg/s", None),
    ],
)
def test_brightness_units(given: str, standard: str | None) -> None:
    assert brightness_unit(given) == standard


def test_repairs_are_told_and_the_original_is_kept() -> None:
    header = Header({"CTYPE1": "ra---sin ", "CUNIT1": "DEGREE", "CUNIT2": "furlong", "BUNIT": "beam-1 Jy"})
    mended, repairs = repair_header(header)
    assert mended["CTYPE1"] == "RA---SIN"
    assert mended["CUNIT1"] == "deg"
    assert "CUNIT2" not in mended
    assert mended["BUNIT"] == "Jy/beam"
    assert header["CUNIT1"] == "DEGREE"
    assert len(repairs) == 3
    assert any("'beam-1 Jy'" in line for line in repairs)


def test_a_good_header_needs_no_word() -> None:
    header = Header({"CTYPE1": "RA---SIN", "CUNIT1": "deg     ", "BUNIT": "JY/BEAM ", "BMAJ": 0.01})
    assert repair_header(header)[1] == ()


def test_a_missing_unit_is_assumed_aloud() -> None:
    mended, repairs = repair_header(Header())
    assert mended["BUNIT"] == "Jy/beam"
    assert repairs == ("BUNIT is absent: Jy/beam assumed",)


def test_cards_that_cannot_be_parsed_are_dropped() -> None:
    header = Header({"BMAJ": 0.01})
    header.append(Card.fromstring("BROKEN  = 1.2.3.4 'what"))
    mended, repairs = repair_header(header)
    assert "BROKEN" not in mended
    assert mended["BMAJ"] == 0.01
    assert "BROKEN" in repairs[0]


def test_plain_beam() -> None:
    header = Header({"BMAJ": 0.003, "BMIN": 0.002, "BPA": -15.0})
    assert find_beam(header, pixel_scale=PIXEL) == ((0.003, 0.002, -15.0), ())


@pytest.mark.parametrize("bmaj", [None, 0.0, -1.0, "unknown"])
def test_beam_from_aips_history(bmaj: object) -> None:
    header = Header() if bmaj is None else Header({"BMAJ": bmaj})
    header["HISTORY"] = "AIPS   CLEAN BMAJ=  1.0E-02 BMIN=  1.0E-02 BPA=   0.00"
    header["HISTORY"] = "AIPS   CLEAN BMAJ=  1.2500E-02 BMIN=  1.2000E-02 BPA=   5.50"
    beam, repairs = find_beam(header, pixel_scale=PIXEL)
    assert beam == (0.0125, 0.012, 5.5)
    assert "HISTORY" in repairs[0]


def test_beam_from_casa_history() -> None:
    header = Header()
    header["HISTORY"] = "Fitted beam used in restoration: 25.5 by 18 (arcsec) at pa 30 (deg)"
    beam, _ = find_beam(header, pixel_scale=PIXEL)
    assert beam == pytest.approx((25.5 / 3600, 18 / 3600, 30))


def test_no_beam_at_all() -> None:
    assert find_beam(Header({"BMAJ": 0.0}), pixel_scale=PIXEL) == (None, ())


def test_beam_that_contradicts_itself() -> None:
    beam, repairs = find_beam(Header({"BMAJ": 0.002, "BMIN": 0.003, "BPA": 10.0}), pixel_scale=PIXEL)
    assert beam == (0.003, 0.002, 100.0)
    assert "exchanged" in repairs[0]


def test_beam_in_arcsec_is_told_from_degrees() -> None:
    beam, repairs = find_beam(Header({"BMAJ": 5.0, "BMIN": 4.0, "BPA": 0.0}), pixel_scale=PIXEL)
    assert beam == pytest.approx((5 / 3600, 4 / 3600, 0))
    assert "arcsec" in repairs[0]


def test_round_beam_with_one_axis() -> None:
    beam, repairs = find_beam(Header({"BMAJ": 0.002}), pixel_scale=PIXEL)
    assert beam == (0.002, 0.002, 0.0)
    assert len(repairs) == 1

"""The tables of columns and keywords are sound: names, UCDs, units."""

import pytest
from astropy import units as u
from astropy.io.votable.ucd import check_ucd

from skadetect.catalog.cube_schema import CUBE_COLUMNS
from skadetect.catalog.schema import COLUMNS, FLUX_UNIT, KEYWORDS, PEAK_UNIT, column_unit

EACH = [pytest.param(spec, id=spec.name) for spec in COLUMNS]
EACH += [pytest.param(spec, id=f"cube-{spec.name}") for spec in CUBE_COLUMNS]


def test_names_are_unique_and_what_a_catalogue_promises_is_there():
    names = [spec.name for spec in COLUMNS]
    promised = (
        "source_id name ra dec x y peak_flux int_flux bmaj bmin pa bmaj_deconv bmin_deconv pa_deconv "
        "e_pa_deconv local_rms snr score flags e_ra e_dec e_peak_flux e_int_flux e_bmaj e_bmin e_pa"
    )
    assert len(set(names)) == len(names) and set(promised.split()) <= set(names)


@pytest.mark.parametrize("spec", EACH)
def test_a_column_has_a_known_ucd_and_units_that_every_standard_can_write(spec):
    assert check_ucd(spec.ucd, check_controlled_vocabulary=True) and spec.description
    unit = column_unit(spec, u.Jy / u.beam)
    if unit is not None:
        assert u.Unit(unit.to_string("fits"), format="fits") == unit
        assert u.Unit(unit.to_string("vounit"), format="vounit") == unit


def test_keywords_fit_a_fits_header():
    assert all(len(keyword.name) <= 8 and keyword.name.islower() for keyword in KEYWORDS)


def test_fluxes_are_the_image_unit_times_a_beam():
    peak = next(spec for spec in COLUMNS if spec.unit == PEAK_UNIT)
    flux = next(spec for spec in COLUMNS if spec.unit == FLUX_UNIT)
    assert column_unit(peak, u.Jy / u.beam) == u.Jy / u.beam and column_unit(flux, u.Jy / u.beam) == u.Jy
    assert column_unit(flux, u.K) == u.K * u.beam

"""The tables of columns and keywords are sound: names, UCDs, units."""

import pytest
from astropy import units as u
from astropy.io.votable.ucd import check_ucd

from skadetect.catalog.cube_schema import CUBE_COLUMNS
from skadetect.catalog.schema import COLUMNS, FLUX_UNIT, KEYWORDS, LINE_UNIT, PEAK_UNIT, column_unit

EACH = [pytest.param(spec, id=spec.name) for spec in COLUMNS]
EACH += [pytest.param(spec, id=f"cube-{spec.name}") for spec in CUBE_COLUMNS]


def test_names_are_unique_and_what_a_catalogue_promises_is_there():
    names = [spec.name for spec in COLUMNS]
    promised = (
        "source_id name ra dec x y peak_flux int_flux bmaj bmin pa bmaj_deconv bmin_deconv pa_deconv "
        "e_pa_deconv local_rms snr score flags e_ra e_dec e_peak_flux e_int_flux e_bmaj e_bmin e_pa"
    )
    assert len(set(names)) == len(names) and set(promised.split()) <= set(names)


def test_a_cube_has_sofias_names_and_more():
    names = [spec.name for spec in CUBE_COLUMNS]
    sofia = (
        "id name x y z x_min x_max y_min y_max z_min z_max f_max f_sum flag rms w20 w50 ell_maj ell_min "
        "ell_pa kin_pa err_x err_y err_z err_f_sum snr ra dec freq v_rad v_opt"
    )
    ours = "hi_size incl score prob prior factor err_ra err_dec err_freq err_w20 err_w50 err_hi_size err_incl"
    ours += " err_kin_pa cut"
    assert len(set(names)) == len(names) and {*sofia.split(), *ours.split()} == set(names)


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
    line = next(spec for spec in CUBE_COLUMNS if spec.unit == LINE_UNIT)
    assert column_unit(line, u.Jy / u.beam) == u.Jy * u.Hz

"""A cube's columns: SoFiA's names and more, in the order and the types that a catalogue is written in."""

from astropy import units as u

from skadetect.catalog.cube_schema import CUBE_COLUMNS
from skadetect.catalog.schema import COLUMNS, LINE_UNIT, column_unit

SOFIA = (
    "id name x y z x_min x_max y_min y_max z_min z_max f_max f_sum flag rms w20 w50 ell_maj ell_min "
    "ell_pa kin_pa err_x err_y err_z err_f_sum snr ra dec freq v_rad v_opt"
)
OURS = (
    "hi_size incl score prob prior factor err_ra err_dec err_freq err_w20 err_w50 err_hi_size err_incl "
    "err_kin_pa cut f_aper err_f_aper"
)


def test_a_cube_has_sofias_names_and_more() -> None:
    names = [spec.name for spec in CUBE_COLUMNS]
    assert len(set(names)) == len(names) and {*SOFIA.split(), *OURS.split()} == set(names)


def test_the_flux_of_a_line_is_the_image_unit_times_a_beam_and_frequency() -> None:
    line, *others = (spec for spec in CUBE_COLUMNS if spec.unit == LINE_UNIT)
    assert [spec.name for spec in (line, *others)] == ["f_sum", "err_f_sum", "f_aper", "err_f_aper"]
    assert column_unit(line, u.Jy / u.beam) == u.Jy * u.Hz


def test_what_images_have_too_is_the_same_there() -> None:
    images = {spec.name: spec for spec in COLUMNS}
    shared = [spec for spec in CUBE_COLUMNS if spec.name in images]
    assert {"name", "ra", "dec", "x", "y", "snr", "score", "prior"} <= {spec.name for spec in shared}
    assert all((spec.unit, spec.ucd) == images[spec.name][1:3] for spec in shared)


def test_an_error_has_the_unit_of_what_it_is_of() -> None:
    columns = {spec.name: spec for spec in CUBE_COLUMNS}
    on_the_sky = {"err_ra", "err_dec"}  # arcsec, as is usual
    for name in {name for name in columns if name.startswith("err_")} - on_the_sky:
        assert columns[name].unit == columns[name.removeprefix("err_")].unit

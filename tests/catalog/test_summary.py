"""The printed table is short, aligned and in handy units."""

import pytest

from skadetect.catalog.summary import brightest, si_prefix
from tests.catalog.toy import toy_catalog
from tests.catalog.toy_cube import toy_cube_catalog


def test_the_brightest_come_first_in_aligned_columns():
    catalog = toy_catalog()
    lines = brightest(catalog, 3).splitlines()
    assert len(lines) == 4 and "peak [uJy/beam]" in lines[0] and "flux [uJy]" in lines[0]
    for line, name in zip(lines[1:], catalog["name"]):
        assert line.startswith(name)
    ends = [line.index("  ", 0) for line in lines[1:]]
    assert len(set(ends)) == 1


def test_galaxies_are_listed_with_what_cubes_know():
    catalog = toy_cube_catalog()
    lines = brightest(catalog, 3).splitlines()
    assert len(lines) == 4 and "f_sum [Jy Hz]" in lines[0] and "kin_pa [deg]" in lines[0]
    assert [line.split("  ")[0] for line in lines[1:]] == list(catalog["name"][:3])
    assert f"{catalog['freq'][0].value / 1e6:.3f}" in lines[1]


def test_fewer_sources_than_asked_for_and_none():
    assert len(brightest(toy_catalog(2), 10).splitlines()) == 3
    assert brightest(toy_catalog(0), 10) == "no sources" == brightest(toy_cube_catalog(0), 10)


def test_a_catalogue_that_is_older_than_a_column_is_listed_without():
    catalog = toy_catalog(2)
    catalog.table.remove_column("prob")
    assert all(" nan " in line for line in brightest(catalog, 2).splitlines()[1:])


@pytest.mark.parametrize(
    ("value", "prefix"), [(3.0, ""), (0.02, "m"), (-5e-6, "u"), (2e-9, "n"), (1e-12, "n"), (0.0, "")]
)
def test_prefixes_keep_numbers_short(value, prefix):
    assert si_prefix(value)[1] == prefix

"""Each format gives back the rows, and what it can hold of units, descriptions, UCDs and provenance."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import Table

from skadetect.catalog.cube_schema import CUBE_COLUMNS
from skadetect.catalog.formats import FORMATS, choose_format
from skadetect.catalog.schema import COLUMNS
from skadetect.catalog.sdc1 import read_sdc1
from skadetect.catalog.sdc2 import read_sdc2
from skadetect.errors import InputError, OutputError
from tests.catalog.toy import toy_catalog
from tests.catalog.toy_cube import toy_cube_catalog

SUFFIXES = {name: row.suffixes[0] for name, row in FORMATS.items()}
FULL = ["fits", "votable", "ecsv", "parquet"]
KINDS = {False: toy_catalog, True: toy_cube_catalog}
EACH = [(name, cube) for name, row in FORMATS.items() for cube in KINDS if row.cube in (None, cube)]
BOTH = pytest.mark.parametrize("cube", KINDS, ids=["image", "cube"])


def _read(path, name):
    """Columns of a written catalogue as a plain table, with what the format keeps of their meaning."""
    if name == "fits":
        table = Table.read(path, format="fits", character_as_bytes=False)
        header = fits.getheader(path, 1)
        for number, column in enumerate(table.colnames, start=1):
            table[column].description = header[f"TCOMM{number}"]
            table[column].meta["ucd"] = header[f"TUCD{number}"]
        return table
    if name == "votable":
        return parse(path).get_first_table().to_table(use_names_over_ids=True)
    if name == "ecsv":
        return Table.read(path, format="ascii.ecsv")
    if name == "csv":
        return Table.from_pandas(pd.read_csv(path))
    table = Table.from_pandas(pd.read_parquet(path))
    for field in pq.read_schema(path):
        meta = {key.decode(): value.decode() for key, value in field.metadata.items()}
        table[field.name].unit = meta["unit"] or None
        table[field.name].description, table[field.name].meta["ucd"] = meta["description"], meta["ucd"]
    return table


@BOTH
@pytest.mark.parametrize("name", [*FULL, "csv"])
def test_rows_survive(tmp_path, name, cube):
    catalog = KINDS[cube]()
    path = tmp_path / f"catalog{SUFFIXES[name]}"
    catalog.write(path)
    table = _read(path, name)
    assert table.colnames == catalog.colnames and len(table) == len(catalog)
    for column in catalog.colnames:
        written, value = np.asarray(table[column]), catalog[column]
        if column == "name":
            assert list(map(str, written)) == list(value)
        else:
            np.testing.assert_allclose(written, getattr(value, "value", value), rtol=1e-7, err_msg=column)


@BOTH
@pytest.mark.parametrize("name", FULL)
def test_units_descriptions_and_ucds_survive(tmp_path, name, cube):
    catalog = KINDS[cube]()
    path = tmp_path / f"catalog{SUFFIXES[name]}"
    catalog.write(path)
    table = _read(path, name)
    for spec in CUBE_COLUMNS if cube else COLUMNS:
        column, unit = table[spec.name], getattr(catalog[spec.name], "unit", None)
        assert " ".join(column.description.split()) == spec.description and column.meta["ucd"] == spec.ucd
        assert (column.unit is None) if unit is None else column.unit.is_equivalent(unit), spec.name
        assert unit is None or column.unit.to(unit) == 1.0


@pytest.mark.parametrize(("name", "cube"), EACH)
def test_an_empty_catalogue_is_a_valid_file(tmp_path, name, cube):
    path = tmp_path / f"none{SUFFIXES[name]}"
    KINDS[cube](0).write(path)
    if name == "ds9":
        assert "ellipse" not in path.read_text()
    elif name in ("sdc1", "sdc2"):
        assert path.read_text().startswith("id ") and path.read_text().count("\n") == 1
        assert len((read_sdc2 if cube else read_sdc1)(path)) == 0
    elif name == "sofia":
        assert all(line.startswith("#") for line in path.read_text().splitlines() if line)
    else:
        table = _read(path, name)
        assert len(table) == 0 and table.colnames == KINDS[cube](0).colnames


@BOTH
def test_votable_has_its_frame_and_provenance(tmp_path, cube):
    KINDS[cube]().write(tmp_path / "a.vot")
    tree = parse(tmp_path / "a.vot")
    table = tree.get_first_table()
    assert {str(p.name): p.value for p in table.params}["model"] == ("toy-hi" if cube else "toy")
    system = tree.resources[0].coordinate_systems[0]
    assert system.system in ("ICRS", "eq_FK5")
    assert table.get_field_by_id_or_name("ra").ref == system.ID


@BOTH
def test_ds9_ellipses_have_semi_axes_and_turn_from_north(tmp_path, cube):
    catalog = KINDS[cube]()
    major, angle = ("ell_maj", "ell_pa") if cube else ("bmaj", "pa")
    catalog.write(tmp_path / "a.reg")
    lines = (tmp_path / "a.reg").read_text().splitlines()
    ellipses = [line for line in lines if line.startswith("ellipse")]
    assert lines[0].startswith("# Region file format: DS9") and {"icrs", "fk5"} & set(lines)
    numbers = np.array([line[8 : line.index(")")].replace('"', "").split(",") for line in ellipses], float)
    np.testing.assert_allclose(numbers[:, 0], catalog["ra"].value, atol=1e-8)
    np.testing.assert_allclose(2 * numbers[:, 2], catalog[major].value, atol=2e-4)
    np.testing.assert_allclose(numbers[:, 4], (catalog[angle].value + 90) % 360, atol=1e-3)
    assert [line[line.index("{") + 1 : -1] for line in ellipses] == [str(k + 1) for k in range(len(catalog))]


@pytest.mark.parametrize(("name", "cube"), EACH)
def test_an_existing_file_is_kept_unless_asked(tmp_path, name, cube):
    path = tmp_path / f"catalog{SUFFIXES[name]}"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        KINDS[cube](2).write(path)
    assert path.read_text() == "mine"
    KINDS[cube](2).write(path, overwrite=True)
    assert path.read_bytes() != b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_chooses_over_the_suffix(tmp_path):
    toy_catalog().write(tmp_path / "a.fits", format="sdc1")
    assert len(read_sdc1(tmp_path / "a.fits")) == 12
    assert choose_format("A.FITS") == "fits" and choose_format("a.b.reg") == "ds9"


@pytest.mark.parametrize(
    ("path", "of_image", "of_cube"),
    [
        ("a.txt", "sdc1", "sdc2"),
        ("a_cat.txt", "sdc1", "sofia"),
        ("a.dat", "sdc1", "sdc2"),
        ("a.csv", "csv", "csv"),
    ],
)
def test_text_files_are_those_of_the_kind_of_catalogue(path, of_image, of_cube):
    assert (choose_format(path), choose_format(path, cube=True)) == (of_image, of_cube)


@pytest.mark.parametrize(("name", "cube"), [("sdc1", True), ("sdc2", False), ("sofia", False)])
def test_a_format_for_the_other_kind_is_refused_and_leaves_nothing(tmp_path, name, cube):
    with pytest.raises(InputError, match="image|cube"):
        KINDS[cube]().write(tmp_path / "a.txt", format=name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("path", "format"), [("a.jpg", "auto"), ("a", "auto"), ("a.fits", "jpeg")])
def test_an_unknown_format_is_refused_with_the_known_ones(path, format):
    with pytest.raises(OutputError, match="votable|.vot"):
        choose_format(path, format)

"""What SoFiA's tools read of a catalogue in SoFiA-2's layout is what the catalogue says."""

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from skadetect.catalog.cube_build import build_cube_catalog
from skadetect.catalog.sofia import SOFIA_COLUMNS, sofia_columns
from tests.catalog.toy_cube import CHANNEL, LIGHT, MODEL, toy_cube, toy_cube_catalog, toy_galaxies, toy_truth

NAMES = ["name", *(name for name, _ in SOFIA_COLUMNS)]


@pytest.fixture
def written(tmp_path):
    catalog = toy_cube_catalog()
    catalog.write(tmp_path / "cube_cat.txt")
    return catalog, tmp_path / "cube_cat.txt"


def test_names_and_units_stand_where_sofias_do(written):
    lines = written[1].read_text().splitlines()
    assert lines[0] == "# SoFiA source catalogue" and lines[1].startswith("# Creator: ")
    comments = [line for line in lines if line.startswith("#")]
    assert len(comments) == 20 and comments[17].split()[1:] == [str(k + 1) for k in range(len(NAMES))]
    assert comments[18][1:].split() == NAMES
    units = dict(zip(NAMES, comments[19][1:].split()))
    assert units["f_sum"] == "Jy*Hz" and units["name"] == units["rel"] == "-" and units["w20"] == "Hz"
    assert len({len(line) for line in lines[17:] if line}) == 1  # columns are aligned


def test_readers_by_line_number_and_by_position_see_the_catalogue(written):
    catalog, path = written
    table = Table.read(path, format="ascii.commented_header", header_start=18)
    assert table.colnames == NAMES and list(table["name"]) == list(catalog["name"])
    frame = pd.read_csv(path, sep=r"\s+", comment="#", names=NAMES)
    for name in (
        "id",
        "x",
        "y",
        "z",
        "f_sum",
        "f_max",
        "rms",
        "ra",
        "dec",
        "freq",
        "snr",
        "flag",
        "err_f_sum",
    ):
        value = np.asarray(getattr(catalog[name], "value", catalog[name]), np.float64)
        for read in (table[name], frame[name]):
            np.testing.assert_allclose(np.asarray(read), value, rtol=1e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(table["rel"], catalog["score"], atol=1e-6)
    assert (frame["n_pix"] == -1).all() and frame["wm50"].isna().all()


def test_values_are_in_sofias_units():
    catalog = toy_cube_catalog()
    columns = sofia_columns(catalog)
    np.testing.assert_allclose(
        columns["w20"] / catalog["freq"].value * LIGHT, catalog["w20"].value, rtol=1e-6
    )
    np.testing.assert_allclose(columns["ell_maj"] * 2.8, catalog["ell_maj"].value, rtol=1e-6)
    for axis in "xyz":
        low, high = catalog[f"{axis}_min"].value, catalog[f"{axis}_max"].value
        assert ((columns[f"{axis}_min"] >= low) & (columns[f"{axis}_min"] < low + 1)).all()
        assert ((columns[f"{axis}_max"] <= high) & (columns[f"{axis}_max"] > high - 1)).all()


def test_the_kinematic_angle_is_that_of_the_side_at_higher_channels():
    for step, turn in ((CHANNEL, 180.0), (-CHANNEL, 0.0)):
        view = toy_cube(step=step)
        catalog = build_cube_catalog([(toy_galaxies(view, toy_truth()), view)], MODEL)
        difference = sofia_columns(catalog)["kin_pa"] - catalog["kin_pa"].value
        np.testing.assert_allclose(np.mod(difference, 360.0), turn, atol=1e-3)

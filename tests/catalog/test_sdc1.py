"""The SDC1 reader finds its data, refuses what is wrong with all reasons at once, and reads what it wrote."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from data_paths import shared

from skadetect.catalog.sdc1 import SDC1_COLUMNS, TRAINING_COLUMNS, read_sdc1, write_sdc1
from skadetect.errors import InputError, OutputError

ROW = "{id} 0.1 -30.1 359.9 -30.2 1.5e-6 0.0375 1.25 0.5 -45 2 3"


def rows(n: int) -> list[str]:
    return [ROW.format(id=number) for number in range(n)]


def written(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "preamble",
    [[], [" ".join(SDC1_COLUMNS)], ["Training set", "", "1 2 3", "RA is in degrees: 0.5", *["text"] * 14]],
)
def test_finds_the_data_after_any_preamble(tmp_path, preamble):
    table = read_sdc1(written(tmp_path / "a.txt", preamble + rows(3)))
    assert list(table.columns) == list(SDC1_COLUMNS)
    assert table["id"].tolist() == [0, 1, 2]
    assert table.loc[1, ["ra_cent", "dec_cent", "flux", "pa"]].tolist() == [359.9, -30.2, 1.5e-6, -45.0]
    assert table["class"].dtype == np.int64


def test_fifteen_columns_keep_their_places(tmp_path):
    table = read_sdc1(
        written(tmp_path / "a.txt", ["head"] * 18 + [line + " 1 12.5 88.25" for line in rows(2)])
    )
    assert list(table.columns) == [*SDC1_COLUMNS, *TRAINING_COLUMNS]
    assert table.loc[0, ["ra_core", "dec_core", "class", "selection", "x", "y"]].tolist() == [
        0.1, -30.1, 3, 1, 12.5, 88.25,
    ]  # fmt: skip


def test_names_every_problem_at_once(tmp_path):
    bad = rows(6)
    bad[1] = ROW.format(id=0)
    bad[2] = bad[2].replace("1.5e-6", "-1")
    bad[3] = bad[3].replace("-30.1", "-91").replace(" 2 3", " 4 0")
    with pytest.raises(InputError) as caught:
        read_sdc1(written(tmp_path / "a.txt", bad))
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "id is not unique in 2 rows (1, 2)",
        "flux -1 ",
        "row 3",
        "dec_core -91",
        "size 4",
        "class 0",
    ):
        assert part in message
    assert "pa" not in message.split(":", 1)[1]


def test_lenient_reading_lets_values_through_but_no_bad_format(tmp_path):
    table = read_sdc1(written(tmp_path / "a.txt", [rows(1)[0].replace("1.5e-6", "-1")]), strict=False)
    assert table["flux"].tolist() == [-1.0]
    broken = [rows(1)[0], rows(2)[1].replace("1.25", "wide"), rows(3)[2].replace("0.5 ", "nan "), "3 4 5"]
    with pytest.raises(
        InputError, match=r"b_maj wide is not a finite number in 2 rows.*b_min.*class"
    ) as caught:
        read_sdc1(written(tmp_path / "b.txt", broken), strict=False)
    assert "3 rows (3, 4)" not in str(caught.value)


def test_refuses_rows_that_are_too_long(tmp_path):
    with pytest.raises(InputError, match="more than 12 columns in row 2"):
        read_sdc1(written(tmp_path / "a.txt", [rows(1)[0], rows(2)[1] + " 7"]))
    with pytest.raises(InputError, match="more than 12 columns in row 2"):
        read_sdc1(written(tmp_path / "b.txt", [rows(1)[0], rows(2)[1] + " 7 8 9"]))


@pytest.mark.parametrize("lines", [[], ["no numbers here"], ["1 2 3", "4 5 6"]])
def test_refuses_a_file_without_data(tmp_path, lines):
    with pytest.raises(InputError, match="expected rows of 12 or 15 numbers"):
        read_sdc1(written(tmp_path / "a.txt", lines))


def test_an_empty_catalogue_is_a_catalogue(tmp_path):
    write_sdc1(pd.DataFrame(columns=list(SDC1_COLUMNS)), tmp_path / "a.txt")
    table = read_sdc1(tmp_path / "a.txt")
    assert len(table) == 0
    assert list(table.columns) == list(SDC1_COLUMNS)
    assert table["id"].dtype == np.int64


def test_refuses_an_absent_file(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_sdc1(tmp_path / "absent.txt")


@pytest.mark.parametrize("header", [True, False])
def test_reads_what_it_wrote(tmp_path, header):
    rng = np.random.default_rng(3)
    table = pd.DataFrame({name: rng.uniform(0.01, 1.0, 20) for name in SDC1_COLUMNS})
    table = table.assign(
        **{"id": np.arange(20) + 36_000_000, "flux": 10 ** rng.uniform(-8, -2, 20), "size": 2, "class": 3}
    )
    write_sdc1(table.assign(extra="dropped"), tmp_path / "a.txt", header=header)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text().startswith("id ra_core") == header
    again = read_sdc1(tmp_path / "a.txt")
    assert again["id"].tolist() == table["id"].tolist()
    np.testing.assert_allclose(again["flux"], table["flux"], rtol=1e-7)
    np.testing.assert_allclose(again["ra_core"], table["ra_core"], atol=1e-9)
    np.testing.assert_allclose(again["b_min"], table["b_min"], atol=1e-6)


def test_writing_needs_the_columns_and_the_folder(tmp_path):
    table = pd.DataFrame({name: [1.0] for name in SDC1_COLUMNS})
    with pytest.raises(InputError, match="lacks the columns flux"):
        write_sdc1(table.drop(columns="flux"), tmp_path / "a.txt")
    with pytest.raises(OutputError, match="cannot be written"):
        write_sdc1(table, tmp_path / "absent" / "a.txt")
    assert not list(tmp_path.iterdir())


def test_real_truth_passes_the_strict_reader():
    assert len(read_sdc1(shared("sdc1_cutout/truth.txt"))) == 480

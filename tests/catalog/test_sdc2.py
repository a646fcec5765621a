"""The SDC2 reader wants its header, names all that is wrong at once, and reads what it wrote."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from data_paths import shared

from skadetect.catalog.sdc2 import SDC2_COLUMNS, read_sdc2, write_sdc2
from skadetect.errors import InputError, OutputError

HEADER = " ".join(SDC2_COLUMNS)
ROW = "{id} 179.9 -30.1 5.5 12.5 1.05e9 300.5 45 210.5"


def written(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def rows(n):
    return [ROW.format(id=number) for number in range(n)]


def test_reads_names_and_types(tmp_path):
    table = read_sdc2(written(tmp_path / "a.txt", "", HEADER, *rows(3)))
    assert tuple(table.columns) == SDC2_COLUMNS
    assert table["id"].tolist() == [0, 1, 2] and table["id"].dtype == np.int64
    assert table.iloc[1, 1:].tolist() == [179.9, -30.1, 5.5, 12.5, 1.05e9, 300.5, 45.0, 210.5]


def test_names_every_problem_at_once(tmp_path):
    bad = rows(7)
    bad[1] = bad[0]
    bad[2] = bad[2].replace(" 12.5 ", " 0 ")
    bad[3] = bad[3].replace("300.5", "-1").replace(" 45 ", " 91 ")
    bad[5] = bad[5].replace("-30.1", "-90.1")
    with pytest.raises(InputError) as caught:
        read_sdc2(written(tmp_path / "a.txt", HEADER, *bad))
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "id is not unique in 2 rows (1, 2)", "line_flux_integral 0 is not in", "in row 3", "pa -1 ", "i 91 ",
        "dec -90.1",
    ):  # fmt: skip
        assert part in message
    assert "w20" not in message and "hi_size" not in message
    assert len(read_sdc2(tmp_path / "a.txt", strict=False)) == 7


def test_bad_formats_are_never_let_through(tmp_path):
    broken = [rows(1)[0], "1 2 3", rows(3)[2].replace("210.5", "wide"), rows(4)[3].replace("3 ", "3.5 ", 1)]
    with pytest.raises(InputError, match=r"id 3\.5 is not a whole.*pa nan is not.*w20 (nan|wide) is not"):
        read_sdc2(written(tmp_path / "a.txt", HEADER, *broken), strict=False)
    with pytest.raises(InputError, match="more than 9 columns in row 2"):
        read_sdc2(written(tmp_path / "b.txt", HEADER, rows(1)[0], rows(2)[1] + " 7"))
    with pytest.raises(InputError, match="more than 9 columns in row 2"):
        read_sdc2(written(tmp_path / "c.txt", HEADER, rows(1)[0], rows(2)[1] + " 7 8 9"))


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (rows(1)[0], "the first line is '0 179.9 -30.1"),
        ("", "the file is empty"),
        (HEADER.replace("pa i", "i pa"), "another order"),
        (HEADER.replace("hi_size", "size"), "lacks the columns hi_size and has the unknown columns size"),
        (HEADER + " score", "has the unknown columns score"),
    ],
)
def test_refuses_a_wrong_header(tmp_path, header, problem):
    path = written(tmp_path / "a.txt", header)
    with pytest.raises(InputError, match=problem):
        read_sdc2(path)


def test_an_empty_catalogue_is_a_catalogue(tmp_path):
    write_sdc2(pd.DataFrame(columns=list(SDC2_COLUMNS)), tmp_path / "a.txt")
    table = read_sdc2(tmp_path / "a.txt")
    assert len(table) == 0 and tuple(table.columns) == SDC2_COLUMNS and table["id"].dtype == np.int64
    (tmp_path / "b.txt").write_text(HEADER)  # without the end of its line
    assert len(read_sdc2(tmp_path / "b.txt")) == 0


def test_refuses_an_absent_file(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_sdc2(tmp_path / "absent.txt")


def test_reads_what_it_wrote(tmp_path):
    rng = np.random.default_rng(3)
    table = pd.DataFrame({name: rng.uniform(0.01, 80.0, 20) for name in SDC2_COLUMNS})
    table = table.assign(id=np.arange(20) + 36_000_000, central_freq=rng.uniform(0.95e9, 1.15e9, 20))
    write_sdc2(table.assign(extra="dropped")[["extra", *SDC2_COLUMNS[::-1]]], tmp_path / "a.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    again = read_sdc2(tmp_path / "a.txt")
    assert again["id"].tolist() == table["id"].tolist()
    np.testing.assert_allclose(again["line_flux_integral"], table["line_flux_integral"], rtol=1e-8)
    np.testing.assert_allclose(again["ra"], table["ra"], atol=1e-9)
    np.testing.assert_allclose(again["central_freq"], table["central_freq"], atol=1e-3)
    for name in ("pa", "i", "w20", "hi_size"):
        np.testing.assert_allclose(again[name], table[name], atol=1e-4)


def test_writing_needs_the_columns_and_the_folder(tmp_path):
    table = pd.DataFrame({name: [1.0] for name in SDC2_COLUMNS})
    with pytest.raises(InputError, match="SDC2 catalogue lacks the columns w20"):
        write_sdc2(table.drop(columns="w20"), tmp_path / "a.txt")
    with pytest.raises(OutputError, match="cannot be written"):
        write_sdc2(table, tmp_path / "absent" / "a.txt")
    assert not list(tmp_path.iterdir())


def test_real_truth_passes_the_strict_reader():
    assert len(read_sdc2(shared("sdc2_catalogue/sky_dev_truthcat_v2.txt"))) == 2684

"""A submission is checked as a whole: every problem is told, no row is shifted or lost on the way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skadetect.catalog.sdc1 import SDC1_COLUMNS, write_sdc1
from skadetect.catalog.sdc2 import SDC2_COLUMNS, write_sdc2
from skadetect.errors import ConfigError, InputError
from skadetect.evaluate.submission import validate_submission

HEADER = " ".join(SDC1_COLUMNS)
ROW = "{id} 0.1 -30.1 359.9 -30.2 1.5e-6 0.0375 1.25 0.5 -45 2 3"
GALAXY = "{id} 180.0 -30.0 5.0 12.5 1.0e9 90 45 200"


def written(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_what_we_write_is_valid(tmp_path):
    rng = np.random.default_rng(0)
    sdc1 = pd.DataFrame({name: rng.uniform(0.1, 1.0, 9) for name in SDC1_COLUMNS})
    write_sdc1(sdc1.assign(id=range(9), size=2, b_maj=2.0, **{"class": 3}), tmp_path / "a.txt")
    sdc2 = pd.DataFrame({name: rng.uniform(0.1, 1.0, 9) for name in SDC2_COLUMNS})
    write_sdc2(sdc2.assign(id=range(9), central_freq=1e9), tmp_path / "b.txt")
    for name, challenge in (("a.txt", "sdc1"), ("b.txt", "sdc2")):
        found = validate_submission(tmp_path / name)
        assert (found.challenge, found.n_rows, found.problems, found.notes) == (challenge, 9, (), ())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([ROW.format(id=1)], "the first row is lost"),
        (["a", HEADER, ROW.format(id=1)], "1 lines are read as rows"),
        ([HEADER, ROW.format(id=1) + " 1 5 6"], "15 columns"),
        ([HEADER, ROW.format(id=1), ROW.format(id=1)], "id is not unique in 2 rows"),
        ([HEADER, ROW.format(id=1).replace("1.25", "wide"), ROW.format(id=2)], "b_maj wide is not a finite"),
        ([HEADER, "1 2 3 4 5 6 7 8 9 10 11", ROW.format(id=2)], "class nan is not a finite number in row 1"),
        ([HEADER, ROW.format(id=1), ROW.format(id=2) + " 7 8 9 1"], "more than 12 columns in row 2"),
        ([HEADER, ROW.format(id=1), "# a remark"], "id # is not a finite number in row 2"),
        ([HEADER, ROW.format(id="1.5")], "id 1.5 is not a whole number"),
        ([HEADER, ROW.format(id=1).replace(" 2 3", " 4 0")], "size 4 is not in [1, 3]"),
        (["nothing here"], "no row of numbers"),
    ],
)
def test_each_problem_of_sdc1_is_told(tmp_path, lines, expected):
    found = validate_submission(written(tmp_path / "a.txt", lines), challenge="sdc1")
    assert not found.valid
    assert any(expected in problem for problem in found.problems), found.problems


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([GALAXY.format(id=1)], "the first line is '1 180.0"),
        ([" ".join(SDC2_COLUMNS[:-1]), GALAXY.format(id=1)], "lacks the columns w20"),
        ([" ".join(SDC2_COLUMNS), GALAXY.format(id=1).replace(" 45 ", " 95 ")], "i 95 is not in [0, 90]"),
        ([" ".join(SDC2_COLUMNS), GALAXY.format(id=1)[:-4]], "w20 nan is not a finite number"),
    ],
)
def test_each_problem_of_sdc2_is_told(tmp_path, lines, expected):
    found = validate_submission(written(tmp_path / "a.txt", lines), challenge="sdc2")
    assert any(expected in problem for problem in found.problems), found.problems


def test_notes_tell_what_is_not_scored(tmp_path):
    inside = ROW.format(id=1).replace("0.1 -30.1", "359.9 -29.7").replace("1.25 0.5", "0.5 1.25")
    found = validate_submission(written(tmp_path / "a.txt", [HEADER, inside, ROW.format(id=2)]))
    assert found.valid
    assert found.notes == (
        "row 1 lie in the training area of 560 MHz and are not scored", "row 1 have a b_min above b_maj",
    )  # fmt: skip
    far = written(tmp_path / "b.txt", [" ".join(SDC2_COLUMNS), GALAXY.format(id=1).replace("1.0e9", "1.4e9")])
    assert "false detections" in validate_submission(far).notes[0]


def test_bad_calls_are_errors(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        validate_submission(tmp_path / "absent.txt")
    with pytest.raises(ConfigError, match="challenge is 'sdc3'"):
        validate_submission(tmp_path / "a.txt", challenge="sdc3")
    with pytest.raises(ConfigError, match="freq is 1"):
        validate_submission(tmp_path / "a.txt", freq=1)


BREAKS = {
    "short": lambda words: words[:-1],
    "long": lambda words: [*words, "7"],
    "longer": lambda words: [*words, *"7777"],
    "word": lambda words: [*words[:5], "x", *words[6:]],
}


@given(
    broken=st.lists(
        st.tuples(st.integers(0, 19), st.sampled_from(["short", "long", "longer", "word"])), max_size=4
    ),
    header=st.booleans(),
)
def test_every_broken_row_is_named_and_none_is_lost(tmp_path_factory, broken, header):
    lines = [ROW.format(id=number) for number in range(20)]
    kinds = dict(broken)
    for row, kind in kinds.items():
        lines[row] = " ".join(BREAKS[kind](lines[row].split()))
    path = written(tmp_path_factory.mktemp("a") / "a.txt", [HEADER] * header + lines)
    found = validate_submission(path, challenge="sdc1")
    assert found.n_rows == 20
    assert found.valid == (header and not kinds)
    told = " ".join(found.problems)
    for row in kinds:
        assert len(kinds) > 3 or f"{row + 1}" in told

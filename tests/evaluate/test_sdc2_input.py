"""Catalogues of cubes are scored from text, from tables with the challenge's columns, and from our own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from astropy.table import QTable
from evaluate.sdc2_oracle import random_tables

from skadetect.catalog.sdc2 import write_sdc2
from skadetect.catalog.sdc2_export import to_sdc2
from skadetect.errors import InputError
from skadetect.evaluate.sdc2 import score_sdc2
from skadetect.evaluate.sdc2_input import load_sdc2
from tests.catalog.toy_cube import toy_cube_catalog


@pytest.fixture(scope="module")
def catalog():
    return toy_cube_catalog(5)


@pytest.mark.parametrize("suffix", ["fits", "vot", "ecsv"])
def test_our_own_files_become_the_columns_of_the_challenge(catalog, tmp_path, suffix):
    catalog.write(tmp_path / f"cat.{suffix}")
    table = load_sdc2(tmp_path / f"cat.{suffix}")
    expected = to_sdc2(catalog)
    pd.testing.assert_frame_equal(table[list(expected.columns)], expected, check_dtype=False, rtol=1e-6)
    np.testing.assert_allclose(table["score"], catalog["score"])
    result = score_sdc2(tmp_path / f"cat.{suffix}", expected)
    assert result.n_match == result.n_truth == 5


def test_a_catalog_and_its_table_are_the_same(catalog):
    pd.testing.assert_frame_equal(load_sdc2(catalog), load_sdc2(catalog.table))


def test_tables_of_the_challenge_keep_their_other_columns(tmp_path):
    truth = random_tables(0, n=5)[0].assign(snr=7.0)
    assert load_sdc2(truth) is truth
    QTable.from_pandas(truth).write(tmp_path / "truth.ecsv")
    truth.to_csv(tmp_path / "truth.csv", index=False)
    truth.to_parquet(tmp_path / "truth.parquet")
    write_sdc2(truth, tmp_path / "truth.txt")
    for suffix in ("ecsv", "csv", "parquet"):
        pd.testing.assert_frame_equal(load_sdc2(tmp_path / f"truth.{suffix}"), truth)
    assert score_sdc2(tmp_path / "truth.txt", tmp_path / "truth.ecsv").n_match == len(truth)


def test_what_is_no_catalogue_of_a_cube_is_refused(catalog, tmp_path):
    for name in ("absent.fits", "absent.csv", "absent.txt"):
        with pytest.raises(InputError, match=name):
            load_sdc2(tmp_path / name)
    (tmp_path / "a.ecsv").write_text("text")
    with pytest.raises(InputError, match=r"a\.ecsv: cannot read"):
        load_sdc2(tmp_path / "a.ecsv")
    with pytest.raises(InputError, match="lacks the columns hi_size"):
        load_sdc2(pd.DataFrame({"id": [1], "ra": [0.0], "dec": [0.0]}))
    with pytest.raises(InputError, match="holds no units"):
        load_sdc2(catalog.to_pandas())

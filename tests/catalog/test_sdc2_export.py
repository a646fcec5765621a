"""A cube's catalogue in the challenge's columns scores as what it was made of."""

import numpy as np
import pandas as pd
import pytest

from skadetect.catalog.cube_build import build_cube_catalog
from skadetect.catalog.sdc2 import SDC2_COLUMNS, read_sdc2
from skadetect.catalog.sdc2_export import to_sdc2
from skadetect.errors import InputError
from skadetect.evaluate.sdc2 import score_sdc2
from tests.catalog.toy_cube import (
    CHANNEL,
    MODEL,
    receding_pa,
    toy_cube,
    toy_cube_catalog,
    toy_galaxies,
    toy_truth,
)


def true_table(view, truth):
    """The truth in the challenge's columns."""
    ra, dec = view.wcs.wcs_pix2world(truth["x"], truth["y"], 0)
    values = (
        np.arange(len(ra)), ra, dec, truth["hi_size"], truth["f_sum"], view.spectral.frequency(truth["z"]),
        receding_pa(view, truth), truth["incl"], truth["w20"],
    )  # fmt: skip
    return pd.DataFrame(dict(zip(SDC2_COLUMNS, values)))


@pytest.mark.parametrize("step", [CHANNEL, -CHANNEL], ids=["ascending", "descending"])
def test_galaxies_that_are_measured_right_have_full_marks(tmp_path, step):
    view, truth = toy_cube(step=step, CRVAL1=180.0), toy_truth(6)
    catalog = build_cube_catalog([(toy_galaxies(view, truth), view)], MODEL)
    catalog.write(tmp_path / "a.txt")
    score = score_sdc2(read_sdc2(tmp_path / "a.txt"), true_table(view, truth))
    assert score.n_match == score.n_det == 6 and score.n_false == 0 and score.score == pytest.approx(6.0)
    assert all(value == pytest.approx(1.0) for value in score.attributes.values())


def test_what_is_not_known_is_left_out_and_counted(caplog):
    catalog = toy_cube_catalog()
    catalog.table["f_sum"][1] = np.nan * catalog.table["f_sum"].unit
    catalog.table["w20"][2] = np.nan * catalog.table["w20"].unit
    assert list(to_sdc2(catalog)["id"]) == [1, 4, 5, 6] and "2 sources" in caplog.text


def test_what_has_no_jansky_has_no_challenge():
    view = toy_cube()
    catalog = build_cube_catalog([(toy_galaxies(view, toy_truth()), view)], MODEL)
    catalog.table["f_sum"] = catalog.table["f_sum"].value * catalog.table["rms"].unit
    with pytest.raises(InputError, match="Jy Hz"):
        to_sdc2(catalog)

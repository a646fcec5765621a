"""Pairs of a cube's catalogue and its truth are right, their errors can be judged, and flux bias is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from astropy.table import QTable
from evaluate.sdc2_oracle import random_tables

from skadetect.catalog.cube_flags import CubeFlag
from skadetect.errors import InputError
from skadetect.evaluate.cube_pulls import CUBE_QUANTITIES, cube_residuals, flux_bias
from skadetect.evaluate.pull_figure import plot_pulls
from skadetect.evaluate.pulls import fit_calibration, pulls, robust_width, summarise

UNITS = {
    "ra": "deg", "dec": "deg", "freq": "Hz", "f_sum": "Jy Hz", "w20": "km/s", "hi_size": "arcsec",
    "kin_pa": "deg", "incl": "deg",
}  # fmt: skip
WIDER = 1.7  # the true errors over the stated ones


def truth_table(n=1500, seed=0):
    """Galaxies far enough from each other, one of four asymmetric."""
    truth = random_tables(seed, n=n, spread=1.5)[0].iloc[:n].reset_index(drop=True)
    rng = np.random.default_rng(seed)
    truth = truth.assign(
        hi_size=rng.uniform(10, 30, n), w20=rng.uniform(100, 400, n), snr=rng.uniform(5, 50, n)
    )
    return truth.assign(asymmetry=np.where(np.arange(n) % 4 == 0, 0.8, 0.1))


def measured_table(truth, seed=1):
    """What a finder that knows its errors, up to a factor, would say."""
    rng, n = np.random.default_rng(seed), len(truth)
    snr = truth["snr"].to_numpy()
    errors = {
        "ra": 8.0 / snr, "dec": 8.0 / snr, "freq": 4e5 / snr, "f_sum": truth["line_flux_integral"] / snr,
        "w20": truth["w20"] / snr, "hi_size": truth["hi_size"] / snr, "kin_pa": 200.0 / snr,
        "incl": 100.0 / snr,
    }  # fmt: skip
    table = QTable(
        {"id": np.arange(1, n + 1), "snr": snr, "score": np.full(n, 0.9), "flag": np.zeros(n, int)}
    )
    table["ell_maj"] = truth["hi_size"].to_numpy()
    for name, official in CUBE_QUANTITIES.items():
        error = np.asarray(errors[name])
        shift = WIDER * error * rng.standard_normal(n)
        if name in ("ra", "dec"):
            shift = shift / 3600.0 / (np.cos(np.radians(truth["dec"])) if name == "ra" else 1.0)
        table[name] = np.asarray(truth[official] + shift)
        table[f"err_{name}"] = error
        table[name].unit = UNITS[name]
    table["kin_pa"] = table["kin_pa"] % (360.0 * table["kin_pa"].unit)
    return table


@pytest.fixture(scope="module")
def pairs():
    truth = truth_table()
    return cube_residuals(measured_table(truth)[::-1], truth.sample(frac=1.0, random_state=2))


def test_pulls_have_the_width_that_they_were_made_with(pairs, tmp_path):
    assert len(pairs) > 1400
    assert (np.abs(pairs["w20"]) < 5 * WIDER * pairs["true_w20"] / pairs["true_snr"]).all()
    table = pulls(pairs)
    assert list(table.columns) == ["snr", *CUBE_QUANTITIES]
    for name in CUBE_QUANTITIES:
        tolerance = 0.3 if name in ("ra", "dec", "freq") else 0.12  # pairs too far apart are no pairs
        assert robust_width(table[name].to_numpy()) == pytest.approx(WIDER, rel=tolerance), name
    plot_pulls(tmp_path / "pulls.png", table)
    assert (tmp_path / "pulls.png").stat().st_size > 10_000


def test_calibration_goes_by_the_names_of_the_errors(pairs):
    calibration = fit_calibration(pairs)
    assert set(calibration) == {f"err_{name}" for name in CUBE_QUANTITIES}
    after = summarise(pulls(pairs, calibration), np.array([5.0, 20.0, 50.0]))
    np.testing.assert_allclose(after["width"], 1.0, atol=0.15)


def test_flux_bias_of_all_and_of_some():
    truth = truth_table(400)
    table = measured_table(truth)
    table["f_sum"] = truth["line_flux_integral"].to_numpy() * np.where(truth["asymmetry"] > 0.5, 0.7, 1.02)
    table["f_sum"].unit = "Jy Hz"
    pairs = cube_residuals(table, truth)
    bias = flux_bias(pairs, np.array([5.0, 20.0, 60.0]), asymmetry=0.5)
    assert bias["sample"].tolist() == ["all", "all", "asymmetric", "asymmetric"]
    assert bias["n"][:2].sum() == len(pairs)
    np.testing.assert_allclose(bias["median"], [1.02, 1.02, 0.7, 0.7])
    np.testing.assert_allclose(bias["error"][2:], 0.0, atol=1e-12)
    assert flux_bias(pairs, np.array([500.0, 600.0]))["median"].isna().all()
    symmetric = flux_bias(pairs.drop(columns="true_asymmetry"), np.array([5.0, 20.0]))
    assert symmetric["sample"].tolist() == ["all"]


def test_flagged_blank_distant_and_doubled_rows_are_left_out():
    truth = truth_table(9)
    table = measured_table(truth.assign(snr=1000.0))
    table["flag"][0] = CubeFlag.OVERLAP
    table["flag"][1] = CubeFlag.UNRESOLVED  # says nothing against it
    table["hi_size"][2] = np.nan
    table["dec"][3] += 0.1 * table["dec"].unit
    table["ra"][4], table["dec"][4], table["freq"][4] = table["ra"][5], table["dec"][5], table["freq"][5]
    found = cube_residuals(table, truth)
    assert sorted(found["true_id"]) == sorted(truth["id"][[1, 5, 6, 7, 8]])
    table["err_kin_pa"][:] = 80.0
    assert cube_residuals(table, truth)["kin_pa"].isna().all()


def test_position_angles_wrap_and_right_ascensions_too():
    truth = truth_table(2).assign(ra=[359.9999, 0.0001], pa=[1.0, 359.0])
    table = measured_table(truth.assign(snr=1e6))
    table["ra"], table["kin_pa"] = [0.0001, 359.9999] * table["ra"].unit, [359.0, 2.0] * table["kin_pa"].unit
    found = cube_residuals(table, truth).set_index("true_pa")
    np.testing.assert_allclose(found["kin_pa"].loc[[1.0, 359.0]], [-2.0, 3.0])
    east = 0.72 * np.cos(np.radians(truth["dec"]))
    np.testing.assert_allclose(found["ra"].loc[[1.0, 359.0]], [east[0], -east[1]], rtol=1e-3)


def test_files_serve_and_an_empty_catalogue_has_no_pairs(tmp_path):
    truth = truth_table(5)
    table = measured_table(truth.assign(snr=1000.0))
    table.write(tmp_path / "cat.ecsv")
    table[:0].write(tmp_path / "none.fits")
    QTable.from_pandas(truth).write(tmp_path / "truth.ecsv")
    assert len(cube_residuals(tmp_path / "cat.ecsv", tmp_path / "truth.ecsv")) == 5
    none = cube_residuals(tmp_path / "none.fits", tmp_path / "truth.ecsv")
    assert len(none) == 0 and fit_calibration(none) == {}
    with pytest.raises(InputError, match="of an image"):
        cube_residuals(QTable.from_pandas(pd.DataFrame({"id": [1]})), truth)

"""Calibrated errors have unit pulls; pairs are those that are clean; the true factor and floor are found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skadetect.beams import PixelBeam
from skadetect.catalog.flags import Flag
from skadetect.catalog.uncertainty import floor_scale
from skadetect.evaluate.pulls import fit_calibration, pulls, residuals, robust_width, summarise

BEAM = 6.0  # arcsec
TRUE = {"e_ra": (1.5, 0.02), "e_int_flux": (0.7, 0.06), "e_bmaj": (2.0, 0.1), "e_pa": (1.2, 0.05)}


def truth_table(n: int, *, ra: float = 359.95, seed: int = 0) -> pd.DataFrame:
    """Sources 40 arcsec apart on a grid across 0 h, of peaks 5 to 1000."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(n)))
    y, x = (axis.reshape(-1)[:n] * 40.0 / 3600.0 for axis in np.mgrid[:side, :side])
    bmaj, peak = BEAM * rng.uniform(1.5, 2.0, n), np.exp(rng.uniform(np.log(5), np.log(1000), n))
    columns = {"ra": (ra + x / np.cos(np.radians(-60))) % 360, "dec": -60 + y, "peak_flux": peak}
    columns |= {"int_flux": peak * bmaj / BEAM, "bmaj": bmaj, "bmin": np.full(n, BEAM)}
    return pd.DataFrame(columns | {"pa": rng.uniform(-90, 90, n)})


def measured_table(truth: pd.DataFrame, *, seed: int = 1) -> pd.DataFrame:
    """A catalogue whose stated errors are those of the noise alone, and whose true ones follow TRUE."""
    rng = np.random.default_rng(seed)
    snr, n = truth["peak_flux"].to_numpy(), len(truth)
    table = truth.assign(snr=snr, local_rms=1.0, flags=0)
    size = floor_scale("e_bmaj", table, beam=PixelBeam(BEAM, BEAM))
    bases = {"ra": truth["bmaj"], "int_flux": truth["int_flux"], "bmaj": size}
    for name, base in (bases | {"pa": np.degrees(1.0)}).items():
        table[f"e_{name}"] = 0.5 * base / snr
        factor, floor = TRUE[f"e_{name}"]
        shift = np.hypot(factor * table[f"e_{name}"], floor * base) * rng.standard_normal(n)
        scale = 3600.0 * np.cos(np.radians(truth["dec"])) if name == "ra" else 1.0
        table[name] = truth[name] + shift / scale
    table["ra"] %= 360.0
    table["pa"] = (table["pa"] + 90.0) % 180.0 - 90.0
    return table


@pytest.fixture(scope="module")
def pairs() -> pd.DataFrame:
    truth = truth_table(6000)
    return residuals(
        measured_table(truth).sample(frac=1.0, random_state=3), truth, beam=PixelBeam(BEAM, BEAM)
    )


def test_the_true_factor_and_floor_are_found(pairs):
    assert len(pairs) > 5900  # all but a few that the noise of the positions carries off
    found = fit_calibration(pairs)
    assert set(found) == set(TRUE)
    for name, (factor, floor) in TRUE.items():
        assert found[name] == pytest.approx((factor, floor), rel=0.15), name


def test_calibrated_pulls_have_unit_width_at_every_signal_to_noise(pairs):
    edges = np.geomspace(5, 1000, 6)
    before, after = (
        summarise(pulls(pairs, calibration), edges) for calibration in (None, fit_calibration(pairs))
    )
    assert before["width"].max() > 3
    np.testing.assert_allclose(after["width"], 1.0, atol=0.12)
    np.testing.assert_allclose(after["median"], 0.0, atol=0.15)
    assert after.groupby("quantity")["n"].sum().max() <= len(pairs)


def test_a_bias_counts_as_error():
    truth = truth_table(400)
    table = truth.assign(int_flux=1.3 * truth["int_flux"], e_int_flux=1e-3, snr=10.0, local_rms=1.0, flags=0)
    found = residuals(table, truth, beam=PixelBeam(BEAM, BEAM))
    assert np.median(np.abs(pulls(found, fit_calibration(found))["int_flux"])) <= 1.01


def test_flagged_blended_faint_and_distant_pairs_are_left_out():
    truth = truth_table(6)
    near = truth.iloc[[4]].assign(dec=truth["dec"][4] + 8.0 / 3600, peak_flux=0.5 * truth["peak_flux"][4])
    dust = truth.iloc[[5]].assign(dec=truth["dec"][5] + 1.0 / 3600, peak_flux=0.1 * truth["peak_flux"][5])
    table = truth.assign(e_int_flux=1.0, snr=truth["peak_flux"], local_rms=1.0, flags=0)
    table.loc[0, "flags"] = Flag.EDGE
    table.loc[1, "local_rms"] = truth["peak_flux"][1]
    table.loc[2, "dec"] += 5.0 / 3600
    found = residuals(table, pd.concat([truth, near, dust], ignore_index=True), beam=PixelBeam(BEAM, BEAM))
    np.testing.assert_allclose(found["snr"], truth["peak_flux"][[3, 5]])
    np.testing.assert_allclose(found["int_flux"], 0.0)


def test_angles_are_folded_and_unknown_ones_left_out():
    truth = truth_table(3).assign(pa=[-89.0, 45.0, 10.0])
    table = truth.assign(pa=[89.0, 50.0, 60.0], e_pa=[2.0, 5.0, 52.0], snr=50.0, local_rms=1.0, flags=0)
    np.testing.assert_allclose(residuals(table, truth, beam=PixelBeam(BEAM, BEAM))["pa"], [-2.0, 5.0, np.nan])


def test_nothing_to_judge():
    truth = truth_table(3)
    empty = measured_table(truth).iloc[:0]
    none = residuals(empty, truth, beam=PixelBeam(BEAM, BEAM))
    assert len(none) == 0 and fit_calibration(none) == {}
    assert len(residuals(measured_table(truth), truth.iloc[:0], beam=PixelBeam(BEAM, BEAM))) == 0
    assert np.isnan(robust_width(np.array([np.nan])))


def test_robust_width_ignores_outliers():
    values = np.random.default_rng(0).standard_normal(20000)
    assert robust_width(values) == pytest.approx(1.0, abs=0.02)
    values[:200] = 1e6
    assert robust_width(values) == pytest.approx(1.0, abs=0.04)

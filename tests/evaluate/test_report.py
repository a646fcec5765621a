"""The report draws a figure from tables or files, over signal to noise or flux."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluate.sdc2_oracle import random_tables

from skadetect.catalog.sdc1 import SDC1_COLUMNS, write_sdc1
from skadetect.errors import ConfigError
from skadetect.evaluate import report
from skadetect.evaluate.report import write_report, write_sdc2_report


@pytest.fixture
def tables():
    rng = np.random.default_rng(2)
    n = 60
    truth = pd.DataFrame({name: np.ones(n) for name in SDC1_COLUMNS})
    truth = truth.assign(id=np.arange(n), flux=10 ** rng.uniform(-6, -4, n), size=2)
    truth[["ra_core", "dec_core"]] = rng.uniform(10.0, 11.0, (n, 2))
    sub = truth.iloc[10:].assign(score=0.5)
    sub.loc[50:, "dec_core"] += 5.0
    return sub, truth


@pytest.fixture
def drawn(monkeypatch):
    """What the figure is made of."""
    calls = {}

    def record(path, completeness, purity, **options):
        calls.update(options, completeness=completeness, purity=purity)

    monkeypatch.setattr(report, "plot_curves", record)
    return calls


def test_fluxes_are_the_abscissa_without_a_noise(tables, drawn):
    write_report("a.png", *tables)
    assert drawn["xlabel"] == "integrated flux (Jy)"
    assert np.nansum(drawn["completeness"].value * drawn["completeness"].count) == pytest.approx(40)
    assert drawn["completeness"].count.sum() == pytest.approx(60, abs=10)
    assert np.nansum(drawn["purity"].value * drawn["purity"].count) == pytest.approx(40)
    assert drawn["purity"].count.sum() == 50


def test_noise_or_snr_column_make_it_signal_to_noise(tables, drawn):
    sub, truth = tables
    write_report("a.png", sub, truth, noise=1e-6)
    by_noise = drawn["purity"]
    assert drawn["xlabel"].startswith("signal to noise")
    write_report("a.png", sub.assign(snr=sub["flux"] * 1e6), truth.assign(snr=truth["flux"] * 1e6))
    assert drawn["purity"].count.tolist() == by_noise.count.tolist()
    assert drawn["precision"].recall[-1] == pytest.approx(40 / 60)


def test_files_without_a_score_have_no_precision_recall(tables, drawn, tmp_path):
    for table, name in zip(tables, ("sub", "truth")):
        write_sdc1(table, tmp_path / name)
    write_report("a.png", tmp_path / "sub", tmp_path / "truth")
    assert drawn["precision"] is None


def test_writes_a_png(tables, tmp_path):
    write_report(tmp_path / "a.png", *tables, noise=1e-6)
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize("noise", [0.0, -1.0, float("nan")])
def test_noise_must_be_positive(tables, noise):
    with pytest.raises(ConfigError, match="noise is"):
        write_report("a.png", *tables, noise=noise)


def test_cubes_are_drawn_over_line_flux_or_snr(drawn):
    truth, _ = random_tables(3, n=40, spread=0.2)
    again = truth.iloc[:5].assign(id=-1 - truth.index[:5], w20=1.2 * truth["w20"][:5])
    sub = pd.concat([truth.iloc[:30], again]).assign(score=np.linspace(0.1, 0.9, 35))
    write_sdc2_report("a.png", sub, truth)
    assert drawn["xlabel"] == "integrated line flux (Jy Hz)"
    assert np.nansum(drawn["completeness"].value * drawn["completeness"].count) == pytest.approx(30)
    assert np.nansum(drawn["purity"].value * drawn["purity"].count) == pytest.approx(35)
    assert drawn["precision"].recall[-1] == pytest.approx(30 / len(truth))  # duplicates are counted once
    assert drawn["precision"].precision[-1] == pytest.approx(30 / 35)
    write_sdc2_report("a.png", sub.assign(snr=10.0), truth.assign(snr=10.0))
    assert drawn["xlabel"] == "signal to noise"

"""Bands joined: one source has one id and the best shape, and a doubtful row needs a second band."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluate.test_sdc1 import truth_table

from skadetect.errors import ConfigError, InputError
from skadetect.evaluate.sdc1 import PreparedTruth, score_sdc1
from skadetect.sdc import BandOptions, Sdc1, combine_bands, rehearse_bands

COARSE, FINE = 560, 1400


def band(table: pd.DataFrame, **changes) -> pd.DataFrame:
    return table.assign(**({"snr": 20.0, "score": 0.9, "kept": True} | changes))


@pytest.fixture
def tables() -> dict[int, pd.DataFrame]:
    truth = truth_table(60, 3).assign(b_maj=0.7, b_min=0.3)
    fine = truth.iloc[:40].assign(flux=lambda t: 0.5 * t["flux"], pa=7.0, id=np.arange(40))
    return {COARSE: band(truth, id=np.arange(60)), FINE: band(fine)}


def test_a_source_has_one_id_and_the_finer_shape(tables):
    found = combine_bands(tables)
    low, high = found[COARSE], found[FINE]
    assert low["bands"].tolist() == [2] * 40 + [1] * 20
    assert low["id"].tolist()[:40] == high["id"].tolist()
    assert low["id"].is_unique
    assert (low["pa"][:40] == 7.0).all()
    assert (low["pa"][40:] == tables[COARSE]["pa"][40:]).all()
    assert low["flux"].equals(tables[COARSE]["flux"])
    faint = {**tables, FINE: tables[FINE].assign(snr=0.5)}
    assert not (combine_bands(faint)[COARSE]["pa"][:40] == 7.0).any()


def test_a_doubtful_row_needs_another_band(tables):
    tables[COARSE] = tables[COARSE].assign(score=0.3, kept=False)
    assert len(combine_bands(tables)[COARSE]) == 40
    assert len(combine_bands(tables, options=BandOptions(confirmed=0.35))[COARSE]) == 0
    assert len(combine_bands(tables)[FINE]) == 40


def test_other_sources_are_not_taken_for_the_same(tables):
    moved = tables[FINE].assign(dec_core=tables[FINE]["dec_core"] + 1.0 / 3600)
    assert combine_bands({**tables, FINE: moved})[COARSE]["bands"].max() == 1
    bright = tables[FINE].assign(flux=100.0 * tables[FINE]["flux"])
    assert combine_bands({**tables, FINE: bright})[COARSE]["bands"].max() == 1


def test_three_bands_and_none(tables):
    third = band(tables[FINE].iloc[:10], pa=3.0)
    found = combine_bands({**tables, 9200: third})
    assert found[COARSE]["bands"].value_counts().to_dict() == {1: 20, 2: 30, 3: 10}
    assert (found[COARSE]["pa"][:10] == 3.0).all()
    assert combine_bands({COARSE: tables[COARSE]})[COARSE]["bands"].max() == 1
    empty = combine_bands({**tables, FINE: tables[FINE].iloc[:0]})
    assert len(empty[COARSE]) == 60
    with pytest.raises(ConfigError, match="band 600"):
        combine_bands({600: tables[COARSE]})
    with pytest.raises(InputError, match="560 MHz lacks the columns snr"):
        combine_bands({COARSE: tables[COARSE].drop(columns="snr")})


def test_a_second_band_raises_the_score_of_the_first(tmp_path):
    folder = rehearse_bands(tmp_path / "data", size=512, seed=5)
    runs = {
        freq: Sdc1(folder, freq=freq, out=tmp_path / str(freq)).detect(lowest=0.2) for freq in (560, 1400)
    }
    candidates = {freq: run.candidates() for freq, run in runs.items()}
    rows = combine_bands(candidates)[560]
    truth = PreparedTruth.prepare(folder / "True_560_v2.txt", train=None)
    alone = score_sdc1(candidates[560][candidates[560]["kept"]], truth)
    both = score_sdc1(rows, truth)
    assert (rows["bands"] == 2).sum() > 50
    assert both.score > alone.score + 5.0
    assert both.attributes["b_maj"] > alone.attributes["b_maj"]

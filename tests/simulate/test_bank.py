from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.errors import ConfigError
from skadetect.simulate.bank import BankOptions, make_bank, random_setting
from skadetect.train.bank import load_bank

OPTIONS = BankOptions(PixelBeam(2.6, 2.4, 0.3), channel=9.0, galaxies=12)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "one.npz"
    make_bank(path, OPTIONS, rng=np.random.default_rng(1))
    return load_bank(path)


def test_cubelets_have_unit_line_flux_and_the_truths_signal_to_noise(bank):
    assert len(bank) in (12, 13) and bank.beam == OPTIONS.beam
    for index in range(len(bank)):
        cubelet = bank.stored(index).astype(np.float32) * bank.scale[index]
        assert cubelet.sum() / bank.beam.area == pytest.approx(1.0, abs=0.02)
        snr = np.sqrt((cubelet.astype(float) ** 2).sum() / (bank.beam.area / 2))
        assert snr == pytest.approx(bank.snr[index], rel=2e-3)
        assert all(-1 < c < n for c, n in zip(bank.centre[index], cubelet.shape))


def test_sizes_widths_and_angles_are_within_their_ranges(bank):
    assert (bank.hi_size > 0.2 * 2.4).all() and (bank.hi_size < 22).all()
    assert (bank.w50 <= bank.w20).all() and (bank.w20 < 85).all()
    assert (
        (np.abs(bank.direction) <= np.pi).all() and (bank.incl >= 0).all() and (bank.incl < np.pi / 2).all()
    )


def test_companions_and_hosts_know_each_other(tmp_path):
    make_bank(tmp_path / "pairs.npz", replace(OPTIONS, companions=1.0), rng=np.random.default_rng(2))
    bank = load_bank(tmp_path / "pairs.npz")
    hosts = np.flatnonzero(bank.companion >= 0)
    assert len(hosts) == len(bank) / 2
    companions = bank.companion[hosts]
    np.testing.assert_array_equal(bank.host[companions], hosts)
    np.testing.assert_array_equal(bank.host[hosts], -1)
    np.testing.assert_array_equal(bank.companion[companions], -1)
    distance = np.hypot(bank.offset[:, 1], bank.offset[:, 2])
    assert (distance[companions] <= bank.hi_size[hosts]).all() and (distance[companions] > 0).all()
    assert (bank.share[companions] > 0).all() and (bank.share[hosts] == 0).all()


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("sdc2", 2.3, 2.8), ("telescope", 2.2, 5), ("coarse", 0.75, 2.2), ("wide", 2.2, 3.2)],
)
def test_settings_are_of_their_kind(kind, low, high):
    rng = np.random.default_rng(0)
    settings = [random_setting(kind, rng, galaxies=3) for _ in range(50)]
    assert all(low <= one.beam.fwhm <= high and 6 <= one.channel <= 20 for one in settings)


def test_a_wrong_setting_is_told():
    with pytest.raises(ConfigError, match="kind"):
        random_setting("other", np.random.default_rng(0), galaxies=1)
    with pytest.raises(ConfigError, match="channel"):
        BankOptions(PixelBeam(2.0, 2.0), channel=0.0)

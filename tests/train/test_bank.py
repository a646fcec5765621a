from __future__ import annotations

import numpy as np
import pytest

from skadetect.errors import ConfigError, InputError
from skadetect.nn.backends import reference
from skadetect.train import bank as bank_module
from skadetect.train.augment import AugmentOptions, augment
from skadetect.train.bank import BankGroup, MixtureOptions, load_bank, load_banks, mixture
from skadetect.train.contaminants import ContaminantOptions
from tests.train.toy_bank import BEAM, OFFSET, SHARE, write_toy_bank

SHAPE = (64, 48, 48)
CLEAN = MixtureOptions(contaminants=ContaminantOptions(residuals=0, absorption=0, ripples=0), hanning=0)
QUIET = AugmentOptions(noise_probability=0.0, flux=0.0)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    return load_bank(write_toy_bank(tmp_path_factory.mktemp("bank") / "one.npz"))


@pytest.fixture
def noiseless(monkeypatch):
    monkeypatch.setattr(bank_module, "_noise", lambda beam, shape, rng, options: np.zeros(shape, np.float32))


def lonely(bank, seed):
    """A patch made with one galaxy, which is well inside."""
    options, margin = MixtureOptions(density=1.0, contaminants=CLEAN.contaminants), np.array([12, 10, 10])
    for k in range(1000):
        pasted, paste = [], bank_module._paste
        with pytest.MonkeyPatch.context() as patching:
            patching.setattr(bank_module, "_paste", lambda *a: (pasted.append(1), paste(*a))[1])  # noqa: B023
            patch = mixture(bank, SHAPE, np.random.default_rng([seed, k]), options)
        if len(pasted) == len(patch.sources) == 1:
            position = patch.sources.position[0]
            if (position > margin).all() and (position < np.array(SHAPE) - margin).all():
                return patch
    raise AssertionError("no patch with one galaxy")


@pytest.mark.parametrize("seed", range(8))
def test_galaxies_are_where_the_truth_says_and_turn_as_it_says(bank, noiseless, seed):
    patch = augment(lonely(bank, seed), np.random.default_rng(seed), QUIET)
    z, y, x = np.indices(patch.snr.shape)
    total = patch.snr.sum(dtype=float)
    centre = [float((patch.snr * axis).sum() / total) for axis in (z, y, x)]
    np.testing.assert_allclose(centre, patch.sources.position[0], atol=0.02)
    low = patch.snr * (z < centre[0] - 0.5)
    dy, dx = ((low * axis).sum() / low.sum() - middle for axis, middle in ((y, centre[1]), (x, centre[2])))
    assert np.cos(np.arctan2(dy, dx) - patch.sources.theta[0]) == pytest.approx(1.0, abs=1e-3)
    assert total / patch.beam.area == pytest.approx(patch.sources.flux[0], rel=2e-3)


def test_companions_come_with_their_hosts_turned_alike(tmp_path, noiseless):
    bank = load_bank(write_toy_bank(tmp_path / "pairs.npz", pairs=True))
    shifts = set()
    for seed in range(20):
        patch = mixture(bank, SHAPE, np.random.default_rng(seed), CLEAN)
        sources, half = patch.sources, np.array([10, 7, 7])
        inside = ((sources.position > half) & (sources.position < np.array(SHAPE) - half)).all(axis=1)
        for row in np.flatnonzero(inside):
            shift = sources.position - sources.position[row]
            other = np.flatnonzero((np.abs(np.abs(shift) - np.abs(OFFSET)) < 0.6).all(axis=1))
            ratio = sources.flux[other] / sources.flux[row]
            assert np.isclose(ratio, SHARE).any() or np.isclose(ratio, 1 / SHARE).any()
            match = other[np.isclose(ratio, SHARE)]
            shifts |= {tuple(np.sign(shift[k]).astype(int)) for k in match}
    z, y, x = np.sign(OFFSET).astype(int)
    assert shifts == {(i * z, j * y, j * x) for i in (1, -1) for j in (1, -1)}


def test_noise_has_unit_rms_the_beam_of_the_bank_and_fresh_values(bank):
    empty = MixtureOptions(density=0.0, contaminants=CLEAN.contaminants, rms_error=0, level_error=0)
    patches = [mixture(bank, SHAPE, np.random.default_rng(k), empty) for k in range(2)]
    for patch in patches:
        assert patch.snr.dtype == np.float32 and len(patch.sources) == 0 and patch.beam == BEAM
        assert patch.snr.std() == pytest.approx(1.0, abs=0.02)
    assert abs(np.corrcoef(patches[0].snr.ravel(), patches[1].snr.ravel())[0, 1]) < 0.05


def test_hanning_smoothed_noise_keeps_its_rms_and_ties_neighbouring_channels(bank):
    options = MixtureOptions(
        density=0, contaminants=CLEAN.contaminants, hanning=1, rms_error=0, level_error=0
    )
    snr = mixture(bank, SHAPE, np.random.default_rng(3), options).snr
    assert snr.std() == pytest.approx(1.0, abs=0.03)
    assert (snr[1:] * snr[:-1]).mean() == pytest.approx(2 / 3, abs=0.05)


@pytest.mark.parametrize("later", [False, True])
def test_some_noise_is_less_correlated_than_the_beam_and_as_strong(bank, later):
    def neighbours(white):
        options = MixtureOptions(density=0, contaminants=CLEAN.contaminants, hanning=0, white=white)
        patches = [mixture(bank, SHAPE, np.random.default_rng(k), options, later=later) for k in range(12)]
        cubes = [reference.batch([p.piece])[0] if later else p.snr for p in patches]
        assert np.mean([cube.std() for cube in cubes]) == pytest.approx(1.0, abs=0.02)
        return np.array([(cube[..., 1:] * cube[..., :-1]).mean() for cube in cubes])

    usual, some, all_of_them = neighbours(0.0), neighbours(0.5), neighbours(1.0)
    assert usual.std() < 0.03
    assert (all_of_them < usual.min() - 0.05).mean() > 0.7
    assert all_of_them.min() < 0.05
    assert 2 <= (some < usual.min() - 0.05).sum() <= 10


def test_signal_to_noise_spans_its_range(bank):
    options = MixtureOptions(density=300.0, contaminants=CLEAN.contaminants, extended=0.0)
    patches = [mixture(bank, SHAPE, np.random.default_rng(k), options) for k in range(10)]
    snr = np.concatenate([patch.sources.peak_snr for patch in patches])
    assert snr.min() >= 2.0 and snr.max() <= 1000.0
    assert (snr > 10).mean() == pytest.approx((2 / 10) ** 0.8, abs=0.08)


def test_contaminants_are_there_and_leave_no_truth(bank):
    dirty = ContaminantOptions(residuals=5, residual_level=3, absorption=1, ripples=1)
    clean, spoilt = (
        mixture(bank, SHAPE, np.random.default_rng(1), MixtureOptions(density=0, contaminants=options))
        for options in (CLEAN.contaminants, dirty)
    )
    assert len(spoilt.sources) == 0 and np.isfinite(spoilt.snr).all()
    assert spoilt.snr.mean(axis=0).std() > 2 * clean.snr.mean(axis=0).std()


@pytest.mark.parametrize("seed", range(6))
def test_but_for_its_noise_a_patch_made_later_is_the_same(bank, monkeypatch, seed):
    """Patterns, galaxies, levels and truth; drawn by the same generator, turned and scaled alike."""

    def silent(shape, beam, rng):
        rng.integers(1 << 63)
        return np.zeros(shape, np.float32)

    monkeypatch.setattr(bank_module, "correlated_noise", silent)
    options = MixtureOptions(density=200, hanning=0.5, contaminants=ContaminantOptions(3, 2.0, 1.0, 1.0))
    turning = AugmentOptions(noise_probability=0.0, flux=0.2)
    here, there = (
        augment(mixture(bank, SHAPE, rng, options, later=later), rng, turning, later=later)
        for later, rng in ((later, np.random.default_rng(seed)) for later in (False, True))
    )
    piece = there.piece
    assert len(piece.composition.curves) >= 2 and len(piece.composition.stamps) > 10
    quiet = piece.composition._replace(kernel=np.zeros((1, 1), np.float32))
    made = reference.batch([piece._replace(composition=quiet)])[0]
    np.testing.assert_allclose(made, here.snr, rtol=1e-5, atol=1e-5 * np.abs(here.snr).max())
    for name, column in vars(here.sources).items():
        np.testing.assert_allclose(getattr(there.sources, name), column, rtol=1e-12)


@pytest.mark.parametrize("hanning", [0.0, 1.0])
def test_noise_made_later_has_the_rms_and_the_correlation_of_that_made_now(bank, hanning):
    options = MixtureOptions(density=0, contaminants=CLEAN.contaminants, hanning=hanning, rms_error=0.3)
    here, there = (
        mixture(bank, SHAPE, np.random.default_rng(3), options, later=one) for one in (False, True)
    )
    made, now = reference.batch([there.piece])[0], here.snr
    assert made.shape == SHAPE and abs(np.corrcoef(made.ravel(), now.ravel())[0, 1]) < 0.02
    assert made.std() == pytest.approx(now.std(), rel=0.15)  # its channels' errors are other ones
    for shift in ((0, 1, 0), (0, 0, 1), (0, 2, 1), (1, 0, 0)):
        a, b = (each[tuple(slice(n, None) for n in shift)] for each in (made, now))
        a2, b2 = (each[tuple(slice(None, -n or None) for n in shift)] for each in (made, now))
        assert (a * a2).mean() / made.var() == pytest.approx((b * b2).mean() / now.var(), abs=0.05)


def test_galaxies_made_later_are_views_of_their_bank(bank):
    piece = mixture(bank, SHAPE, np.random.default_rng(1), CLEAN, later=True).piece
    assert piece.composition.stamps
    assert all(np.shares_memory(stamp.pixels, bank.pixels) for stamp in piece.composition.stamps)


def test_groups_share_by_weight_and_bad_files_are_told(bank, tmp_path):
    for name in ("a1", "a2", "b1"):
        write_toy_bank(tmp_path / f"{name}.npz", n=2)
    groups = BankGroup(("a*.npz",), 3.0), BankGroup(("b*.npz",), 1.0)
    banks, weights = load_banks(groups, tmp_path)
    assert len(banks) == 3
    np.testing.assert_allclose(weights, [1.5, 1.5, 1.0])
    with pytest.raises(ConfigError, match="no file"):
        load_banks((BankGroup(("c*.npz",)),), tmp_path)
    (tmp_path / "c.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="c.npz"):
        load_bank(tmp_path / "c.npz")
    with pytest.raises(ConfigError, match="lowest_snr"):
        MixtureOptions(lowest_snr=0.0)

from __future__ import annotations

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.errors import ConfigError
from skadetect.train.augment import AugmentOptions
from skadetect.train.fields import Field
from skadetect.train.sampling import PatchSampler, SamplingOptions
from skadetect.train.sources import Sources

PLAIN = AugmentOptions(flips=False, transpose=False, noise=0.0, flux=0.0)


def field(value: float = 1.0, side: int = 40, n: int = 30) -> Field:
    """Each pixel holds its own index, and sources sit on pixel centres."""
    rng = np.random.default_rng(int(value))
    position = rng.integers(0, side, (n, 2)).astype(float)
    snr = (value * 1e4 + 1 + np.arange(side * side)).reshape(1, side, side).astype("f4")
    ones = np.ones(n)
    return Field(f"f{value}", snr, PixelBeam(3.0, 3.0), Sources(position, ones, ones, ones, ones, ones * 9))


def sampler(fields=None, weights=None, seed=1, **options) -> PatchSampler:
    fields = fields or [field()]
    settings = SamplingOptions(**({"patch": 16, "batch": 3, "workers": 0, "augment": PLAIN} | options))
    return PatchSampler(fields, np.ones(len(fields)) if weights is None else weights, settings, seed=seed)


def equal(one, two) -> bool:
    return all(np.array_equal(a.snr, b.snr) for a, b in zip(one, two, strict=True))


def test_sources_stay_on_their_pixels_and_all_in_the_patch_are_kept():
    whole = field()
    for patch in sampler().batch(3):
        y0, x0 = np.divmod(int(patch.snr[0, 0, 0] - 1e4 - 1), 40)
        for y, x in patch.sources.position.astype(int):
            assert patch.snr[0, y, x] == whole.snr[0, y + y0, x + x0]
        inside = ((whole.sources.position >= [y0, x0]) & (whole.sources.position < [y0 + 16, x0 + 16])).all(
            axis=1
        )
        assert len(patch.sources) == inside.sum()


def test_a_batch_depends_on_seed_and_step_alone():
    one, two = sampler(augment=AugmentOptions()), sampler(augment=AugmentOptions())
    one.batch(0)
    assert equal(one.batch(5), two.batch(5))
    assert not equal(one.batch(5), one.batch(6))
    assert not equal(one.batch(5), sampler(seed=2, augment=AugmentOptions()).batch(5))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers):
    plain = list(sampler().batches(2, 9))
    ahead = list(sampler(workers=workers).batches(2, 9))
    assert len(ahead) == 7
    assert all(equal(a, b) for a, b in zip(plain, ahead, strict=True))


def test_workers_stop_when_the_reader_does():
    batches = sampler(workers=1).batches(0, 1000)
    next(batches)
    batches.close()


def test_weights_are_probabilities_of_fields():
    drawn = sampler([field(1), field(2)], np.array([0.25, 0.75]), batch=400).batch(0)
    assert np.mean([patch.snr[0, 0, 0] > 2e4 for patch in drawn]) == pytest.approx(0.75, abs=0.08)


def test_blank_regions_are_drawn_rarely():
    half = field()
    half.snr[:, :20] = 0.0
    drawn = sampler([half], batch=200).batch(0)
    assert np.mean([np.count_nonzero(p.snr) < 0.5 * p.snr.size for p in drawn]) < 0.05


def test_a_small_field_is_refused_by_name():
    with pytest.raises(ConfigError, match="f1"):
        sampler(patch=64)
    with pytest.raises(ConfigError):
        SamplingOptions(batch=0)


def test_extended_sources_are_sought_out():
    plain = field(n=30)
    sizes = np.ones(30)
    sizes[7] = 40.0
    wide = Field(plain.name, plain.snr, plain.beam, plain.sources.with_(bmaj=sizes))

    def hits(share: float) -> int:
        patches = [p for step in range(20) for p in sampler([wide], extended=share).batch(step)]
        return sum(bool((p.sources.bmaj == 40.0).any()) for p in patches)

    assert hits(1.0) == 60
    assert hits(0.0) < 40
    assert equal(sampler([plain], extended=1.0).batch(1), sampler([plain], extended=0.5).batch(1)), (
        "none there"
    )

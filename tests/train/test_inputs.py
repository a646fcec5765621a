"""Patches that a back end finishes are those that the CPU's workers finish."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.nn.anchor import anchor_map
from skadetect.nn.backends import cpu, reference
from skadetect.normalize import Normalization
from skadetect.parameters import CONTINUUM
from skadetect.train.augment import AugmentOptions, add_noise, augment, correlated_noise, noise_kernel
from skadetect.train.fields import Field
from skadetect.train.inputs import hold_fields, network_input, sampler_for
from skadetect.train.sampling import PatchSampler, SamplingOptions
from skadetect.train.targets import SelectionOptions, patch_targets
from tests.train.patches import assert_correlated_as, gaussian_patch
from tests.train.test_sampling import field

BEAM = PixelBeam(5.0, 2.5, 0.7)
QUIET = AugmentOptions(noise=0.0)


def cube_field(seed: int = 3) -> Field:
    """A cube of noise with a blank corner; its sources have three coordinates."""
    rng = np.random.default_rng(seed)
    snr = rng.standard_normal((4, 22, 25), dtype=np.float32)
    snr[:, :6, :6] = 0.0
    sources = field(side=22).sources
    position = np.column_stack([rng.uniform(0, 3, len(sources)), sources.position])
    return Field("cube", snr, BEAM, sources.with_(position=position))


def samplers(fields, **options) -> tuple[PatchSampler, PatchSampler]:
    """The same draws, finished at once and later."""
    settings = SamplingOptions(**({"patch": 12, "batch": 6, "workers": 0, "augment": QUIET} | options))
    weights = np.ones(len(fields))
    here, there = (PatchSampler(fields, weights, settings, seed=5, later=later) for later in (False, True))
    return here, there


def assert_same(here, there, backend, *, rtol: float = 1e-6) -> None:
    """Sources, beams, pixels, features and targets of two batches."""
    for one, other in zip(here, there, strict=True):
        assert one.beam == other.beam
        for name, column in vars(one.sources).items():
            np.testing.assert_allclose(getattr(other.sources, name), column, rtol=1e-12)
    made = backend.to_host(backend.batch([patch.piece for patch in there]))
    np.testing.assert_allclose(made, np.stack([patch.snr for patch in here]), rtol=rtol)
    expected = np.stack([Normalization().apply(patch.snr, patch.beam) for patch in here])
    stride = (2 if here[0].snr.shape[0] > 1 else 1, 4, 4)
    features, anchors = network_input(there, Normalization(), backend, stride=stride)
    np.testing.assert_allclose(backend.to_host(features), expected, rtol=5e-6, atol=1e-7)
    for one, other, cells in zip(here, there, anchors, strict=True):
        np.testing.assert_allclose(cells, anchor_map(one.snr, stride), rtol=rtol)
        specs = {"specs": CONTINUUM, "stride": stride, "options": SelectionOptions()}
        wanted, found = patch_targets(one, **specs), patch_targets(other, **specs, anchors=cells)
        for name, column in vars(wanted).items():
            np.testing.assert_allclose(getattr(found, name), column, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(patch_targets(other, **specs).parameters, wanted.parameters, atol=1e-6)


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize("fields", [[field(1), field(2)], [cube_field()]], ids=["images", "cube"])
def test_without_noise_patches_are_the_same(backend, fields):
    here, there = samplers(fields)
    seen = {patch.snr.strides for step in range(4) for patch in there.batch(step)}
    assert len(seen) >= 6  # turned and mirrored, no pixel copied
    for step in range(4):
        assert_same(here.batch(step), there.batch(step), backend)


def test_patches_are_views_of_their_fields_until_a_back_end_asks():
    fields = [field(1), cube_field()]
    _, there = samplers(fields[1:], augment=AugmentOptions(noise_probability=1.0))
    assert all(np.shares_memory(patch.snr, fields[1].snr) for patch in there.batch(0))
    assert all(patch.noise > 0 and patch.gain != 1 for patch in there.batch(0))


def test_noise_is_that_of_the_cpu_in_all_but_its_numbers():
    """The same level, the same sources, unit rms and the beam's shape."""
    patch = gaussian_patch(shape=(192, 192), flux=0.0, beam=BEAM)
    patch.snr[:] = correlated_noise(patch.snr.shape, BEAM, np.random.default_rng(1))
    patch.snr[0, :8] = 0.0
    options = AugmentOptions(noise_probability=1.0, flux=0.3)
    here, there = (augment(patch, np.random.default_rng(6), options, later=later) for later in (False, True))
    made = reference.batch([there.piece])[0]
    np.testing.assert_array_equal(made == 0, here.snr == 0)
    np.testing.assert_allclose(there.sources.flux, here.sources.flux)
    np.testing.assert_allclose(there.sources.peak_snr, here.sources.peak_snr)
    assert made.std() == pytest.approx(here.snr.std(), rel=0.05)
    added = [each - there.gain * there.snr for each in (made, here.snr)]
    assert added[0].std() == pytest.approx(added[1].std(), rel=0.08)
    assert abs(np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("beam", [PixelBeam(3.0, 3.0), BEAM])
def test_white_noise_through_the_kernel_is_correlated_as_the_beam(beam):
    shape, kernel = (128, 128), noise_kernel((128, 128), beam)
    assert (kernel**2).sum() == pytest.approx(1.0, rel=1e-6)
    assert max(kernel.shape) < 31 and all(extent % 2 for extent in kernel.shape)
    nothing = np.full((4, *shape), 1e-30, np.float32)  # not blank
    noise = reference.batch([cpu_piece(nothing, kernel)])[0]
    assert noise.std() == pytest.approx(1.0, abs=0.03) and abs(noise.mean()) < 0.03
    assert_correlated_as(noise, beam)


def cpu_piece(pixels, kernel):
    return gaussian_patch().piece._replace(pixels=pixels, kernel=kernel, seed=11)


def test_the_kernel_has_the_transfer_of_the_noise_that_workers_make():
    """One formula: white noise through the kernel is the noise of the same white noise's spectrum."""
    shape = (1, 48, 40)
    kernel, reach = noise_kernel(shape[-2:], BEAM), [n // 2 for n in noise_kernel(shape[-2:], BEAM).shape]
    white = np.random.default_rng(3).standard_normal(shape, dtype=np.float32)
    made = sum(
        weight * np.roll(white, (reach[0] - j, reach[1] - k), axis=(-2, -1))
        for (j, k), weight in np.ndenumerate(kernel)
    )
    np.testing.assert_allclose(made, correlated_noise(shape, BEAM, np.random.default_rng(3)), atol=2e-3)


def test_the_kernel_of_a_beam_wider_than_the_patch_fits_it():
    kernel = noise_kernel((8, 9), PixelBeam(12.0, 3.0, 0.3))
    assert kernel.shape[0] <= 7 and kernel.shape[1] <= 9
    assert (kernel**2).sum() == pytest.approx(1.0, rel=1e-6)


def test_a_seed_is_drawn_where_workers_draw_noise():
    patch, options = gaussian_patch(), AugmentOptions(noise_probability=1.0)
    one, two = (augment(patch, np.random.default_rng(k), options, later=True) for k in (1, 2))
    assert one.seed != two.seed and one.seed >= 0
    again = augment(patch, np.random.default_rng(1), options, later=True)
    np.testing.assert_array_equal(reference.batch([one.piece]), reference.batch([again.piece]))
    noisy = add_noise(patch, np.random.default_rng(1), 0.5)
    assert noisy.piece.kernel is None and noisy.gain == 1.0


def test_fields_drawn_from_most_densely_are_kept_first():
    fields, kept = [field(1, side=20), field(2, side=40), cube_field()], []

    class Few:
        def hold(self, arrays):
            kept.extend(arrays)
            return 2

    assert hold_fields(fields, np.array([0.2, 0.7, 0.1]), Few()) == 2
    assert [one.size for one in kept] == [400, 1600, 2200]


def test_who_has_arrays_of_its_own_makes_the_pixels():
    class Elsewhere:
        def __init__(self):
            self.held = []

        def to_device(self, x):
            return x.copy()

        def hold(self, arrays):
            self.held = list(arrays)
            return len(self.held)

    fields, there = [field(1), cube_field()], Elsewhere()
    options = SamplingOptions(patch=12, workers=0)
    weights = np.ones(2)
    assert sampler_for(there, fields, weights, options=options, seed=1).later and len(there.held) == 2
    assert not sampler_for(cpu, fields, weights, options=options, seed=1).later

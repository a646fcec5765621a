from __future__ import annotations

import numpy as np
import pytest

from skadetect.errors import ConfigError
from skadetect.parameters import CONTINUUM, decode
from skadetect.train.augment import Patch, flip_x, transpose
from skadetect.train.sources import Sources
from skadetect.train.targets import SelectionOptions, batch_targets, patch_targets
from tests.train.patches import gaussian_patch

STRIDE = (1, 4, 4)


def with_peaks(peaks: list[float], position=(17.3, 24.6)) -> Patch:
    patch = gaussian_patch()
    n = len(peaks)
    columns = {
        name: np.full(n, getattr(patch.sources, name)[0]) for name in ("flux", "bmaj", "bmin", "theta")
    }
    sources = Sources(np.tile(position, (n, 1)), peak_snr=np.array(peaks), **columns)
    return Patch(patch.snr, patch.beam, sources)


def test_selection_weights_and_order():
    options = SelectionOptions(min_snr=2.5, soft_snr=3.5, soft_weight=0.25, ignore_snr=2.0)
    found = patch_targets(with_peaks([3.0, 2.2, 9.0, 1.0]), CONTINUUM, stride=STRIDE, options=options)
    np.testing.assert_array_equal(found.weight, [1.0, 0.25, 0.25])
    np.testing.assert_array_equal(found.difficult, [False, False, True])


def test_sources_outside_the_patch_and_very_large_ones():
    outside = patch_targets(
        with_peaks([9.0], position=(17.3, 40.2)), CONTINUUM, stride=STRIDE, options=SelectionOptions()
    )
    assert len(outside.weight) == 0 and outside.boxes.shape == (0, 2, 2)
    large = patch_targets(with_peaks([9.0]), CONTINUUM, stride=STRIDE, options=SelectionOptions(max_size=3.0))
    assert large.difficult.all()


@pytest.mark.parametrize("change", [lambda p: p, flip_x, transpose])
def test_encoded_targets_decode_to_the_source(change):
    patch = change(gaussian_patch())
    found = patch_targets(patch, CONTINUUM, stride=STRIDE, options=SelectionOptions())
    cell = np.floor((patch.sources.position[0] + 0.5) / 4).astype(int) * 4
    window = patch.snr[0, cell[0] - 1 : cell[0] + 5, cell[1] - 1 : cell[1] + 5]
    values = decode(CONTINUUM, found.parameters, anchor=window.max(), beam_fwhm=patch.beam.fwhm)
    for name, wanted in (
        ("int_flux", patch.sources.flux),
        ("bmaj", patch.sources.bmaj),
        ("bmin", patch.sources.bmin),
    ):
        np.testing.assert_allclose(values[name], wanted, rtol=1e-5)
    np.testing.assert_allclose(np.cos(2 * (values["theta"] - patch.sources.theta)), 1.0, rtol=1e-5)
    # boxes are in edge coordinates: their centre is half a pixel further
    np.testing.assert_allclose(found.boxes[0].mean(axis=0) - 0.5, patch.sources.position[0])


def test_encoded_flux_does_not_depend_on_depth():
    first, second = gaussian_patch(flux=50.0), gaussian_patch(flux=5000.0)
    one, two = (
        patch_targets(p, CONTINUUM, stride=STRIDE, options=SelectionOptions()) for p in (first, second)
    )
    np.testing.assert_allclose(one.parameters, two.parameters, rtol=1e-5)


def test_batches_join_in_order():
    options = SelectionOptions()
    parts = [
        patch_targets(with_peaks(peaks), CONTINUUM, stride=STRIDE, options=options)
        for peaks in ([5.0, 3.0], [], [4.0])
    ]
    joined = batch_targets(parts)
    np.testing.assert_array_equal(joined.start, [0, 2, 2, 3])
    assert joined.parameters.shape == (3, len(CONTINUUM))
    np.testing.assert_allclose(joined.weight, [1.0, 0.5, 1.0])


@pytest.mark.parametrize("wrong", [{"min_snr": 0.0}, {"soft_weight": 2.0}])
def test_wrong_options(wrong):
    with pytest.raises(ConfigError):
        SelectionOptions(**wrong)

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from skadetect.errors import ConfigError
from skadetect.normalize import Normalization
from skadetect.train.fields import FieldGroup, load_field, load_fields, observe
from tests.train.small_field import RMS, SIDE, write_field


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("fields")
    positions = write_field(base / "field1", seed=1, gain=0.5)
    write_field(base / "field2", seed=2, n=10)
    return base, positions


def test_pixels_and_truth_agree(folder):
    base, positions = folder
    one = base / "field1"
    field = load_field(one / "image.fits", one / "truth.txt", primary_beam=one / "primary_beam.fits")
    assert field.snr.shape == (1, SIDE, SIDE) and field.snr.dtype == np.float32
    assert field.beam.fwhm == pytest.approx(3.0, rel=1e-6)
    np.testing.assert_allclose(field.sources.position, positions, atol=1e-3)
    row, column = np.rint(field.sources.position).astype(int).T
    ratio = field.snr[0, row, column] / field.sources.peak_snr
    assert np.median(ratio) == pytest.approx(0.93, abs=0.06)


def test_noise_is_one_and_its_measure_is_returned(folder):
    seen = observe(folder[0] / "field2" / "image.fits", Normalization())
    assert 1.4826 * np.median(np.abs(seen.snr)) == pytest.approx(1.0, abs=0.1)
    assert seen.rms_at(np.array([[5.0, 90.0]]))[0] == pytest.approx(RMS, rel=0.1)


def test_without_the_primary_beam_fluxes_are_what_the_catalogue_says(folder):
    one = folder[0] / "field1"
    files = one / "image.fits", one / "truth.txt"
    plain, attenuated = load_field(*files), load_field(*files, primary_beam=one / "primary_beam.fits")
    np.testing.assert_allclose(plain.sources.flux, 2.0 * attenuated.sources.flux)


def test_faint_blank_and_outside_sources_are_left_out(folder, tmp_path):
    positions = write_field(tmp_path / "field", seed=1)
    with fits.open(tmp_path / "field" / "image.fits", mode="update") as hdus:
        hdus[0].data[:, :40] = np.nan
    files = tmp_path / "field" / "image.fits", tmp_path / "field" / "truth.txt"
    assert len(load_field(*files).sources) == (positions[:, 1] >= 39.5).sum()
    assert 0 < len(load_field(*files, min_snr=50.0).sources) < (positions[:, 1] >= 39.5).sum()


def test_images_of_other_sampling_are_resampled_with_their_sources(folder):
    one = folder[0] / "field2"
    files = one / "image.fits", one / "truth.txt"
    plain = load_field(*files)
    fine = load_field(*files, normalization=Normalization(fwhm_range=(5.0, 7.0)))
    assert fine.snr.shape == (1, 2 * SIDE, 2 * SIDE)
    np.testing.assert_allclose(fine.sources.position + 0.5, 2 * (plain.sources.position + 0.5), atol=1e-3)


def test_groups_share_by_weight_then_area(folder):
    base, _ = folder
    groups = [FieldGroup(("field*",), weight=3.0), FieldGroup(("field1",), weight=1.0)]
    fields, weights = load_fields(groups, base, normalization=Normalization(), min_snr=2.0)
    assert [f.name.split("/")[-2] for f in fields] == ["field1", "field2", "field1"]
    np.testing.assert_allclose(weights, [1.5, 1.5, 1.0])


def test_an_empty_group_is_a_config_error_and_a_primary_beam_is_optional(folder):
    base, _ = folder
    with pytest.raises(ConfigError, match="nowhere"):
        FieldGroup(("nowhere*",)).files(base)
    assert FieldGroup(("field1",), primary_beam="none.fits").files(base)[0].primary_beam is None
    assert FieldGroup(("field1",)).files(base)[0].primary_beam is not None


def test_labels_are_of_one_folder_or_of_each(folder):
    base, _ = folder
    names = ("field1", "field2")
    groups = [
        FieldGroup(("field*",), labels="{folder}/labels.npy"),
        FieldGroup(("field1",), labels="one.npy"),
    ]
    found = [[files.labels for files in group.files(base)] for group in groups]
    assert found == [[base / name / "labels.npy" for name in names], [base / "one.npy"]]
    with pytest.raises(ConfigError, match="one folder, 2 are given"):
        FieldGroup(("field*",), labels="one.npy").files(base)
    with pytest.raises(ConfigError, match="no folder"):
        FieldGroup(("none*",), labels="{folder}/labels.npy").files(base)

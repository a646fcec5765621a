"""Labels revised by what was found: faint sources that were, bright ones that were not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skadetect.catalog.sdc1 import read_sdc1
from skadetect.errors import ConfigError, InputError
from skadetect.nn.model import Model
from skadetect.sdc import Sdc1, rehearse_sdc1
from skadetect.sdc.bootstrap import revise_labels
from skadetect.train.fields import FieldGroup, load_field


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Sdc1:
    return Sdc1(rehearse_sdc1(tmp_path_factory.mktemp("a") / "data", size=512)).prepare()


def test_labels_follow_what_is_found(run, tmp_path):
    folder = run.folder / "area" / "train"
    model = Model.load("continuum")
    counts = revise_labels(model, folder, tmp_path / "labels.npy")
    label = np.load(tmp_path / "labels.npy")
    assert counts == {"added": (label == 1).sum(), "dropped": (label == -1).sum()}
    assert counts["added"] > 1
    assert 5 < counts["dropped"] < 0.2 * len(label)
    files = {"primary_beam": folder / "primary_beam.fits", "min_snr": 2.5}
    plain = load_field(folder / "image.fits", folder / "truth.txt", **files)
    revised = load_field(folder / "image.fits", folder / "truth.txt", **files, labels=tmp_path / "labels.npy")
    assert len(revised.sources) == pytest.approx(
        len(plain.sources) + counts["added"] - counts["dropped"], abs=5
    )
    blind = revise_labels(replace(model, threshold=0.999), folder, tmp_path / "blind.npy")
    assert blind["added"] < counts["added"]
    assert blind["dropped"] == counts["dropped"]


def test_a_training_may_be_repeated_with_revised_labels(run):
    trained = run.train(steps=2, patch=64, batch=1, bootstrap=1)
    labels = run.folder / "train" / "labels-1.npy"
    assert len(np.load(labels)) == len(read_sdc1(run.folder / "area" / "train" / "truth.txt"))
    options = Model.load(trained.model).metadata["options"]
    assert options["fields"][0]["labels"] == str(labels)
    again = run.train(steps=2, patch=64, batch=1)
    assert Model.load(again.model).metadata["options"]["fields"][0]["labels"] == ""


def test_labels_that_do_not_fit_are_told(run, tmp_path):
    np.save(tmp_path / "short.npy", np.zeros(3, np.int8))
    folder = run.folder / "area" / "train"
    with pytest.raises(InputError, match="are of 3 sources"):
        load_field(folder / "image.fits", folder / "truth.txt", labels=tmp_path / "short.npy")
    with pytest.raises(InputError, match="cannot be read"):
        load_field(folder / "image.fits", folder / "truth.txt", labels=tmp_path / "absent.npy")
    with pytest.raises(ConfigError, match="belong to one folder, 3 are given"):
        FieldGroup((str(run.folder / "area" / "*"),), labels="a.npy").files(tmp_path)

"""The challenges from files to a score: the documented example, each step alone, going on after a stop."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import QTable

from skadetect.catalog.sdc1 import read_sdc1
from skadetect.detect import Detector
from skadetect.detect_options import DetectOptions
from skadetect.errors import ConfigError, InputError
from skadetect.evaluate import score_sdc1, score_sdc2
from skadetect.evaluate.tuning import Thresholds
from skadetect.nn.model import Model
from skadetect.sdc import Sdc1, Sdc2, rehearse_sdc1, rehearse_sdc2
from skadetect.sdc.tables import Confidence
from skadetect.simulate import HiOptions

DOCS = Path(__file__).parents[2] / "docs" / "challenges.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return rehearse_sdc1(tmp_path_factory.mktemp("sdc1") / "data", size=512)


@pytest.fixture(scope="module")
def run(folder) -> Sdc1:
    return Sdc1(folder).prepare().tune().detect()


def test_the_documented_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    for full, small in (("size=768", "size=512"), ("steps=300, patch=128", "steps=3, patch=64, batch=1")):
        assert full in code
        code = code.replace(full, small)
    names: dict = {}
    exec(compile(code, str(DOCS), "exec"), names)
    assert names["run"].score().score > 100
    assert len(names["submission"]) <= len(names["sources"])
    assert Model.load(names["run"].model).metadata["started_from"]["name"] == "sdc1"
    assert len(read_sdc1("submission.txt")) == len(names["submission"])


def test_scores_are_the_official_ones(run, folder):
    truth = folder / "True_560_v2.txt"
    assert run.score() == score_sdc1(run.submission(), truth) == run.score(run.submission(), truth)
    steps = json.loads((run.folder / "steps.json").read_text())
    assert steps["score"]["result"]["score"] == run.score().score
    assert "score_untuned" in steps["score"]["result"]
    assert set(steps["tune"]["result"]["held_out"]) == {"model", "plain", "given", "single", "groups"}


def test_tables_of_any_kind_go_in(run, tmp_path):
    path = run.submit(tmp_path / "a.txt")
    plain = replace(run, thresholds=Thresholds.single(0.01), corrections=None)
    kinds = [run.catalog, run.catalog.table, plain.submission(), plain.submit(tmp_path / "b.txt")]
    scores = [run.score(table).score for table in kinds]
    assert scores == pytest.approx([scores[0]] * 4, rel=1e-4)
    assert run.score(path).score == pytest.approx(run.score().score, rel=1e-4)
    as_table = QTable.from_pandas(run.submission())
    assert run.score(as_table).score == run.score().score
    with pytest.raises(InputError, match="lacks the columns flux"):
        run.score(run.submission().drop(columns="flux"))


def test_the_training_area_is_cut_where_it_is(run, folder):
    area = run.folder / "area"
    counts = {name: len(read_sdc1(area / name / "truth.txt")) for name in ("train", "validate", "tune")}
    training = read_sdc1(folder / "TrainingSet_B1_v2.txt", strict=False)
    assert 0.97 * len(training) < sum(counts.values()) <= len(training)
    assert counts["train"] > counts["tune"] > counts["validate"] > 0
    files = folder / "SKAMid_B1_1000h_v3.fits", area / "train" / "image.fits"
    whole, part = (Detector().detect(path) for path in files)
    bright = part.table[np.asarray(part["snr"]) > 30]
    for row in bright:
        apart = np.hypot(
            (whole["ra"].value - row["ra"].value + 180) % 360 - 180, whole["dec"].value - row["dec"].value
        )
        assert apart.min() < 0.3 / 3600


def test_finished_steps_are_not_done_again(run, folder, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("done again")

    monkeypatch.setattr(Detector, "detect", fail)
    again = Sdc1(folder).prepare().tune().detect()
    assert again.submission().equals(run.submission())
    with pytest.raises(AssertionError, match="done again"):
        Sdc1(folder).tune(lowest=0.3)
    eight = DetectOptions(orientations=8)
    for step in (Sdc1(folder, options=eight).tune, replace(run, options=eight).detect):
        with pytest.raises(AssertionError, match="done again"):
            step()


def test_thresholds_choose_rows(run):
    few = replace(run, thresholds=Thresholds.single(0.9)).submission()
    score = dict(zip(run.catalog["source_id"], run.catalog["score"], strict=True))
    assert 0 < len(few) < len(run.submission())
    assert all(score[row] >= 0.9 for row in few["id"])


def test_what_is_missing_is_told(tmp_path, folder):
    with pytest.raises(InputError, match=r"SKAMid_B1_1000h_v3\.fits \(the map\) is absent; PrimaryBeam_B1"):
        Sdc1(tmp_path).prepare()
    with pytest.raises(ConfigError, match="freq is 600"):
        Sdc1(folder, freq=600).prepare()
    with pytest.raises(ConfigError, match="nothing is detected yet"):
        Sdc1(folder).submission()
    with pytest.raises(ConfigError, match="unknown option 'strides'"):
        Sdc1(folder).train(strides=3)
    for role in ("SKAMid_B1_1000h_v3.fits", "PrimaryBeam_B1.fits"):
        (tmp_path / role).symlink_to(folder / role)
    bare = Sdc1(tmp_path).prepare().detect()
    with pytest.raises(InputError, match=r"TrainingSet_B1_v2\.txt or its image is absent"):
        bare.tune()
    with pytest.raises(InputError, match=r"True_560_v2\.txt is absent"):
        bare.score()


def test_a_probability_goes_before_a_score():
    table = QTable({"id": [1, 2, 3], "score": [0.9, 0.8, 0.7], "prob": [0.1, np.nan, 0.3]})
    known = Confidence.of(table, np.array([3, 1, 2]))
    assert known.score.tolist() == [0.3, 0.1, 0.8]
    assert Confidence.of(QTable({"id": [1]}), np.array([1])).score.tolist() == [1.0]


@pytest.fixture(scope="module")
def cubes(tmp_path_factory) -> Path:
    options = HiOptions(density=60.0, frequency=1050.0)
    return rehearse_sdc2(tmp_path_factory.mktemp("sdc2") / "data", shape=(160, 96, 96), options=options)


def test_a_cube_goes_the_same_way(cubes):
    run = Sdc2(cubes, training="dev", bins=4).prepare().tune(lowest=0.3).detect()
    assert len(run.thresholds.edges) == 5
    truth = cubes / "sky_full_truthcat_v2.txt"
    assert run.score() == score_sdc2(run.submission(), truth)
    assert run.submit().read_text().startswith("id ra dec hi_size")
    assert run.score(truth).score == pytest.approx(len(run.to_submission(truth)))
    trained = run.train(steps=1, batch=1, settings={"sampling": {"channels": 64, "patch": 48}})
    assert Model.load(trained.model).metadata["pyramid"]

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skadetect.detections import Detections
from skadetect.errors import ConfigError
from skadetect.evaluate.sdc1 import score_sdc1
from skadetect.normalize import Normalization
from skadetect.parameters import CONTINUUM, encode
from skadetect.train import validate as module
from skadetect.train.fields import FieldGroup
from skadetect.train.validate import ValidationOptions, load_held_out, submission, validate
from tests.nn.networks import small_model
from tests.train.small_field import write_field

SCORED = ValidationOptions(groups=(FieldGroup(("field*",)),))
UNSCORED = ValidationOptions(others=(FieldGroup(("field*",)),))


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    base = tmp_path_factory.mktemp("held")
    write_field(base / "field1", seed=4, gain=0.5)
    return {
        name: load_held_out(options, base, normalization=Normalization())
        for name, options in (("scored", SCORED), ("unscored", UNSCORED))
    }


def perfect(one, *, false: int = 0) -> Detections:
    """The truth as detections of score 0.9, and false ones of score 0.3 on empty places."""
    sources = one.field.sources
    n = len(sources)
    anchor = np.maximum(sources.peak_snr, 1.0)
    columns = {name: getattr(sources, name) for name in ("bmaj", "bmin", "theta")} | {
        "int_flux": sources.flux
    }
    parameters = encode(CONTINUUM, columns, anchor=anchor, beam_fwhm=one.field.beam.fwhm)
    grid = np.stack(np.meshgrid(np.arange(2.0, 94), np.arange(2.0, 94), indexing="ij"), axis=-1).reshape(
        -1, 2
    )
    far = np.linalg.norm(grid[:, None] - sources.position[None], axis=2).min(axis=1) > 4.0
    position = np.concatenate([sources.position, grid[far][:false]])
    return Detections.from_columns(
        position=position,
        boxes=np.stack([position - 2, position + 2], axis=1),
        score=np.r_[np.full(n, 0.9), np.full(false, 0.3)],
        parameters=np.concatenate([parameters, np.repeat(parameters[:1], false, axis=0)]),
        anchor=np.r_[anchor, np.full(false, 5.0)],
    )


def run(monkeypatch, held, options, found):
    monkeypatch.setattr(module, "infer", lambda *args, **kwargs: found)
    return validate(small_model(), held, options, backend=None)


def test_the_truth_as_detections_gets_the_full_score(held):
    one = held["scored"][0]
    rows = perfect(one)
    score = score_sdc1(submission(small_model(), rows, one), one.truth)
    assert score.n_match == len(rows) == len(one.truth)
    assert {name for name, value in score.attributes.items() if value < 0.99} <= {"b_maj", "b_min", "pa"}
    assert score.attributes["flux"] == pytest.approx(1.0, abs=1e-3)


def test_threshold_leaves_the_false_ones_out(monkeypatch, held):
    one = held["scored"][0]
    metrics = run(monkeypatch, held["scored"], SCORED, perfect(one, false=20))
    assert 0.3 < metrics.threshold <= 0.9
    assert (metrics.completeness, metrics.purity, metrics.score_purity) == (1.0, 1.0, 1.0)
    assert metrics.average_precision == pytest.approx(1.0)
    assert metrics.merit == metrics.score > 0.5 * len(one.truth)


def test_a_wanted_purity_raises_the_threshold(monkeypatch, held):
    one = held["scored"][0]
    rows = perfect(one, false=3)
    # the faintest half of the truth is found at the score of three false detections, which they outweigh
    faint = np.argsort(one.field.sources.peak_snr)[: len(one.truth) // 2]
    score = rows.score.copy()
    score[faint] = 0.3
    rows = rows.with_(score=score)
    loose = run(monkeypatch, held["scored"], SCORED, rows)
    strict = run(monkeypatch, held["scored"], replace(SCORED, lowest_purity=0.99), rows)
    assert loose.threshold <= 0.3 < strict.threshold
    assert loose.score > strict.score and strict.score_purity == 1.0 > loose.score_purity


def test_without_an_sdc1_truth_precision_and_recall_decide(monkeypatch, held):
    metrics = run(monkeypatch, held["unscored"], UNSCORED, perfect(held["unscored"][0], false=20))
    assert np.isnan(metrics.score)
    assert metrics.threshold == pytest.approx(0.9)
    assert metrics.merit == metrics.average_precision == pytest.approx(1.0)


def test_misses_and_no_detections(monkeypatch, held):
    rows = perfect(held["unscored"][0])
    half = run(monkeypatch, held["unscored"], UNSCORED, rows.take(np.arange(0, len(rows), 2)))
    assert half.completeness == pytest.approx(0.5, abs=0.02) and half.purity == 1.0
    none = run(monkeypatch, held["scored"], SCORED, Detections.empty(2, len(CONTINUUM)))
    assert (none.completeness, none.purity) == (0.0, 0.0)


def test_held_out_groups_must_exist(tmp_path):
    with pytest.raises(ConfigError):
        load_held_out(SCORED, tmp_path, normalization=Normalization())

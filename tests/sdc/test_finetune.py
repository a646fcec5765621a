"""Training on a training area, from a model's weights or from random ones."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.model import Model
from skadetect.sdc import Sdc1, rehearse_sdc1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Sdc1:
    return Sdc1(rehearse_sdc1(tmp_path_factory.mktemp("a") / "data", size=512)).prepare()


def test_weights_may_be_drawn_anew(run: Sdc1) -> None:
    trained = Model.load(run.train("continuum", steps=1, patch=64, batch=1, scratch=True).model)
    start = Model.load("continuum")
    assert trained.metadata["options"]["initial"] == ""
    drawn, known = (each.folded().network for each in (trained, start))
    assert drawn.spec == known.spec
    assert not np.allclose(drawn.parameters["wide.filters"], known.parameters["wide.filters"], atol=0.1)


def test_how_network_and_pixels_are_weighed_is_kept(run: Sdc1) -> None:
    trained = Model.load(run.train("continuum", steps=1, patch=64, batch=1).model)
    start = Model.load("continuum")
    for name in ("error_calibration", "flux_mean", "moment_mean", "pyramid"):
        assert trained.metadata[name] == start.metadata[name]
    assert "reliability" not in trained.metadata

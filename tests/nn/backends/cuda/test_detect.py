"""From an image to its catalogue on a device: several tiles under way, each with its stream."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import skadetect
from skadetect import job
from skadetect.errors import SkadetectError
from skadetect.nn.backends.cuda import tiles
from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.tiles import Tile
from tests.fits_files import sky_header
from tests.nn.networks import small_model

pytestmark = pytest.mark.usefixtures("simulator")
SHAPE = (12, 28)


def test_the_catalogue_is_that_of_the_cpu(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(tiles, "SMALL", (Tile(32, 16, 16, 16, 3),))
    monkeypatch.setattr(job, "TRIAL_CELLS", 2)
    model = small_model(threshold=0.5).save(tmp_path / "small.safetensors")
    pixels = np.random.default_rng(3).normal(0.0, 1e-6, SHAPE).astype(np.float32)
    image = (pixels, sky_header(SHAPE[1], SHAPE[0]))
    here = skadetect.detect(image, model=str(model), device="cpu")
    with caplog.at_level(logging.INFO, "skadetect"):
        there = skadetect.detect(image, model=str(model), device="cuda", precision="fp32", tile=16)
    assert len(here) == len(there) > 5
    for name in ("x", "y", "score"):
        np.testing.assert_allclose(there.table[name].value, here.table[name].value, atol=1e-3)
    assert any("GPU kernels ready" in line for line in caplog.messages)


def test_a_gpu_that_computes_wrongly_ends_the_run(monkeypatch, tmp_path):
    monkeypatch.setattr(job, "TRIAL_CELLS", 2)
    monkeypatch.setattr(CudaBackend, "to_host", lambda self, x: self.context.to_host(x) * np.float32(1.1))
    model = small_model().save(tmp_path / "small.safetensors")
    image = (np.random.default_rng(3).normal(0.0, 1e-6, SHAPE), sky_header(SHAPE[1], SHAPE[0]))
    with pytest.raises(
        SkadetectError, match=r"device cuda: outputs differ .* by (9\.[6-9]e-02|1\.0e-01) .*--device"
    ):
        skadetect.detect(image, model=str(model), device="cuda", precision="bf16")

"""From an image to its catalogue on a device: several tiles under way, each with its stream."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import skadetect
from skadetect.nn.backends.cuda import tiles
from skadetect.nn.backends.cuda.tiles import Tile
from skadetect.nn.backends.select import _cuda_backend
from tests.fits_files import sky_header
from tests.nn.networks import small_model

pytestmark = pytest.mark.usefixtures("simulator")
SHAPE = (20, 36)


def test_the_catalogue_is_that_of_the_cpu(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(tiles, "SMALL", (Tile(32, 16, 16, 16, 3),))
    model = small_model(threshold=0.5).save(tmp_path / "small.safetensors")
    pixels = np.random.default_rng(3).normal(0.0, 1e-6, SHAPE).astype(np.float32)
    image = (pixels, sky_header(SHAPE[1], SHAPE[0]))
    here = skadetect.detect(image, model=str(model), device="cpu")
    with caplog.at_level(logging.INFO, "skadetect"):
        there = skadetect.detect(image, model=str(model), device="cuda", precision="fp32", tile=20)
    assert len(here) == len(there) > 10
    for name in ("x", "y", "score"):
        np.testing.assert_allclose(there.table[name].value, here.table[name].value, atol=1e-3)
    assert any("GPU kernels ready" in line for line in caplog.messages)
    # threads that ended took their memory with them: nothing is held but the network
    assert _cuda_backend(0, "fp32").context.pool.held == 0

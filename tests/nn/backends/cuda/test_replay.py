"""Recorded runs give what the run itself gives, launch for launch, for every input."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends.cuda import kernels, tiles
from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.context import Context
from skadetect.nn.backends.cuda.replay import MOST_RECORDINGS, replayed
from skadetect.nn.backends.cuda.tiles import Tile
from tests.nn.networks import cube_model

pytestmark = pytest.mark.usefixtures("simulator")
SHAPE = (1, 8, 4, 4, 5)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "SMALL", (Tile(32, 16, 16, 16, 3),))


def draw(seed):
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def test_a_recorded_network_equals_the_network(monkeypatch):
    network, backend = cube_model().folded().network, CudaBackend(0, "fp16")
    first = [network.forward(draw(seed), backend) for seed in (1, 2)]  # the second is recorded
    assert len(backend.context.recordings) == 1
    allocated, empty = [], Context.empty
    monkeypatch.setattr(Context, "empty", lambda self, *a: allocated.append(a) or empty(self, *a))
    again = [network.forward_on(draw(seed), backend) for seed in (1, 2)]
    assert len(allocated) == 6  # input, its 16 bits and a copy of the result, each time
    for there, here in zip(again, first, strict=True):
        np.testing.assert_array_equal(np.asarray(there), here)


def test_training_weights_and_large_inputs_are_not_recorded(monkeypatch):
    network, backend = cube_model().network, CudaBackend(0, "fp16")
    for _ in range(2):
        network.forward(draw(1), backend)
    assert not backend.context.recordings
    x = backend.to_device(draw(1))
    for _ in range(3):
        assert replayed(backend.context, network, lambda t: t, x, pixels=4) is x
    assert not backend.context.recordings


def test_old_recordings_make_way():
    backend = CudaBackend(0, "fp32")
    for number in range(1, MOST_RECORDINGS + 3):
        x = backend.to_device(np.ones((1, 1, 1, number, 4), np.float32))
        for _ in range(3):
            y = backend.replay(backend, lambda t: backend.leaky_forward(t, 0.1), x)
        np.testing.assert_array_equal(np.asarray(y), 1.0)
    assert len(backend.context.recordings) == MOST_RECORDINGS


def test_nothing_runs_while_it_is_recorded(monkeypatch):
    backend, ran = CudaBackend(0, "fp32"), []
    original = kernels.launch
    monkeypatch.setattr(kernels, "launch", lambda *a: ran.append(a[0]) or original(*a))
    x = backend.to_device(np.full((1, 1, 1, 2, 4), -1.0, np.float32))
    for count in (
        1,
        3,
        4,
    ):  # itself; once more before it is recorded and once by the recording; the recording
        y = backend.replay(backend, lambda t: backend.leaky_forward(t, 0.5), x)
        assert len(ran) == count
        np.testing.assert_array_equal(np.asarray(y), -0.5)

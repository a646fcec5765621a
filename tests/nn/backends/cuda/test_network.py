"""Whole networks on the device: one pass, the same boxes, kernels known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.infer import candidates, network_input
from skadetect.nn.backends import reference
from skadetect.nn.backends.cuda import kernels, tiles
from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.context import Context
from skadetect.nn.backends.cuda.tensor import Tensor
from skadetect.nn.backends.cuda.tiles import Tile
from skadetect.nn.head import decode
from tests.nn.networks import cube_model, small_model

pytestmark = pytest.mark.usefixtures("simulator")

BEAM = PixelBeam(4.0, 3.0, 0.5)
SHAPES = {2: (1, 1, 16, 20, 5), 3: (1, 8, 8, 12, 5)}


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "SMALL", (Tile(32, 16, 16, 16, 3),))


def model_of(ndim):
    return (small_model() if ndim == 2 else cube_model()).folded()


def draw(ndim):
    return np.random.default_rng(ndim).normal(size=SHAPES[ndim]).astype(np.float32)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp16", 5e-3), ("fp32", 1e-5)])
def test_outputs_equal_the_reference(ndim, precision, tolerance):
    network, x = model_of(ndim).network, draw(ndim)
    expected = network.forward(x, reference)
    y = network.forward(x, CudaBackend(0, precision))
    assert np.linalg.norm(y - expected) < tolerance * np.linalg.norm(expected)


def test_between_layers_nothing_leaves_the_device(monkeypatch):
    copies = []
    for name in ("upload", "download"):
        original = getattr(Context, name)

        def counted(self, *values, name=name, original=original, **options):
            copies.append(name)
            return original(self, *values, **options)

        monkeypatch.setattr(Context, name, counted)
    network, backend = model_of(2).network, CudaBackend(0, "fp16")
    network.forward(draw(2), backend)  # takes the parameters there
    copies.clear()
    outputs = network.forward_on(draw(2), backend)
    assert isinstance(outputs, Tensor) and outputs.kind == "fp32"
    assert copies == ["upload"]
    np.asarray(outputs)
    assert copies == ["upload", "download"]


def test_of_a_map_one_plane_goes_to_the_device_and_the_features_are_made_there(monkeypatch):
    sizes, original = [], Context.upload
    model, s, backend = model_of(2), 3 * draw(2)[0, ..., 0], CudaBackend(0, "fp32")
    seen = network_input(model, s, BEAM)
    model.network.forward_on(seen, backend)  # takes the parameters there
    monkeypatch.setattr(Context, "upload", lambda *a, **b: sizes.append(a[1].size) or original(*a, **b))
    outputs = model.network.forward_on(seen, backend)
    assert sizes == [s.size]
    expected = model.network.forward(model.normalization.apply(s, BEAM)[None], reference)
    assert np.linalg.norm(np.asarray(outputs) - expected) < 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_boxes_decoded_from_the_device_are_those_of_its_outputs(ndim, share):
    model = model_of(ndim)
    outputs = model.network.forward_on(draw(ndim), CudaBackend(0, "fp32"))
    copied = np.asarray(outputs)
    scores = decode(copied, model.head, threshold=0.0).score
    threshold = 0.999 * float(np.quantile(scores, 1.0 - share)) if share else 1.0 - 1e-9
    there, here = (decode(o, model.head, threshold=threshold) for o in (outputs, copied))
    assert len(here) == len(there) >= share * len(scores)
    for name in here.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(there, name), getattr(here, name))


def test_a_selection_without_room_runs_again(monkeypatch):
    monkeypatch.setattr("skadetect.nn.backends.cuda.context.ROOM", 2)
    backend = CudaBackend(0, "fp32")
    values = np.arange(40, dtype=np.float32).reshape(1, 1, 2, 2, 10)
    tensor = backend.context.upload(values, "fp32")
    index, rows = tensor.select(np.array([7.0, 16.5]), width=5, place=1)
    expected = [i for i, row in enumerate(values.reshape(-1, 5)) if row[1] >= [7.0, 16.5][i % 2]]
    assert index.tolist() == expected and len(expected) > 2
    np.testing.assert_array_equal(rows, values.reshape(-1, 5)[expected])


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_kernels_of_a_network_are_known_before_it_runs(monkeypatch, ndim):
    network, backend, launched = model_of(ndim).network, CudaBackend(0, "bf16"), []
    original = kernels.launch

    def noted(recipe, *rest):
        launched.append(recipe)
        original(recipe, *rest)

    seen = network_input(model_of(ndim), draw(ndim)[0, ..., 0], BEAM)

    def run():
        return network.forward_on(seen, backend)

    known = backend.context.rehearse(run)
    assert backend.context.pool.held == 0
    monkeypatch.setattr(kernels, "launch", noted)
    run()
    assert set(launched) == set(known)
    assert backend.prepare(run) == len(known)


@pytest.mark.parametrize("ndim", [2, 3])
def test_candidates_equal_those_of_the_reference(ndim):
    model = model_of(ndim)
    s = draw(ndim)[0, ..., 0] * 3
    backends = (reference, CudaBackend(0, "fp32"))
    here, there = (candidates(model, s, BEAM, backend=each, threshold=0.4) for each in backends)
    assert len(here) == len(there) > 0
    np.testing.assert_allclose(there.boxes, here.boxes, rtol=0, atol=1e-3)
    np.testing.assert_allclose(there.score, here.score, rtol=0, atol=1e-5)

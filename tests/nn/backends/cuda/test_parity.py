"""Every operation of the CUDA back end equals the reference, in the simulator, in every precision."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.backends.cuda import tiles
from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.tensor import Tensor, decode, encode
from skadetect.nn.backends.cuda.tiles import Tile
from tests.nn.backends import ops

pytestmark = pytest.mark.usefixtures("simulator")

#: Share of the largest number: of the float32 sum, and of one rounding of what is stored.
TOLERANCE = {"fp32": 1e-5, "tf32": 2e-3, "fp16": 3e-3, "bf16": 2e-2}
#: One thread after another computes here: small images, odd features, each with something of its own.
CONVOLUTIONS = [
    ops.conv((1, 1, 4, 5, 3), (1, 3, 3), 11, padding=(0, 1, 1)),
    ops.conv((2, 1, 5, 4, 8), (1, 3, 3), 16, padding=(0, 1, 1), bias=False),
    ops.conv((1, 1, 5, 7, 5), (1, 5, 5), 8, stride=(1, 2, 2), padding=(0, 2, 2)),
    ops.conv((1, 1, 5, 6, 24), (1, 1, 1), 13),
    ops.conv((1, 1, 4, 4, 16), (1, 2, 2), 6, stride=(1, 2, 2)),
    ops.conv((1, 1, 8, 9, 2), (1, 2, 2), 3, stride=(1, 3, 4), padding=(0, 1, 0)),
    ops.conv((1, 1, 4, 5, 16), (1, 3, 3), 16, padding=(0, 1, 1), groups=2),
    ops.conv((1, 1, 5, 4, 4), (1, 3, 3), 8, stride=(1, 2, 2), padding=(0, 1, 1), groups=4),
    ops.conv((1, 3, 3, 4, 3), (3, 3, 3), 4, padding=(1, 1, 1)),
    ops.conv((1, 5, 4, 3, 8), (3, 2, 4), 3, stride=(2, 1, 3), padding=(1, 0, 2)),
    ops.fused((1, 1, 3, 4, 8), (1, 3, 3), 8, padding=(0, 1, 1), slope=0.1, residual=True),
    ops.fused((1, 1, 3, 5, 8), (1, 3, 3), 5, padding=(0, 1, 1), slope=0.0, residual=True),
]
SIMPLE = [c for c in ops.CASES if not c.operation.startswith("conv") and c.arrays()[0].size < 1000]
# The other two precisions differ in what a product takes, not in shapes.
CASES = [(p, c) for p in ("fp16", "fp32") for c in [*CONVOLUTIONS, *SIMPLE]]
CASES += [(p, c) for p in ("bf16", "tf32") for c in [*CONVOLUTIONS[:2], CONVOLUTIONS[-1], ops.NORMS[0]]]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Few threads a block: the simulator runs them one at a time."""
    monkeypatch.setattr(tiles, "SMALL", (Tile(16, 16, 16, 16, 3), Tile(32, 32, 16, 32, 2)))


@pytest.mark.parametrize(("precision", "case"), CASES, ids=str)
def test_equals_reference(precision, case):
    ops.assert_parity(CudaBackend(0, precision), case, TOLERANCE[precision])


@pytest.mark.parametrize("precision", ["fp16", "bf16", "tf32"])
def test_wgmma_equals_reference(monkeypatch, precision):
    """The path of sm_90a, with two warp groups and more columns than there are features."""
    monkeypatch.setattr(tiles, "WIDE", (Tile(128, 128, 16, 128, 3, True),))
    backend = CudaBackend(0, precision)
    backend.context.wide = True
    case = ops.fused((1, 1, 9, 10, 16), (1, 3, 3), 72, padding=(0, 1, 1), slope=0.1, residual=True)
    ops.assert_parity(backend, case, TOLERANCE[precision])


@pytest.mark.parametrize("kind", ["fp16", "bf16", "fp32"])
def test_stored_numbers_are_the_nearest(kind):
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    step = {"fp16": 2.0**-11, "bf16": 2.0**-8, "fp32": 0.0}[kind]
    assert np.all(np.abs(decode(encode(values, kind), kind) - values) <= step * np.abs(values))
    exact = np.array([0.0, -1.5, 2.0, 96.0], np.float32)
    np.testing.assert_array_equal(decode(encode(exact, kind), kind), exact)


def test_arrays_on_the_device_stay_there():
    backend, case = CudaBackend(0, "fp32"), CONVOLUTIONS[0]
    x, filters, bias = case.arrays()
    on_device = backend.conv_forward(backend.to_device(x), filters, bias, **case.options)
    assert isinstance(on_device, Tensor)
    expected = reference.conv_forward(x, filters, bias, **case.options)
    ops.assert_close(backend.to_host(on_device), expected, 1e-5)
    ops.assert_close(np.asarray(on_device), expected, 1e-5)


def test_read_only_filters_are_packed_once_and_forgotten_with_them():
    backend, case = CudaBackend(0, "fp16"), CONVOLUTIONS[1]
    x, filters, _ = case.arrays()
    filters.flags.writeable = False
    before = len(backend.context._kept)
    for _ in range(2):
        backend.conv_forward(x, filters, None, **case.options)
        kept = len(backend.context._kept)
    assert any(isinstance(value, Tensor) for value in backend.context._kept.values())
    assert kept > before
    del filters
    assert len(backend.context._kept) < kept


def test_a_linear_end_is_stored_in_float32():
    backend = CudaBackend(0, "bf16")
    x, filters, bias = ops.conv((1, 1, 2, 3, 8), (1, 1, 1), 5).arrays()
    end = backend.conv_forward(backend.to_device(x), filters, bias, stride=(1, 1, 1), padding=(0, 0, 0))
    middle = backend.conv_forward(
        backend.to_device(x), filters, bias, stride=(1, 1, 1), padding=(0, 0, 0), slope=0.1
    )
    assert (end.kind, middle.kind) == ("fp32", "bf16")


def test_memory_is_used_again():
    backend = CudaBackend(0, "fp32")
    x = np.zeros((1, 1, 16, 16, 8), np.float32)
    for _ in range(3):
        backend.leaky_forward(x, 0.1)
    assert backend.context.pool.held <= 3 * x.nbytes
    backend.context.pool.clear()
    assert backend.context.pool.held == 0

"""The same as in the simulator, on a GPU: ``make test-gpu``."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.nn.backends import reference
from skadetect.nn.backends.cuda.device import SIMULATED
from skadetect.nn.backends.select import cuda_problem
from skadetect.nn.head import decode
from tests.nn.backends import ops
from tests.nn.networks import cube_model, small_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(SIMULATED, reason="NUMBA_ENABLE_CUDASIM is on"),
    pytest.mark.skipif(cuda_problem() is not None, reason=str(cuda_problem())),
]

TOLERANCE = {"fp32": 1e-5, "tf32": 2e-3, "fp16": 3e-3, "bf16": 2e-2}
#: Beside the listed cases some that fill several blocks of every tile, those of wgmma included.
LARGE = [
    ops.fused((2, 1, 61, 67, features), (1, 3, 3), outputs, padding=(0, 1, 1), slope=0.1, residual=True)
    for features, outputs in [(64, 64), (64, 128), (128, 192), (72, 117), (5, 32)]
]


@pytest.fixture(scope="module", params=TOLERANCE)
def backend(request):
    from skadetect.nn.backends.cuda.backend import CudaBackend

    return CudaBackend(0, request.param)


@pytest.mark.parametrize("case", [*ops.CASES, *LARGE], ids=str)
def test_equals_reference(backend, case):
    ops.assert_parity(backend, case, TOLERANCE[backend.context.precision])


@pytest.mark.parametrize("model", [small_model(), cube_model()], ids=["2d", "3d"])
def test_network_and_boxes_equal_the_reference_also_replayed(backend, model):
    network = model.folded().network
    shape = (1, 1, 96, 128, 5) if model.head.ndim == 2 else (1, 32, 32, 48, 5)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = network.forward(x, reference)
    for _ in range(4):  # as it is, recorded, and replayed
        outputs = network.forward_on(x, backend)
        error = np.linalg.norm(np.asarray(outputs) - expected) / np.linalg.norm(expected)
        assert error < TOLERANCE[backend.context.precision]
        there, here = (decode(o, model.head, threshold=0.6) for o in (outputs, np.asarray(outputs)))
        np.testing.assert_array_equal(there.boxes, here.boxes)


def test_two_runs_give_the_same_numbers(backend):
    case = ops.conv((2, 1, 40, 50, 16), (1, 3, 3), 24, stride=(1, 2, 2), padding=(0, 1, 1))
    arrays = case.arrays()
    grad = ops.output_gradient(case, ops.value(reference, case, arrays))
    first, second = (ops.gradients(backend, case, arrays, grad) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)

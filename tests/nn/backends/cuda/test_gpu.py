"""The same as in the simulator, on a GPU: ``make test-gpu``."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.formulas import ASINH, TANH
from skadetect.nn.backends import cpu, reference
from skadetect.nn.backends.cuda.device import SIMULATED
from skadetect.nn.backends.select import cuda_problem
from skadetect.nn.head import decode
from skadetect.train.augment import AugmentOptions
from skadetect.train.bank import MixtureOptions, load_bank
from skadetect.train.contaminants import ContaminantOptions
from skadetect.train.inputs import hold_fields
from skadetect.train.sampling import PatchSampler, SamplingOptions
from tests.nn.backends import ops
from tests.nn.backends.cuda.test_loss import CASES as LOSSES
from tests.nn.backends.cuda.test_loss import MORE, assert_equal, both
from tests.nn.networks import cube_model, small_model
from tests.nn.test_loss import scene
from tests.train import test_learner as learning
from tests.train.test_sampling import field
from tests.train.toy_bank import write_toy_bank

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


@pytest.mark.parametrize(("head", "options"), [*LOSSES.values(), *MORE.values()], ids=[*LOSSES, *MORE])
def test_loss_equals_that_of_the_host(head, options):
    outputs, targets = scene(head, seed=3, patches=40)
    assert_equal(*both(outputs, targets, head, options, seed=5), rtol=1e-4)


@pytest.mark.parametrize("options", learning.OPTIMIZERS.values(), ids=learning.OPTIMIZERS.keys())
def test_weights_move_as_on_the_host_and_the_same_way_twice(options):
    states = [learning.begun(options) for _ in range(3)]
    learning.made(learning.HostLearner(states[0], options, reference), states[0], range(5), bad=(1,))
    for state in states[1:]:
        learning.made(learning.KeptLearner(state, options, learning.DEVICE), state, range(5), bad=(1,))
    learning.assert_states_equal(states[0], states[1], rtol=1e-5)
    learning.assert_states_equal(states[1], states[2], rtol=0)


def test_features_and_peaks_equal_those_of_the_cpu(backend):
    s = (np.random.default_rng(2).standard_normal((2, 1, 700, 900)) * 30).astype(np.float32)
    constants = np.array([[0.5, -1.0, 2.0], [0.25, 1.0, 0.0]], np.float32)
    rows, tolerance = ((TANH, 0.25, 1.0), (ASINH, 0.5, 1 / 3)), TOLERANCE[backend.context.precision]
    for given in (s, backend.context.upload(s, "fp32")):
        made = backend.to_host(backend.features(given, rows, constants))
        np.testing.assert_allclose(made, cpu.features(s, rows, constants), rtol=tolerance, atol=1e-6)
        found = backend.peaks(given, (1, 4, 4), reach=1, least=1.0)
        np.testing.assert_array_equal(found, cpu.peaks(s, (1, 4, 4), reach=1, least=1.0))


@pytest.mark.parametrize("held", [True, False], ids=["held", "sent"])
def test_patches_equal_those_of_numpy(backend, tmp_path, held):
    bank, noisy = load_bank(write_toy_bank(tmp_path / "bank.npz")), AugmentOptions(noise_probability=0.5)
    dirty = MixtureOptions(hanning=0.5, contaminants=ContaminantOptions(2, 1.0, 0.5, 0.5))
    images = SamplingOptions(patch=64, workers=0, augment=noisy)
    cubes = SamplingOptions(patch=32, channels=40, workers=0, augment=noisy, mixture=dirty)
    for fields, options in (([field(1, side=90), field(2, side=70)], images), ([bank], cubes)):
        weights = np.ones(len(fields))
        assert backend.hold([]) == 0
        assert not held or hold_fields(fields, weights, backend) == len(fields)
        pieces = [
            patch.piece for patch in PatchSampler(fields, weights, options, seed=1, later=True).batch(0)
        ]
        made, expected = backend.to_host(backend.batch(pieces)), reference.batch(pieces)
        np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())

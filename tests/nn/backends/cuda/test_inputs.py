"""What a network sees, made on the device, equals what the CPU makes."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.formulas import ASINH, LINEAR, TANH
from skadetect.nn.backends import cpu, reference
from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.tensor import Tensor

pytestmark = pytest.mark.usefixtures("simulator")

ROWS = ((TANH, 0.25, 1.0), (ASINH, 0.5, 1 / 3), (LINEAR, 0.1, 0.5), (ASINH, 2.0, 1.0))
#: Of a feature's size: of float32 arithmetic, and of one rounding of what is stored.
TOLERANCE = {"fp32": 3e-6, "tf32": 3e-6, "fp16": 2.0**-11 + 3e-6, "bf16": 2.0**-8 + 3e-6}


def signal(shape):
    """Noise, very bright and very faint pixels, blanks."""
    rng = np.random.default_rng(1)
    s = (rng.standard_normal(shape) * np.exp(3 * rng.standard_normal(shape))).astype(np.float32)
    s.reshape(-1)[:6] = [0.0, -0.0, 1e-6, -31.0, 6e4, -2e5]
    return s


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], ()], ids=len)
def test_features_equal_those_of_the_cpu(precision, rows):
    s, constants = signal((2, 2, 3, 5)), np.array([[0.3, -1.0, 2.0], [0.5, 0.25, -0.125]], np.float32)
    backend = CudaBackend(0, precision)
    x = backend.features(s, rows, constants)
    assert isinstance(x, Tensor) and x.kind == backend.context.kind
    for other in (cpu, reference):
        expected = other.features(s, rows, constants)
        np.testing.assert_allclose(backend.to_host(x), expected, rtol=TOLERANCE[precision], atol=1e-7)


@pytest.mark.parametrize("samples", [1, 3])
def test_features_without_constants_of_what_is_on_the_device(samples):
    s, backend = signal((samples, 1, 3, 4)), CudaBackend(0, "fp32")
    x = backend.features(backend.to_device(s), ROWS, np.empty((samples, 0), np.float32))
    expected = reference.features(s, ROWS, np.empty((samples, 0), np.float32))
    np.testing.assert_allclose(backend.to_host(x), expected, rtol=3e-6, atol=1e-7)


@pytest.mark.parametrize(("shape", "stride"), [((2, 1, 8, 12), (1, 4, 4)), ((2, 6, 4, 9), (3, 2, 3))])
@pytest.mark.parametrize("reach", [0, 1])
def test_peaks_of_cells_are_those_of_the_reference(shape, stride, reach):
    s, backend = signal(shape), CudaBackend(0, "fp16")
    expected = reference.peaks(s, stride, reach=reach, least=0.5)
    for given in (s, backend.context.upload(s, "fp32")):
        np.testing.assert_array_equal(backend.peaks(given, stride, reach=reach, least=0.5), expected)

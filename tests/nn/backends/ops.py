"""Cases of every operation and how a back end runs them: one list for the parity tests of all back ends.

A test of a new back end is two lines::

    @pytest.mark.parametrize("case", ops.CASES, ids=str)
    def test_parity(case):
        ops.assert_parity(backend, case)
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skadetect.nn.backends import reference

Arrays = Sequence[Any]
UNIT, NONE = (1, 1, 1), (0, 0, 0)
EPSILON = 1e-3


@dataclass(frozen=True)
class Case:
    """One operation with the shapes of its arrays (None: absent) and its options."""

    operation: str
    shapes: tuple[tuple[int, ...] | None, ...]
    options: dict[str, Any]

    def __str__(self) -> str:
        words = [f"{name}={value}" for name, value in self.options.items()]
        text = " ".join([self.operation, "x".join(map(str, self.shapes[0] or ())), *words])
        return text.replace(", ", ",")

    def arrays(self, dtype: type = np.float32) -> list[Any]:
        """Normal deviates of float32 precision, the same at every call."""
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        drawn = [None if s is None else rng.normal(size=s).astype(np.float32) for s in self.shapes]
        return [None if a is None else a.astype(dtype) for a in drawn]


def value(backend: Any, case: Case, arrays: Arrays) -> Any:
    """What the operation returns for these arrays."""
    return FORWARD[case.operation](backend, arrays, case.options)


def gradients(backend: Any, case: Case, arrays: Arrays, grad: Any) -> tuple[Any, ...]:
    """Gradients to the arrays; empty for an operation that is only for inference."""
    backward = BACKWARD.get(case.operation)
    return () if backward is None else backward(backend, arrays, case.options, grad)


def output_gradient(case: Case, y: Any) -> Any:
    """A gradient to the output, normal deviates of float32 precision in the output's type."""
    rng = np.random.default_rng(zlib.crc32(str(case).encode()) + 1)
    return rng.normal(size=y.shape).astype(np.float32).astype(y.dtype)


def assert_parity(backend: Any, case: Case, tolerance: float = 1e-5) -> None:
    """Value and gradients in float32 equal the reference's in float64, to a share of the largest element."""
    single, double = case.arrays(np.float32), case.arrays(np.float64)
    y, expected = value(backend, case, single), value(reference, case, double)
    grad = output_gradient(case, expected)
    assert_close(y, expected, tolerance)
    computed = gradients(backend, case, single, grad.astype(np.float32))
    wanted = gradients(reference, case, double, grad)
    assert len(computed) == len(wanted)
    for a, b in zip(computed, wanted, strict=True):
        assert_close(a, b, tolerance)


def assert_close(computed: Any, expected: Any, tolerance: float) -> None:
    """Same shape, float32, contiguous, and no element off by more than a share of the largest."""
    assert computed.shape == expected.shape
    assert computed.dtype == np.float32
    assert computed.flags.c_contiguous
    bound = tolerance * np.abs(expected).max(initial=0.0)
    np.testing.assert_allclose(computed, expected, rtol=0, atol=bound)


# How each operation is called: arrays are its differentiable inputs, in the order of their gradients.

FORWARD: dict[str, Callable[..., Any]] = {
    "conv": lambda b, a, o: b.conv_forward(*a, **o),
    "conv_fused": lambda b, a, o: b.conv_forward(*a[:3], residual=a[3], **o),
    "batch_norm": lambda b, a, o: b.batch_norm_forward(*a, **o)[0],
    "affine": lambda b, a, o: b.affine(*a, **o),
    "leaky": lambda b, a, o: b.leaky_forward(*a, **o),
    "add": lambda b, a, o: b.add(*a),
    "pool": lambda b, a, o: b.pool_forward(*a, **o)[0],
    "global_pool": lambda b, a, o: b.global_pool_forward(*a, **o)[0],
    "dense": lambda b, a, o: b.dense_forward(*a),
    "dropout": lambda b, a, o: b.dropout_forward(*a, **o),
    "sigmoid": lambda b, a, o: b.sigmoid_forward(*a),
    "softmax": lambda b, a, o: b.softmax_forward(*a),
}


def _conv_backward(backend: Any, arrays: Arrays, options: dict, grad: Any) -> tuple[Any, ...]:
    x, filters, bias = arrays
    dx, dfilters, dbias = backend.conv_backward(x, filters, grad, **options)
    return (dx, dfilters) if bias is None else (dx, dfilters, dbias)


def _batch_norm_backward(backend: Any, arrays: Arrays, options: dict, grad: Any) -> tuple[Any, ...]:
    x, gamma, beta = arrays
    _, mean, variance = backend.batch_norm_forward(x, gamma, beta, **options)
    return backend.batch_norm_backward(x, grad, gamma, beta, mean, variance, **options)


def _pool_backward(backend: Any, arrays: Arrays, options: dict, grad: Any) -> tuple[Any, ...]:
    (x,) = arrays
    _, argmax = backend.pool_forward(x, **options)
    return (backend.pool_backward(grad, argmax, input_shape=x.shape, **options),)


def _global_pool_backward(backend: Any, arrays: Arrays, options: dict, grad: Any) -> tuple[Any, ...]:
    (x,) = arrays
    _, argmax = backend.global_pool_forward(x, **options)
    return (backend.global_pool_backward(grad, argmax, input_shape=x.shape, **options),)


BACKWARD: dict[str, Callable[..., tuple[Any, ...]]] = {
    "conv": _conv_backward,
    "batch_norm": _batch_norm_backward,
    "leaky": lambda b, a, o, grad: (b.leaky_backward(*a, grad, **o),),
    "pool": _pool_backward,
    "global_pool": _global_pool_backward,
    "dense": lambda b, a, o, grad: b.dense_backward(a[0], a[1], grad)[: sum(v is not None for v in a)],
    "dropout": lambda b, a, o, grad: (b.dropout_backward(grad, **o),),
    "sigmoid": lambda b, a, o, grad: (b.sigmoid_backward(b.sigmoid_forward(*a), grad),),
    "softmax": lambda b, a, o, grad: (b.softmax_backward(b.softmax_forward(*a), grad),),
}


# The cases: shapes are odd on purpose, and 2D is z = 1.


Shape = tuple[int, ...]


def conv(shape: Shape, extent: Shape, outputs: int, *, bias: bool = True, **options: Any) -> Case:
    """A convolution of an input with filters of an extent; options stride, padding and groups."""
    options = {"stride": UNIT, "padding": NONE, "groups": 1, **options}
    filters = (*extent, shape[4] // options["groups"], outputs)
    return Case("conv", (shape, filters, (outputs,) if bias else None), options)


def fused(shape: Shape, extent: Shape, outputs: int, *, residual: bool, slope: float, **options: Any) -> Case:
    """A convolution with activation and, as in a residual block, an addition of the output's shape."""
    plain = conv(shape, extent, outputs, **options)
    axes = zip(shape[1:4], extent, plain.options["stride"], plain.options["padding"], strict=True)
    output = (shape[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in axes), outputs)
    added = output if residual else None
    return Case("conv_fused", (*plain.shapes, added), {**plain.options, "slope": slope})


def pool(shape: Shape, kind: str, extent: Shape, **options: Any) -> Case:
    """A pooling; options stride and padding."""
    options = {"kind": kind, "extent": extent, "stride": extent, "padding": NONE, **options}
    return Case("pool", (shape,), options)


CONVOLUTIONS = [
    conv((2, 1, 7, 9, 3), (1, 3, 3), 4, padding=(0, 1, 1)),
    conv((1, 1, 33, 41, 16), (1, 3, 3), 16, padding=(0, 1, 1), bias=False),
    conv((2, 1, 19, 23, 5), (1, 5, 5), 8, stride=(1, 2, 2), padding=(0, 2, 2)),
    conv((2, 1, 9, 10, 24), (1, 1, 1), 13),
    conv((1, 1, 9, 10, 6), (1, 1, 1), 7, stride=(1, 2, 2)),
    conv((1, 1, 12, 11, 4), (1, 2, 2), 6, stride=(1, 2, 2)),
    conv((1, 1, 5, 6, 2), (1, 4, 3), 3),
    conv((1, 1, 3, 4, 2), (1, 5, 7), 3, padding=(0, 4, 5)),
    conv((1, 1, 8, 9, 2), (1, 2, 2), 3, stride=(1, 3, 4), padding=(0, 1, 0)),
    conv((1, 1, 10, 9, 2), (1, 1, 2), 3, stride=(1, 3, 3)),
    conv((1, 1, 9, 8, 6), (1, 3, 3), 4, padding=(0, 1, 1), groups=2),
    conv((1, 1, 7, 8, 4), (1, 3, 3), 8, stride=(1, 2, 2), padding=(0, 1, 1), groups=4),
    conv((2, 5, 6, 7, 3), (3, 3, 3), 4, padding=(1, 1, 1)),
    conv((1, 6, 7, 5, 2), (3, 2, 4), 3, stride=(2, 1, 3), padding=(1, 0, 2)),
    conv((1, 4, 5, 6, 4), (3, 3, 3), 6, stride=(2, 2, 2), padding=(1, 1, 1), groups=2, bias=False),
]
FUSED = [
    fused((2, 1, 9, 11, 8), (1, 3, 3), 8, padding=(0, 1, 1), slope=0.1, residual=True),
    fused((1, 1, 9, 11, 8), (1, 3, 3), 5, padding=(0, 1, 1), slope=0.1, residual=False),
    fused((1, 3, 4, 5, 6), (1, 1, 1), 6, slope=0.0, residual=True),
    fused((1, 1, 8, 8, 4), (1, 3, 3), 6, stride=(1, 2, 2), groups=2, slope=0.2, residual=True),
]
NORMS = [
    Case("batch_norm", ((3, 1, 7, 5, 6), (6,), (6,)), {"epsilon": EPSILON, "slope": 0.1}),
    Case("batch_norm", ((2, 3, 4, 5, 7), (7,), (7,)), {"epsilon": EPSILON, "slope": 1.0}),
    Case("batch_norm", ((1, 1, 57, 61, 3), (3,), (3,)), {"epsilon": 1e-5, "slope": 0.0}),
    Case("affine", ((2, 3, 4, 5, 7), (7,), (7,)), {"slope": 0.1}),
    Case("leaky", ((2, 3, 4, 5, 7),), {"slope": 0.1}),
    Case("leaky", ((1, 1, 31, 37, 3),), {"slope": 0.0}),
    Case("add", ((2, 3, 4, 5, 7), (2, 3, 4, 5, 7)), {}),
]
POOLS = [
    pool(shape, kind, extent, **options)
    for kind in ("max", "average")
    for shape, extent, options in [
        ((2, 1, 8, 10, 3), (1, 2, 2), {}),
        ((2, 1, 9, 11, 5), (1, 3, 3), {"stride": (1, 2, 2), "padding": (0, 1, 1)}),
        ((1, 1, 9, 7, 2), (1, 3, 2), {"stride": UNIT}),
        ((1, 1, 10, 11, 2), (1, 2, 2), {"stride": (1, 3, 4)}),
        ((1, 6, 7, 5, 4), (2, 3, 2), {"stride": (2, 1, 2), "padding": (1, 1, 0)}),
    ]
] + [Case("global_pool", ((3, 2, 5, 7, 4),), {"kind": kind}) for kind in ("max", "average")]
DENSE = [Case("dense", ((5, 7), (7, 3), (3,)), {}), Case("dense", ((3, 40), (40, 1), None), {})]
DROPOUTS = [
    Case("dropout", ((3, 1, 5, 7, 4),), {"rate": rate, "seed": seed})
    for rate, seed in [(0.0, 1), (0.3, 0), (0.8, 2**64 - 1)]
]
ACTIVATIONS = [
    Case("sigmoid", ((2, 1, 5, 6, 3),), {}),
    Case("softmax", ((2, 1, 5, 6, 3),), {}),
    Case("softmax", ((4, 1, 1, 1, 50),), {}),
]
CASES = [*CONVOLUTIONS, *FUSED, *NORMS, *POOLS, *DENSE, *DROPOUTS, *ACTIVATIONS]

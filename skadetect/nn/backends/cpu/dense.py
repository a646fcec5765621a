"""The dense layer on the CPU: one matrix product each way, which is BLAS's work and needs no kernel."""

from __future__ import annotations

from skadetect.nn.backends.base import Array


def dense_forward(x: Array, filters: Array, bias: Array | None) -> Array:
    """See `skadetect.nn.backends.reference.dense_forward`."""
    y = x @ filters
    if bias is not None:
        y += bias
    return y


def dense_backward(x: Array, filters: Array, grad: Array) -> tuple[Array, Array, Array]:
    """See `skadetect.nn.backends.reference.dense_backward`."""
    return grad @ filters.T, x.T @ grad, grad.sum(axis=0)

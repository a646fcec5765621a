"""The CPU back end: Numba over blocks of pixels, products in vector registers."""

from skadetect.nn.backends.cpu.activations import (
    sigmoid_backward,
    sigmoid_forward,
    softmax_backward,
    softmax_forward,
)
from skadetect.nn.backends.cpu.conv import conv_backward, conv_forward
from skadetect.nn.backends.cpu.dense import dense_backward, dense_forward
from skadetect.nn.backends.cpu.direct import conv_into
from skadetect.nn.backends.cpu.dropout import dropout_backward, dropout_forward
from skadetect.nn.backends.cpu.norm import (
    add,
    affine,
    batch_norm_backward,
    batch_norm_forward,
    leaky_backward,
    leaky_forward,
)
from skadetect.nn.backends.cpu.peaks import peaks
from skadetect.nn.backends.cpu.pool import (
    global_pool_backward,
    global_pool_forward,
    pool_backward,
    pool_forward,
)
from skadetect.nn.backends.pieces import batch, hold
from skadetect.nn.backends.reference import to_device, to_host
from skadetect.stretches import features

__all__ = [
    "add",
    "affine",
    "batch",
    "batch_norm_backward",
    "batch_norm_forward",
    "conv_backward",
    "conv_forward",
    "conv_into",
    "dense_backward",
    "dense_forward",
    "dropout_backward",
    "dropout_forward",
    "features",
    "global_pool_backward",
    "global_pool_forward",
    "hold",
    "leaky_backward",
    "leaky_forward",
    "peaks",
    "pool_backward",
    "pool_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "softmax_backward",
    "softmax_forward",
    "to_device",
    "to_host",
]

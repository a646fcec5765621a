"""Which algorithm does a convolution: a small model of what each costs, from the shapes alone.

The rates are those of one core with 512-bit vectors; only their ratios matter to the choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from skadetect.nn.backends.base import Axes
from skadetect.nn.backends.cpu.tile import HALF, WIDTH

#: Floating-point operations a second inside the tiles.
RATE = 113e9
#: Seconds a float to be copied, and to be taken to points or back.
COPY, TRANSFORM = 0.3e-9, 0.6e-9
#: Bytes a second at which filters come that no cache keeps, and size at which that begins.
STREAM, KEPT = 8e9, 2e6
#: What up to one, two, three and four halves of a vector cost in a panel, in full halves.
TAILS = (0.0, 1.4, 2.0, 3.0, 4.0)
POINTS = 36
#: Sums at all points that a gradient may need; more would leave too few parts to share out.
GRADIENT_BYTES = 8 << 20


@dataclass(frozen=True)
class Choice:
    """How a convolution is done.

    Attributes
    ----------
    algorithm : str
        ``"winograd"`` or ``"direct"``.
    direct, winograd : float
        Seconds on one core that the model expects of either; infinite if it cannot do this convolution.
    """

    algorithm: str
    direct: float
    winograd: float


@lru_cache(maxsize=1024)
def choose(x_shape: tuple[int, ...], filters: tuple[int, ...], stride: Axes, padding: Axes) -> Choice:
    """Choose the algorithm for an input (batch, z, y, x, features) and filters (kz, ky, kx, in, out)."""
    sizes = [(x_shape[1 + a] + 2 * padding[a] - filters[a]) // stride[a] + 1 for a in range(3)]
    pixels = x_shape[0] * sizes[0] * sizes[1] * sizes[2]
    direct = _direct(x_shape, filters, padding, pixels)
    winograd = _winograd(filters, pixels) if _possible(x_shape, filters, stride, padding) else float("inf")
    return Choice("winograd" if winograd < direct else "direct", direct, winograd)


def choose_gradient(
    x_shape: tuple[int, ...], filters: tuple[int, ...], stride: Axes, padding: Axes
) -> Choice:
    """Choose the algorithm for the gradient of the filters, which has as many products as the convolution."""
    choice = choose(x_shape, filters, stride, padding)
    size = 4 * POINTS * filters[0] * filters[3] * filters[4]
    return Choice("direct", choice.direct, float("inf")) if size > GRADIENT_BYTES else choice


def _possible(x_shape: tuple[int, ...], filters: tuple[int, ...], stride: Axes, padding: Axes) -> bool:
    extent = filters[:3]
    same = padding == (extent[0] // 2, 1, 1) and extent[0] % 2 == 1
    return extent[1:] == (3, 3) and stride == (1, 1, 1) and same and min(x_shape[2:4]) >= 4


def _direct(x_shape: tuple[int, ...], filters: tuple[int, ...], padding: Axes, pixels: int) -> float:
    kz, ky, kx, inputs, outputs = filters
    values = x_shape[0] * x_shape[1] * x_shape[2] * x_shape[3] * inputs * kz
    copied = COPY * values if padding[1] or padding[2] else 0.0
    return 2.0 * pixels * kz * ky * kx * inputs * _columns(outputs) / RATE + copied


def _winograd(filters: tuple[int, ...], pixels: int) -> float:
    depth, _, _, inputs, outputs = filters
    size = POINTS * depth * inputs * _columns(outputs)
    products = 2.0 * size * pixels / 16 / RATE
    streamed = max(0.0, 4.0 * size - KEPT) / STREAM
    values = HALF * (depth * -(-inputs // HALF) + -(-outputs // HALF))
    return products + streamed + TRANSFORM * pixels * values


def _columns(outputs: int) -> float:
    """Output features that would take as long if all panels were full."""
    whole, rest = divmod(outputs, WIDTH)
    return WIDTH * whole + HALF * TAILS[-(-rest // HALF)]

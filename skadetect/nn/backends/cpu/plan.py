"""Which algorithm does a convolution: a small model of what each costs, from the shapes alone.

The rates are those of one core with 512-bit vectors; only their ratios matter to the choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from skadetect.nn.backends.base import Axes
from skadetect.nn.backends.cpu.tile import HALF, WIDTH

#: Floating-point operations a second inside the tiles.
RATE = 250e9
#: Seconds a float to be taken to points or back, along y and x, or along z, more than to be read or written.
TRANSFORM, TRANSFORM_Z = 0.36e-9, 0.13e-9
#: Bytes a second at which filters come that no cache keeps, and size at which that begins.
STREAM, KEPT = 8e9, 2e6
#: What up to one, two, three and four halves of a vector cost in a panel, in full halves.
TAILS = (0.0, 1.4, 2.0, 3.0, 4.0)
#: Products for the pixels, or planes, that are made together.
POINTS, MADE, MADE_Z = 36, 16, 4
#: Sums at all points that a gradient may need; more would leave too few parts to share out.
GRADIENT_BYTES = 8 << 20


@dataclass(frozen=True)
class Choice:
    """How a convolution is done.

    Attributes
    ----------
    algorithm : str
        ``"winograd"``, ``"winograd_z"`` or ``"direct"``.
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
    direct = 2.0 * pixels * filters[0] * filters[1] * filters[2] * filters[3] * _columns(filters[4]) / RATE
    algorithm, winograd = "winograd", float("inf")
    if _possible(x_shape, filters, stride, padding):
        winograd = _winograd(filters, pixels)
    elif _possible_z(x_shape, filters, stride, padding):
        algorithm, winograd = "winograd_z", _winograd_z(filters, pixels, sizes[0])
    return Choice(algorithm if winograd < direct else "direct", direct, winograd)


def choose_gradient(
    x_shape: tuple[int, ...], filters: tuple[int, ...], stride: Axes, padding: Axes
) -> Choice:
    """Choose the algorithm for the gradient of the filters, which has as many products as the convolution."""
    choice = choose(x_shape, filters, stride, padding)
    size = 4 * POINTS * filters[0] * filters[3] * filters[4]
    if choice.algorithm == "winograd_z" or size > GRADIENT_BYTES:
        return Choice("direct", choice.direct, float("inf"))
    return choice


def _possible(x_shape: tuple[int, ...], filters: tuple[int, ...], stride: Axes, padding: Axes) -> bool:
    extent = filters[:3]
    same = padding == (extent[0] // 2, 1, 1) and extent[0] % 2 == 1
    return extent[1:] == (3, 3) and stride == (1, 1, 1) and same and min(x_shape[2:4]) >= 4


def _possible_z(x_shape: tuple[int, ...], filters: tuple[int, ...], stride: Axes, padding: Axes) -> bool:
    same = filters[0] in (3, 5) and padding == (filters[0] // 2, 0, 0)
    return filters[1:3] == (1, 1) and stride == (1, 1, 1) and same and x_shape[1] >= MADE_Z


def _winograd(filters: tuple[int, ...], pixels: int) -> float:
    depth, _, _, inputs, outputs = filters
    size = POINTS * depth * inputs * _columns(outputs)
    products = 2.0 * size * pixels / MADE / RATE
    streamed = max(0.0, 4.0 * size - KEPT) / STREAM
    values = HALF * (depth * -(-inputs // HALF) + -(-outputs // HALF))
    return products + streamed + TRANSFORM * pixels * values


def _winograd_z(filters: tuple[int, ...], pixels: int, planes: int) -> float:
    inputs, outputs = filters[3:]
    size = (filters[0] + MADE_Z - 1) * inputs * _columns(outputs)
    products = 2.0 * size * pixels / planes * -(-planes // MADE_Z) / RATE
    streamed = max(0.0, 4.0 * size - KEPT) / STREAM
    return products + streamed + TRANSFORM_Z * pixels * (inputs + outputs)


def _columns(outputs: int) -> float:
    """Output features that would take as long if all panels were full."""
    whole, rest = divmod(outputs, WIDTH)
    return WIDTH * whole + HALF * TAILS[-(-rest // HALF)]

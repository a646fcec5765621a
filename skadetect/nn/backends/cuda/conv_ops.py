"""Convolutions on a device, forward and backward: shapes, tiles and launches."""

from __future__ import annotations

from typing import Any

import numpy as np

from skadetect.nn.backends.base import Axes
from skadetect.nn.backends.cuda import kernels, packing
from skadetect.nn.backends.cuda.column_ops import column_sums
from skadetect.nn.backends.cuda.context import Context
from skadetect.nn.backends.cuda.epilogue import ALIGNED, RESIDUAL
from skadetect.nn.backends.cuda.filter_gradient import PIXELS, choose_filter_tile
from skadetect.nn.backends.cuda.tensor import Tensor
from skadetect.nn.backends.cuda.tiles import choose_tile, element_bytes

UNIT, NONE = (1, 1, 1), (0, 0, 0)
#: Blocks that share a gradient's sum, so that they fill a device, and the most memory for their shares.
WANTED_BLOCKS, SHARE_BYTES = 512, 256 * 1024 * 1024
#: Parts of the sum that a share has at least.
LEAST_PARTS = 4


def output_shape(
    shape: tuple[int, ...], filters: tuple[int, ...], stride: Axes, padding: Axes
) -> tuple[int, ...]:
    """Shape of a convolution's output from those of its input and filters."""
    sizes = zip(shape[1:4], filters[:3], stride, padding)
    return (shape[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in sizes), filters[4])


def conv_forward(
    context: Context,
    x: Tensor,
    filters: Any,
    bias: Any,
    *,
    stride: Axes,
    padding: Axes,
    groups: int,
    slope: float,
    residual: Tensor | None,
) -> Tensor:
    """See `skadetect.nn.backends.base.Backend.conv_forward`.

    A linear convolution with a bias ends a network: its output is stored in float32.
    """
    ends = bias is not None and slope == 1.0 and residual is None
    y = context.empty(output_shape(x.shape, filters.shape, stride, padding), "fp32" if ends else context.kind)
    residual = None if residual is None else context.as_kind(residual)
    inputs, outputs = x.shape[4] // groups, filters.shape[4] // groups
    for group in range(groups):
        total = packing.forward_sum(
            filters.shape[:3], first=group * inputs, features=inputs, pitch=x.shape[4]
        )
        packed = _packed(context, filters, total, group, forward=True)
        product = _Product(context, x, y, total, packed, outputs, group * outputs)
        product.run(
            stride,
            padding,
            y.shape[1:4],
            bias=_bias(context, bias, outputs, group),
            slope=slope,
            residual=residual,
        )
    return y


def conv_backward(
    context: Context,
    x: Tensor,
    filters: Any,
    grad: Tensor,
    *,
    stride: Axes,
    padding: Axes,
    groups: int,
    need_input: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """See `skadetect.nn.backends.base.Backend.conv_backward`."""
    dfilters = context.empty(filters.shape, "fp32")
    for group in range(groups):
        _filter_gradient(context, x, grad, dfilters, stride, padding, groups, group)
    dbias = column_sums(context, grad)
    return (
        _input_gradient(context, x, filters, grad, stride, padding, groups) if need_input else None,
        dfilters,
        dbias,
    )


def dense_forward(context: Context, x: Tensor, filters: Any, bias: Any) -> Tensor:
    """See `skadetect.nn.backends.base.Backend.dense_forward`: a convolution of single pixels."""
    y = conv_forward(
        context, x.reshape(x.shape[0], 1, 1, 1, -1), filters.reshape(1, 1, 1, *filters.shape), bias,
        stride=UNIT, padding=NONE, groups=1, slope=1.0, residual=None,
    )  # fmt: skip
    return y.reshape(x.shape[0], -1)


def dense_backward(context: Context, x: Tensor, filters: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """See `skadetect.nn.backends.base.Backend.dense_backward`."""
    dx, dfilters, dbias = conv_backward(
        context, x.reshape(x.shape[0], 1, 1, 1, -1), filters.reshape(1, 1, 1, *filters.shape),
        grad.reshape(x.shape[0], 1, 1, 1, -1), stride=UNIT, padding=NONE, groups=1, need_input=True,
    )  # fmt: skip
    assert dx is not None
    return dx.reshape(*x.shape), dfilters.reshape(*filters.shape), dbias


class _Product:
    """One launch of the convolution's kernel: `total` over x, times packed filters, into features of y."""

    def __init__(
        self,
        context: Context,
        x: Tensor,
        y: Tensor,
        total: packing.Sum,
        packed: Tensor,
        outputs: int,
        first: int,
    ) -> None:
        self.context, self.x, self.y, self.total, self.packed = context, x, y, total, packed
        self.outputs, self.first = outputs, first

    def run(
        self,
        stride: Axes,
        padding: Axes,
        grid: tuple[int, ...],
        *,
        bias: Any,
        slope: float = 1.0,
        residual: Tensor | None = None,
        place: Any = None,
    ) -> None:
        """Compute the rows of a grid (z, y, x) of output pixels."""
        context, x, y, total = self.context, self.x, self.y, self.total
        precision, whole = context.precision, total.whole(context.precision)
        pixels = x.shape[0] * int(np.prod(grid))
        if not pixels:
            return
        wide = context.wide and whole and precision != "fp32"
        tile = choose_tile(pixels, self.outputs, wide=wide)
        recipe = kernels.convolution_recipe(
            tile, precision, whole=whole, output=y.kind, scattered=place is not None
        )
        table = context.constant(
            ("table", total, precision, x.shape[1:4]), lambda: total.table(precision, x.shape[1:4])
        )
        aligned = y.shape[4] % 8 == 0 and self.first % 8 == 0
        flags = (ALIGNED if aligned else 0) | (0 if residual is None else RESIDUAL)
        parts = -(-len(total) * element_bytes(precision) // tile.row_bytes)
        numbers: list[float] = [*x.shape[1:4], *grid, *stride, *padding]
        numbers += [x.shape[4], total.depth(precision), self.outputs]
        numbers += [pixels, parts, y.shape[4], self.first, flags, slope]
        place = table if place is None else place
        arrays = [x, self.packed, bias, y if residual is None else residual, y, table, place]
        blocks = (-(-pixels // tile.rows), -(-self.outputs // tile.columns))
        context.launch(recipe, blocks, [*arrays, *numbers])


def _input_gradient(
    context: Context, x: Tensor, filters: Any, grad: Tensor, stride: Axes, padding: Axes, groups: int
) -> Tensor:
    dx = context.empty(x.shape)
    inputs, outputs = x.shape[4] // groups, filters.shape[4] // groups
    bias = context.constant(("zeros", inputs), lambda: np.zeros(-(-inputs // 8) * 8, np.float32))
    for group in range(groups):
        phases = packing.backward_phases(
            x.shape[1:4], filters.shape[:3], stride, padding,  # type: ignore[arg-type]
            first=group * outputs, features=outputs, pitch=filters.shape[4],
        )  # fmt: skip
        for phase in phases:
            packed = _packed(context, filters, phase.sum, group, forward=False)
            product = _Product(context, grad, dx, phase.sum, packed, inputs, group * inputs)
            numbers = (*phase.count, *x.shape[1:4], *stride, *phase.start)
            place = None if stride == UNIT else context.integers_of(numbers)
            product.run(UNIT, NONE, phase.count, bias=bias, place=place)
    return dx


def _filter_gradient(
    context: Context,
    x: Tensor,
    grad: Tensor,
    dfilters: Tensor,
    stride: Axes,
    padding: Axes,
    groups: int,
    group: int,
) -> None:
    precision = "fp32" if context.precision == "tf32" else context.precision
    inputs, outputs = x.shape[4] // groups, grad.shape[4] // groups
    total = packing.forward_sum(dfilters.shape[:3], first=group * inputs, features=inputs, pitch=x.shape[4])  # type: ignore[arg-type]
    tile, each = choose_filter_tile(outputs), 16 // element_bytes(precision)
    whole = grad.shape[4] % each == 0 and outputs % each == 0
    recipe = kernels.filter_recipe(tile, precision, whole_x=total.whole(precision), whole_grad=whole)
    rows, pixels = len(total), grad.size // grad.shape[4]
    blocks = (-(-rows // tile.rows), -(-outputs // tile.columns))
    share, shares = _shares(pixels, blocks, rows * outputs)
    partial = context.empty((shares, rows, outputs), "fp32")
    table = context.constant(
        ("table", total, precision, x.shape[1:4]), lambda: total.table(precision, x.shape[1:4])
    )
    numbers = [*x.shape[1:4], *grad.shape[1:4], *stride, *padding, x.shape[4], rows, outputs]
    numbers += [grad.shape[4], group * outputs, pixels, share]
    context.launch(recipe, (*blocks, shares), [x, grad, partial, table, *numbers])
    merged = [partial, dfilters, rows, outputs, grad.shape[4], group * outputs, shares, 1.0]
    context.walk(kernels.merge_filters_recipe(), merged, rows * outputs)


def _shares(pixels: int, blocks: tuple[int, int], size: int) -> tuple[int, int]:
    """Pixels of a share of the sum, and shares."""
    most = min(-(-WANTED_BLOCKS // (blocks[0] * blocks[1])), max(1, SHARE_BYTES // (4 * size)))
    share = max(-(-pixels // most), LEAST_PARTS * PIXELS)
    share = -(-share // PIXELS) * PIXELS
    return share, max(1, -(-pixels // share))


def _packed(context: Context, filters: Any, total: packing.Sum, group: int, *, forward: bool) -> Tensor:
    """Filters in the order in which the kernel sums."""
    inputs, outputs = filters.shape[3], filters.shape[4]
    precision = context.precision

    def make() -> Tensor:
        columns = total.features if not forward else filters.shape[4] // (total.pitch // inputs)
        sources_of = packing.forward_sources if forward else packing.backward_sources
        first = group * columns
        sources = context.constant(
            ("sources", total, inputs, outputs, precision, first, forward),
            lambda: sources_of(total, inputs, outputs, precision, first),
        )
        rows, depth = (columns if forward else inputs), total.depth(precision)
        packed = context.empty((rows, depth))
        recipe = kernels.pack_recipe(precision)
        given = [context.parameter(filters), sources, packed, rows, 1 if forward else outputs, depth]
        context.walk(recipe, given, rows * depth)
        return packed

    return context.kept(filters, ("packed", total, group, precision, forward), make)


def _bias(context: Context, bias: Any, outputs: int, group: int) -> Any:
    """A group's biases, padded to whole eights."""
    length = -(-outputs // 8) * 8
    if bias is None:
        return context.constant(("zeros", outputs), lambda: np.zeros(length, np.float32))
    if isinstance(bias, Tensor):
        padded = context.empty((length,), "fp32")
        source: Any = context.parameter(bias).data
        target: Any = padded.data
        numbers = source[group * outputs : (group + 1) * outputs]
        target[:outputs].copy_to_device(numbers, stream=context.stream)
        return padded
    mine = bias if bias.size == outputs else bias[group * outputs : (group + 1) * outputs]
    return context.parameter(mine, length=length)

"""3 x 3 convolutions by Winograd's F(4 x 4, 3 x 3): a quarter of the products of the direct sum.

Tiles of 6 x 6 input pixels are transformed, multiplied with transformed filters at each of 36 points by BLAS,
and transformed back to 4 x 4 output pixels (Lavin & Gray 2016, CVPR, arXiv:1509.09308, section 4). Filters
that also extend along z sum their planes inside the product, so each plane is transformed once a filter row.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from skadetect._numba import JIT, PARALLEL
from skadetect.nn.backends.base import Array, Axes

#: Transformed input and output of a block of tiles stay in the second cache.
BLOCK_BYTES = 1 << 20
#: Fewer features than this leave more work in the transforms than they save in products.
FEWEST_FEATURES = 16
#: Fewer output pixels than this are done before the filters are transformed.
FEWEST_PIXELS = 2048
POINTS = 36
# Rows of the filter transform.
_G = np.array(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
     [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]], np.float32,
)  # fmt: skip


def suits(x_shape: tuple[int, ...], filters_shape: tuple[int, ...], stride: Axes, padding: Axes) -> bool:
    """Whether this module can do a convolution, and is faster at it than a product of neighbourhoods."""
    extent, (inputs, outputs) = filters_shape[:3], filters_shape[3:]
    same = padding == (extent[0] // 2, 1, 1) and extent[0] % 2 == 1
    if extent[1:] != (3, 3) or stride != (1, 1, 1) or not same:
        return False
    pixels = x_shape[0] * x_shape[1] * x_shape[2] * x_shape[3]
    return min(inputs, outputs) >= FEWEST_FEATURES and pixels >= FEWEST_PIXELS and min(x_shape[2:4]) >= 4


def conv_winograd(
    x: Array, filters: Array, bias: Array, *, slope: float = 1.0, residual: Array | None = None
) -> Array:
    """leaky(x * filters + bias) + residual at stride 1, with as many zeros around as keep the shape.

    Parameters
    ----------
    x : array, shape (batch, z, y, x, inputs), float32
        Input.
    filters : array, shape (kz, 3, 3, inputs, outputs), float32
        With odd kz.
    bias : array, shape (outputs,), float32
        Added before the activation.
    slope : float
        Of the leaky ReLU; 1 for none.
    residual : array, shape of the result, optional
        Added after the activation.

    Returns
    -------
    array, shape (batch, z, y, x, outputs), float32
        Equal to the direct sum within some 1e-6 of its largest value.
    """
    batch, depth, height, width, _ = x.shape
    outputs = filters.shape[-1]
    y = np.empty((batch, depth, height, width, outputs), np.float32)
    extra = np.empty((0, 0, 0, 0, 0), np.float32) if residual is None else residual
    matrices = transform_filters(np.ascontiguousarray(filters))
    tiles = max(16, BLOCK_BYTES // (4 * POINTS * (matrices.shape[1] + outputs)))
    across = -(-width // 4)
    segment = min(across, tiles)
    layout = (segment, -(-across // segment), max(1, tiles // segment))
    units = batch * depth * -(-height // 4) * layout[1]
    parts = min(-(-units // layout[2]), 4 * nb.get_num_threads())
    _convolve(np.ascontiguousarray(x), matrices, bias, np.float32(slope), extra, y, layout, parts)
    return y


def transform_filters(filters: Array) -> Array:
    """Filters (kz, 3, 3, inputs, outputs) at the 36 points, shape (36, kz * inputs, outputs), float32."""
    depth, _, _, inputs, outputs = filters.shape
    out = np.empty((POINTS, depth * inputs, outputs), np.float32)
    _transform_filters(filters, _G, out)
    return out


@nb.njit(**PARALLEL)
def _transform_filters(filters: Any, g: Any, out: Any) -> None:
    depth, _, _, inputs, outputs = filters.shape
    for row in nb.prange(depth * inputs):
        z, i = row // inputs, row % inputs
        for p in range(6):
            for q in range(6):
                line = out[p * 6 + q, row]
                line[:] = 0.0
                for a in range(3):
                    for b in range(3):
                        weight = g[p, a] * g[q, b]
                        if weight != 0.0:
                            source = filters[z, a, b, i]
                            for o in range(outputs):
                                line[o] += weight * source[o]


@nb.njit(**PARALLEL)
def _convolve(
    x: Any, matrices: Any, bias: Any, slope: float, residual: Any, y: Any, layout: Any, parts: int
) -> None:
    """All blocks; a unit is a segment of a band of four output rows, a block some units."""
    inputs, outputs, columns = x.shape[4], y.shape[4], matrices.shape[1]
    segment, segments, together = layout
    units = x.shape[0] * x.shape[1] * ((x.shape[2] + 3) // 4) * segments
    blocks = (units + together - 1) // together
    for part in nb.prange(parts):
        seen = np.zeros((36, together * segment, columns), np.float32)
        made = np.empty((36, together * segment, outputs), np.float32)
        rows = np.empty((2, 6, (4 * segment + 2) * inputs), np.float32)
        lines = np.empty((4, 6, segment * outputs), np.float32)
        for block in range(part, blocks, parts):
            first, last = block * together, min(units, (block + 1) * together)
            for unit in range(first, last):
                _transform_input(x, seen, (unit - first) * segment, rows, unit, layout)
            count = (last - first) * segment
            for point in range(36):
                np.dot(seen[point, :count], matrices[point], made[point, :count])
            for unit in range(first, last):
                _transform_output(
                    made, (unit - first) * segment, lines, bias, slope, residual, y, unit, layout
                )


@nb.njit(**JIT)
def _place(unit: int, depth: int, height: int, layout: Any) -> Any:
    """Sample, plane, first output row and first tile of a unit."""
    bands = (height + 3) // 4
    band, part = unit // layout[1], unit % layout[1]
    plane = band // bands
    return plane // depth, plane % depth, (band % bands) * 4, part * layout[0]


@nb.njit(**JIT)
def _transform_input(x: Any, seen: Any, slot: int, rows: Any, unit: int, layout: Any) -> None:
    _, depth, height, width, inputs = x.shape
    sample, z, y, tile = _place(unit, depth, height, layout)
    planes = seen.shape[2] // inputs
    tiles = min(layout[0], (width + 3) // 4 - tile)
    for tap in range(planes):
        plane = z + tap - planes // 2
        if plane < 0 or plane >= depth:
            seen[:, slot : slot + tiles, tap * inputs : (tap + 1) * inputs] = 0.0
            continue
        for i in range(6):
            _load_row(x[sample, plane], y + i - 1, 4 * tile - 1, rows[0, i])
        _points(rows[0], rows[1])
        for i in range(6):
            for t in range(tiles):
                _points_of_tile(
                    rows[1, i, 4 * t * inputs : (4 * t + 6) * inputs], seen, i, slot + t, tap * inputs, inputs
                )


@nb.njit(**JIT)
def _load_row(plane: Any, y: int, x: int, row: Any) -> None:
    """Pixels of a row from column x on, zeros beyond the plane."""
    height, width, inputs = plane.shape
    if y < 0 or y >= height:
        row[:] = 0.0
        return
    skip = max(0, -x) * inputs
    stop = min(row.size, (width - x) * inputs)
    row[:skip] = 0.0
    row[stop:] = 0.0
    source = plane[y].reshape(-1)[max(0, x) * inputs : max(0, x) * inputs + stop - skip]
    target = row[skip:stop]
    for k in range(source.size):
        target[k] = source[k]


@nb.njit(**JIT)
def _points(rows: Any, out: Any) -> None:
    """B^T along the first axis of (6, n)."""
    x0, x1, x2, x3, x4, x5 = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5]
    y0, y1, y2, y3, y4, y5 = out[0], out[1], out[2], out[3], out[4], out[5]
    four, five, two = np.float32(4), np.float32(5), np.float32(2)
    for k in range(rows.shape[1]):
        even, odd = x4[k] - four * x2[k], x3[k] - four * x1[k]
        near, far = x4[k] - x2[k], two * (x3[k] - x1[k])
        y0[k] = four * x0[k] - five * x2[k] + x4[k]
        y1[k] = even + odd
        y2[k] = even - odd
        y3[k] = near + far
        y4[k] = near - far
        y5[k] = four * x1[k] - five * x3[k] + x5[k]


@nb.njit(**JIT)
def _points_of_tile(row: Any, seen: Any, i: int, slot: int, column: int, n: int) -> None:
    """B^T along x of one tile's row, into the six points of that row."""
    x0, x1, x2 = row[:n], row[n : 2 * n], row[2 * n : 3 * n]
    x3, x4, x5 = row[3 * n : 4 * n], row[4 * n : 5 * n], row[5 * n : 6 * n]
    end = column + n
    y0, y1, y2 = (
        seen[6 * i, slot, column:end],
        seen[6 * i + 1, slot, column:end],
        seen[6 * i + 2, slot, column:end],
    )
    y3, y4, y5 = (
        seen[6 * i + 3, slot, column:end],
        seen[6 * i + 4, slot, column:end],
        seen[6 * i + 5, slot, column:end],
    )
    four, five, two = np.float32(4), np.float32(5), np.float32(2)
    for k in range(n):
        even, odd = x4[k] - four * x2[k], x3[k] - four * x1[k]
        near, far = x4[k] - x2[k], two * (x3[k] - x1[k])
        y0[k] = four * x0[k] - five * x2[k] + x4[k]
        y1[k] = even + odd
        y2[k] = even - odd
        y3[k] = near + far
        y4[k] = near - far
        y5[k] = four * x1[k] - five * x3[k] + x5[k]


@nb.njit(**JIT)
def _transform_output(
    made: Any, slot: int, lines: Any, bias: Any, slope: float, residual: Any, y: Any, unit: int, layout: Any
) -> None:
    _, depth, height, width, outputs = y.shape
    sample, z, first, tile = _place(unit, depth, height, layout)
    tiles = min(layout[0], (width + 3) // 4 - tile)
    for q in range(6):
        _combine(made, q, slot, tiles * outputs, lines)
    for i in range(min(4, height - first)):
        row = y[sample, z, first + i]
        for t in range(tiles):
            x, start = 4 * (tile + t), t * outputs
            if x + 4 <= width:
                _pixels(lines[i], start, bias, slope, row[x : x + 4])
            else:
                spare = np.empty((4, outputs), np.float32)
                _pixels(lines[i], start, bias, slope, spare)
                row[x:width] = spare[: width - x]
        if residual.shape[0] > 0:
            extra = residual[sample, z, first + i, 4 * tile : 4 * (tile + tiles)].reshape(-1)
            target = row[4 * tile : 4 * (tile + tiles)].reshape(-1)
            for k in range(target.size):
                target[k] += extra[k]


@nb.njit(**JIT)
def _flat(made: Any, point: int, slot: int, n: int) -> Any:
    """The first n numbers of a point from a tile on."""
    return made[point, slot:].reshape(-1)[:n]


@nb.njit(**JIT)
def _combine(made: Any, q: int, slot: int, n: int, lines: Any) -> None:
    """A^T along y of the points q, 6 + q, ... of a unit's tiles."""
    m0, m1, m2 = _flat(made, q, slot, n), _flat(made, 6 + q, slot, n), _flat(made, 12 + q, slot, n)
    m3, m4, m5 = _flat(made, 18 + q, slot, n), _flat(made, 24 + q, slot, n), _flat(made, 30 + q, slot, n)
    y0, y1, y2, y3 = lines[0, q], lines[1, q], lines[2, q], lines[3, q]
    two, four, eight = np.float32(2), np.float32(4), np.float32(8)
    for k in range(n):
        near, turn = m1[k] + m2[k], m1[k] - m2[k]
        far, tilt = m3[k] + m4[k], m3[k] - m4[k]
        y0[k] = m0[k] + near + far
        y1[k] = turn + two * tilt
        y2[k] = near + four * far
        y3[k] = turn + eight * tilt + m5[k]


@nb.njit(**JIT)
def _pixels(points: Any, start: int, bias: Any, slope: float, out: Any) -> None:
    """A^T along x for the four pixels of a tile, with bias and activation."""
    n = out.shape[1]
    end = start + n
    m0, m1, m2 = points[0, start:end], points[1, start:end], points[2, start:end]
    m3, m4, m5 = points[3, start:end], points[4, start:end], points[5, start:end]
    y0, y1, y2, y3 = out[0], out[1], out[2], out[3]
    two, four, eight = np.float32(2), np.float32(4), np.float32(8)
    for k in range(n):
        near, turn = m1[k] + m2[k], m1[k] - m2[k]
        far, tilt = m3[k] + m4[k], m3[k] - m4[k]
        a, b = m0[k] + near + far + bias[k], turn + two * tilt + bias[k]
        c, d = near + four * far + bias[k], turn + eight * tilt + m5[k] + bias[k]
        y0[k] = max(a, a * slope)
        y1[k] = max(b, b * slope)
        y2[k] = max(c, c * slope)
        y3[k] = max(d, d * slope)

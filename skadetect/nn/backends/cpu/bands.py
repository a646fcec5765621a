"""How a direct convolution is cut: bands of output pixels that fit the second cache, and what they see.

A window that reaches over the edge along y or x sees fewer taps. The pixels of a band that see the same taps
are done together, and read their input in place. Where that would leave many places of tiles empty, in small
images, and where the pixels of a tile would lie in one set of the cache, a band's input is copied into a
buffer instead, with zeros around it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numba as nb

from skadetect._numba import JIT
from skadetect.nn.backends.cpu.tile import LANES, ROWS, WIDTH

#: Input of a band, and filters that stay in the second cache beside it, in bytes.
BAND_BYTES, KEPT_BYTES = 512 * 1024, 384 * 1024
#: Floats a multiple of which from pixel to pixel would put the pixels of a tile into one set of the cache.
SET = 1024
#: Products that take as long as the copying of one float.
COPY = 20


class Geometry(NamedTuple):
    """Extents of input, output and filters, stride, zeros before the input, floats between output pixels."""

    nz: int
    ny: int
    nx: int
    nf: int
    oz: int
    oy: int
    ox: int
    of: int
    kz: int
    ky: int
    kx: int
    sz: int
    sy: int
    sx: int
    pz: int
    py: int
    px: int
    by_sample: int
    by_z: int
    by_y: int
    by_x: int


class Layout(NamedTuple):
    """How the work is cut: a band's rows and columns of output pixels, panels of a unit of work.

    And the floats from pixel to pixel of a copied band (0: read in place), and whether the second cache keeps
    all filters.
    """

    down: int
    across: int
    panels: int
    pitch: int
    kept: bool


@lru_cache(maxsize=1024)
def cut(batch: int, g: Geometry, threads: int) -> tuple[Layout, int]:
    """How the work is cut, and the floats of a thread's buffer."""
    spread = LANES if (g.nf * g.sx) % SET == 0 else 0
    copied = spread > 0 or _rather_copied(g)
    panels, columns = -(-g.of // WIDTH), g.kz * g.ky * g.kx * g.nf
    kept = 4 * panels * WIDTH * columns <= KEPT_BYTES
    per_pixel = 4 * (g.nf * g.sy * g.sx * (g.kz if copied else 1) + (g.of if kept else 0))
    most = max(2 * ROWS, BAND_BYTES // per_pixel)
    across = g.ox if g.ox <= most else _whole_tiles(g.ox, -(-g.ox // most))
    down = _lines(g.oy, across, most)
    bands = batch * g.oz * -(-g.oy // down) * -(-g.ox // across)
    wanted = 4 * threads
    if bands < wanted:  # smaller bands first, then fewer panels each
        down = max(1, min(down, max(-(-4 * ROWS // across), down * bands // wanted)))
        if down == 1:
            pieces = -(-wanted // (batch * g.oz * g.oy))
            across = min(across, max(4 * ROWS, _whole_tiles(g.ox, pieces)))
        bands = batch * g.oz * -(-g.oy // down) * -(-g.ox // across)
    share = panels if bands >= wanted else -(-panels // min(panels, -(-wanted // bands)))
    pitch = g.nf + spread if copied else 0
    room = g.kz * ((down - 1) * g.sy + g.ky) * ((across - 1) * g.sx + g.kx) * pitch
    return Layout(down, across, share, pitch, kept), room


def _whole_tiles(pixels: int, parts: int) -> int:
    """Pixels of one of so many parts, or a few more for tiles that are all full."""
    return -(-pixels // (parts * ROWS)) * ROWS


def _lines(count: int, across: int, most: int) -> int:
    """Lines of a band of about so many pixels that leave the fewest places of tiles empty."""
    high = max(1, min(count, most * 5 // 4 // across))

    def tiles(down: int) -> int:
        whole, rest = divmod(count, down)
        return whole * -(-down * across // ROWS) + -(-rest * across // ROWS)

    return min(range(high, high // 2, -1), key=tiles)


def inside(g: Geometry) -> bool:
    """Whether no window reaches over an edge along y or x."""
    return (g.oy - 1) * g.sy + g.ky - g.py <= g.ny and (g.ox - 1) * g.sx + g.kx - g.px <= g.nx


def _rather_copied(g: Geometry) -> bool:
    """Whether places of tiles that stay empty would take longer than the copying."""
    per_pixel = 4 * (g.nf * g.sy * g.sx + g.of)
    most = max(2 * ROWS, BAND_BYTES // per_pixel)
    across = _whole_groups(g.ox, g.kx, g.sx, g.px, g.nx)
    lines = max(1, most // min(most, g.ox))
    work = 0
    for count, taps in _whole_groups(g.oy, g.ky, g.sy, g.py, g.ny):
        bands = -(-count // lines)
        for pixels, more in across:
            work += taps * more * bands * _whole_tiles(-(-count // bands) * pixels, 1)
    needed = g.oy * g.ox * g.ky * g.kx
    return (work - needed) * g.of > COPY * needed * g.sy * g.sx / (g.ky * g.kx)


def _whole_groups(outputs: int, extent: int, step: int, before: int, size: int) -> list[tuple[int, int]]:
    """Number of neighbouring outputs along an axis that see the same taps, and number of those."""
    groups, first = [], 0
    while first < outputs:
        stop, low, high = alike.py_func(0, first, outputs, step, before, extent, size, 0)
        groups.append((stop - first, max(0, high - low)))
        first = stop
    return groups


@nb.njit(**JIT)
def alike(
    corner: int, first: int, end: int, step: int, before: int, extent: int, size: int, pitch: int
) -> Any:
    """Up to where the outputs of a band see the same taps along an axis as `first`, and from which to which.

    Outputs count from the band's `corner`. They see all taps of what is copied with zeros (`pitch` > 0).
    """
    if pitch:
        return end, 0, extent
    place = (corner + first) * step - before
    low, high = max(0, -place), min(extent, size - place)
    stop = first + 1
    while stop < end:
        place += step
        if max(0, -place) != low or min(extent, size - place) != high:
            break
        stop += 1
    return stop, low, max(low, high)


@nb.njit(**JIT)
def copy_plane(plane: Any, buffer: Any, corner: Any, size: Any, g: Any, pitch: int, apart: int) -> None:
    """What a band sees of one input plane, zeros beyond its edges.

    There are `pitch` floats from pixel to pixel, `apart` from line to line.
    """
    width = (size[1] - 1) * g.sx + g.kx
    left = corner[1] * g.sx - g.px
    skip, stop = min(width, max(0, -left)), max(0, min(width, g.nx - left))
    for row in range((size[0] - 1) * g.sy + g.ky):
        line = buffer[row * apart : row * apart + width * pitch]
        y = corner[0] * g.sy - g.py + row
        if y < 0 or y >= g.ny or stop <= skip:
            line[:] = 0.0
            continue
        line[: skip * pitch] = 0.0
        line[stop * pitch :] = 0.0
        source = plane[y].reshape(-1)[(left + skip) * g.nf : (left + stop) * g.nf]
        target = line[skip * pitch : stop * pitch]
        if pitch == g.nf:
            for i in range(source.size):
                target[i] = source[i]
            continue
        for pixel in range(stop - skip):
            given, goal = source[pixel * g.nf : (pixel + 1) * g.nf], target[pixel * pitch :]
            for i in range(g.nf):
                goal[i] = given[i]

"""How a direct convolution is cut: bands of output pixels that fit the second cache, and what they see.

A window that reaches over the edge along y or x sees fewer taps. The pixels of a band that see the same taps
are done together, and read their input in place. Where that would leave many places of tiles empty, in small
images, a band's input is copied into a buffer instead, with zeros around it. Threads get as many bands each,
so there are as many as make the longest share of tiles short.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numba as nb

from skadetect._numba import JIT
from skadetect.nn.backends.cpu.tile import ROWS, WIDTH

#: Input of a band, and filters that stay in the second cache beside it, in bytes.
BAND_BYTES, KEPT_BYTES = 512 * 1024, 384 * 1024
#: Units of work whose shares are counted one by one; more are even enough.
COUNTED = 4096
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
    """How the work is cut: bands of lines of a plane, segments of a line, panels of a unit of work.

    And whether bands are copied, and whether the second cache keeps all filters.
    """

    bands: int
    segments: int
    panels: int
    copied: bool
    kept: bool


@lru_cache(maxsize=1024)
def cut(batch: int, g: Geometry, threads: int) -> tuple[Layout, int]:
    """How the work is cut, and the floats of a thread's buffer."""
    copied = _rather_copied(g)
    panels, columns = -(-g.of // WIDTH), g.kz * g.ky * g.kx * g.nf
    kept = 4 * panels * WIDTH * columns <= KEPT_BYTES
    per_pixel = 4 * (g.nf * g.sy * g.sx * (g.kz if copied else 1) + (g.of if kept else 0))
    most = max(2 * ROWS, BAND_BYTES // per_pixel)
    bands, segments = g.oy, 1
    if g.ox <= most:
        groups = [(g.ox, g.kx)] if copied else _whole_groups(g.ox, g.kx, g.sx, g.px, g.nx)
        lines = max(1, most * 5 // 4 // g.ox)

        def places(height: int) -> float:
            return sum(_tiles(height * pixels) * taps / g.kx for pixels, taps in groups)

        bands = _fewest(g.oy, -(-g.oy // lines), batch * g.oz, threads, places)
    else:
        count = _tiles(g.ox)
        segments = _fewest(count, -(-g.ox // most), batch * g.oz * g.oy, threads, float)
    units = batch * g.oz * bands * segments
    share = -(-panels // min(panels, -(-threads // units)))
    down, across = -(-g.oy // bands), min(g.ox, -(-_tiles(g.ox) // segments) * ROWS)
    room = g.kz * ((down - 1) * g.sy + g.ky) * ((across - 1) * g.sx + g.kx) * g.nf
    return Layout(bands, segments, share, copied, kept), room if copied else 0


def _fewest(count: int, least: int, times: int, threads: int, places: Callable[[int], float]) -> int:
    """Pieces of so many lines or tiles with which the longest share of a thread is shortest.

    This is done `times` over; a piece of so many has so many `places`, and costs another one.
    """

    def longest(pieces: int) -> float:
        size = count // pieces  # of a piece, or one more
        return float(_longest(count, pieces, times, threads, places(size) + 1.0, places(size + 1) + 1.0))

    return min(range(min(least, count), min(count, 2 * least + threads) + 1), key=longest)


@nb.njit(**JIT)
def _longest(count: int, pieces: int, times: int, threads: int, small: float, large: float) -> float:
    """The longest share of a thread, if pieces are of two costs and each thread takes neighbouring ones."""
    if times % threads == 0 or times * pieces > COUNTED:
        more = count % pieces
        return (more * large + (pieces - more) * small) * times / threads
    most, size = 0.0, count // pieces
    for thread in range(threads):
        share = 0.0
        for unit in range(times * pieces * thread // threads, times * pieces * (thread + 1) // threads):
            piece = unit % pieces
            height = (piece + 1) * count // pieces - piece * count // pieces
            share += large if height > size else small
        most = max(most, share)
    return most


def _tiles(pixels: int) -> int:
    return -(-pixels // ROWS)


def inside(g: Geometry) -> bool:
    """Whether no window reaches over an edge along y or x."""
    ends = (g.oy - 1) * g.sy + g.ky <= g.ny and (g.ox - 1) * g.sx + g.kx <= g.nx
    return g.py == g.px == 0 and ends


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
            work += taps * more * bands * _tiles(-(-count // bands) * pixels) * ROWS
    needed = g.oy * g.ox * g.ky * g.kx
    return (work - needed) * g.of > COPY * needed * g.sy * g.sx / (g.ky * g.kx)


def _whole_groups(outputs: int, extent: int, step: int, before: int, size: int) -> list[tuple[int, int]]:
    """Number of neighbouring outputs along an axis that see the same taps, and number of those."""
    inner = range(-(-before // step), min(outputs, (size + before - extent) // step + 1))
    groups, first = [], 0
    while first < outputs:
        place = first * step - before
        stop, taps = first + 1, min(extent, size - place) - max(0, -place)
        if first in inner:
            stop, taps = inner.stop, extent
        groups.append((stop - first, max(0, taps)))
        first = stop
    return groups


@nb.njit(**JIT)
def alike(
    corner: int, first: int, end: int, step: int, before: int, extent: int, size: int, copied: bool
) -> Any:
    """Up to where the outputs of a band see the same taps along an axis as `first`, and from which to which.

    Outputs count from the band's `corner`. They see all taps of what is copied with zeros.
    """
    if copied:
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
def copy_plane(plane: Any, buffer: Any, corner: Any, size: Any, g: Any, apart: int) -> None:
    """What a band sees of one input plane, zeros beyond its edges; there are `apart` floats a line."""
    width = (size[1] - 1) * g.sx + g.kx
    left = corner[1] * g.sx - g.px
    skip, stop = min(width, max(0, -left)), max(0, min(width, g.nx - left))
    for row in range((size[0] - 1) * g.sy + g.ky):
        line = buffer[row * apart : row * apart + width * g.nf]
        y = corner[0] * g.sy - g.py + row
        if y < 0 or y >= g.ny or stop <= skip:
            line[:] = 0.0
            continue
        line[: skip * g.nf] = 0.0
        line[stop * g.nf :] = 0.0
        source = plane[y].reshape(-1)[(left + skip) * g.nf : (left + stop) * g.nf]
        target = line[skip * g.nf : stop * g.nf]
        for i in range(source.size):
            target[i] = source[i]

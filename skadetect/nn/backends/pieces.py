"""Samples of signal to noise that are still to be made, and how NumPy makes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcinv

from skadetect.nn.backends.splitmix import words

Array = NDArray[np.floating[Any]]
#: What a white number and its neighbours along z are weighted with, for unit rms after Hanning smoothing.
HANNING = (0.25 * (8 / 3) ** 0.5, 0.5 * (8 / 3) ** 0.5)


class Stamp(NamedTuple):
    """Pixels that are pasted: a view (z, y, x), float16, its factor, and the place of its first pixel."""

    pixels: Array
    factor: float
    corner: tuple[int, int, int]


class Composition(NamedTuple):
    """A cube that is made of numbers: gain * noise + level + curves * planes, and stamps.

    Attributes
    ----------
    space : array (z, y, x), float32
        Has the shape of the cube and is not written to: a view of it says which part of the cube is meant.
    kernel, seed, smooth : array (y, x), int, bool
        Of the noise, see `Piece`; `smooth` if the white noise is Hanning smoothed along z, to unit rms again.
    gain, level : array (z,), float32
        Factor on the noise of each plane, and what is added.
    curves, planes : array (n, z) and (n, y, x), float32
        Patterns, each the product of a curve along z and a plane.
    stamps : sequence of Stamp
        All of them inside the cube.
    """

    space: Array
    kernel: Array
    seed: int
    smooth: bool
    gain: Array
    level: Array
    curves: Array
    planes: Array
    stamps: Sequence[Stamp]


class Piece(NamedTuple):
    """A sample of signal to noise that is still to be made: gain * pixels + noise, but blank pixels stay 0.

    Attributes
    ----------
    pixels : array (z, y, x), float32
        A view with any strides.
    gain : float
        Factor on them.
    kernel : array (y, x), float32, or None
        Of odd extents, no larger than a plane: the noise is white noise of unit rms summed with these
        weights, plane by plane, round the edges of a plane.
    seed : int
        Of the white noise.
    composition : Composition, optional
        What is made first, if the pixels are a view of its space.
    """

    pixels: Array
    gain: float = 1.0
    kernel: Array | None = None
    seed: int = 0
    composition: Composition | None = None


def hold(arrays: Sequence[Array]) -> int:
    """All: they are where they are."""
    return len(arrays)


def batch(pieces: Sequence[Piece]) -> Array:
    """Each by itself."""
    return np.stack([_made(piece) for piece in pieces])


def white_noise(shape: tuple[int, ...], seed: int) -> Array:
    """Standard normal numbers that follow from seed and index only.

    Of a word of SplitMix64 the upper 31 bits are the chance of a larger size, in units of 2**-31 and in the
    middle of one, and the lowest bit is the sign.
    """
    word = words(math.prod(shape), seed)
    chance = ((word >> np.uint64(33)) + 0.5) * 2.0**-31
    size = np.sqrt(2.0) * erfcinv(chance)
    return np.where(word & np.uint64(1), -size, size).astype(np.float32).reshape(shape)


def composed(parts: Composition) -> Array:
    """The whole cube."""
    depth, *plane = parts.space.shape
    white = white_noise((depth + 2 if parts.smooth else depth, *plane), parts.seed)
    if parts.smooth:
        outer, inner = HANNING
        white = np.float32(outer) * (white[:-2] + white[2:]) + np.float32(inner) * white[1:-1]
    cube = parts.gain[:, None, None] * _summed(white, parts.kernel) + parts.level[:, None, None]
    for curve, pattern in zip(parts.curves, parts.planes, strict=True):
        cube += curve[:, None, None] * pattern
    for stamp in parts.stamps:
        where = tuple(slice(low, low + n) for low, n in zip(stamp.corner, stamp.pixels.shape, strict=True))
        cube[where] += np.float32(stamp.factor) * stamp.pixels.astype(np.float32)
    return cube


def _made(piece: Piece) -> Array:
    pixels = piece.pixels if piece.composition is None else _same_part(piece.pixels, piece.composition)
    made = pixels if piece.gain == 1.0 else pixels * np.float32(piece.gain)
    if piece.kernel is None:
        return made
    noise = _summed(white_noise(made.shape, piece.seed), piece.kernel)
    return np.where(pixels == 0, np.float32(0), made + noise)


def _same_part(view: Array, parts: Composition) -> Array:
    """That part of a composed cube which a view is of its space."""
    offset = view.__array_interface__["data"][0] - parts.space.__array_interface__["data"][0]
    return np.ndarray(view.shape, np.float32, composed(parts).data, offset, view.strides)


def _summed(white: Array, kernel: Array) -> Array:
    """White noise summed with the weights of a kernel, round the edges of each plane."""
    reach, noise = [extent // 2 for extent in kernel.shape], np.zeros_like(white)
    for (j, k), weight in np.ndenumerate(kernel):
        noise += weight * np.roll(white, (reach[0] - j, reach[1] - k), axis=(-2, -1))
    return noise

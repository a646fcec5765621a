"""Where a patch has no data: beyond the edges of a field, straight or round, and the ends of its band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Shares of the kinds of edges: one side of a field, a circle, all sides of a small field; else a band's end.
_SIDE, _CIRCLE, _SMALL = 0.25, 0.3, 0.2
# Largest part of a patch's extent that is blank; over its sides: radii of circles, sides of a small field.
_DEEPEST, _RADII, _FIELD = 0.6, (1.5, 12.0), (0.4, 1.0)


@dataclass(frozen=True)
class Coverage:
    """What of a patch has data: the channels times the pixels.

    Attributes
    ----------
    channels, plane : numpy.ndarray, (z,) and (y, x), float32
        1 with data, 0 without.
    """

    channels: np.ndarray
    plane: np.ndarray

    @property
    def whole(self) -> bool:
        """Whether all of it has."""
        return bool(self.channels.all() and self.plane.all())

    def blank(self, snr: np.ndarray) -> None:
        """Leave nothing of a patch (z, y, x) where there is no data, in place."""
        snr *= self.channels[:, None, None] * self.plane

    def holds(self, position: np.ndarray) -> np.ndarray:
        """Whether there is data at positions (n, 3) inside the patch, (n,) bool."""
        z, y, x = np.rint(position).astype(int).T
        return np.asarray((self.channels[z] * self.plane[y, x]) > 0)

    def share(self, pixels: np.ndarray, corner: tuple[int, int, int]) -> float:
        """How much of the squared emission (z, y, x) of a galaxy, from a corner on, has data."""
        z, y, x = (slice(low, low + extent) for low, extent in zip(corner, pixels.shape, strict=True))
        power = pixels.astype(np.float32) ** 2
        seen = self.channels[z] @ (power * self.plane[y, x]).sum(axis=(1, 2))
        return float(seen / max(float(power.sum()), 1e-30))


def draw_coverage(shape: tuple[int, int, int], rng: np.random.Generator, share: float) -> Coverage:
    """Draw where a patch lies on a field.

    Parameters
    ----------
    shape : tuple of int
        (z, y, x).
    rng : numpy.random.Generator
        Source of randomness.
    share : float
        Of the patches: how many lie at an edge; of those a fifth lie at a second one, too. Nothing is drawn
        if it is 0.
    """
    channels, plane = np.ones(shape[0], np.float32), np.ones(shape[1:], np.float32)
    chance = rng.random() if share else 1.0
    for _ in range(int(chance < share) + int(chance < 0.2 * share)):
        kind, depth = rng.random(), _DEEPEST * rng.random()
        if kind < _SIDE:
            axis = int(rng.integers(2))
            np.moveaxis(plane, axis, 0)[:: _direction(rng)][: round(depth * shape[1 + axis])] = 0.0
        elif kind < _SIDE + _CIRCLE:
            plane *= _disc(shape[1:], depth, rng)
        elif kind < _SIDE + _CIRCLE + _SMALL:
            plane *= np.outer(*(_window(extent, rng) for extent in shape[1:]))
        else:
            channels[:: _direction(rng)][: round(depth * len(channels))] = 0.0
    return Coverage(channels, plane)


def _disc(shape: tuple[int, ...], depth: float, rng: np.random.Generator) -> np.ndarray:
    """The pixels of a plane inside of a circle, whose edge lies so deep in the patch, seen from any side."""
    side = float(np.mean(shape))
    radius, angle = side * np.exp(rng.uniform(*np.log(_RADII))), rng.uniform(0, 2 * np.pi)
    # how far a line that touches the circle is from the middle of the patch
    distance = radius - (0.5 - depth) * side
    y, x = (np.arange(extent) - (extent - 1) / 2 for extent in shape)
    away2 = (y[:, None] - distance * np.sin(angle)) ** 2 + (x - distance * np.cos(angle)) ** 2
    return np.asarray(away2 <= radius**2, np.float32)


def _window(extent: int, rng: np.random.Generator) -> np.ndarray:
    """1 along a part of an axis, else 0."""
    length = round(extent * rng.uniform(*_FIELD))
    first = int(rng.integers(extent - length + 1))
    window = np.zeros(extent, np.float32)
    window[first : first + length] = 1.0
    return window


def _direction(rng: np.random.Generator) -> int:
    """Either 1 or -1."""
    return 1 - 2 * int(rng.integers(2))

"""What a convolution's kernel is told of its filters: the table of taps and the order of packed filters.

Filters are (z, y, x, input, output) in float32; a kernel wants, for each output feature, all that is summed
in one row: (tap, input feature), padded with zeros to whole parts of 128 bytes. The gradient to the input
wants (tap, output feature) for each input feature, with the taps of one phase of the stride.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from skadetect.nn.backends.base import Axes
from skadetect.nn.backends.cuda.gather import OUTSIDE
from skadetect.nn.backends.cuda.tiles import WIDE_ROW, element_bytes

Table = NDArray[np.int32]


@dataclass(frozen=True)
class Sum:
    """What is summed for an output number: taps, each over neighbouring features.

    Attributes
    ----------
    taps : tuple of (z, y, x)
        Where each tap reads, in pixels from the first.
    indices : tuple of int
        Which tap of the filters each is, flat in (z, y, x).
    first, features : int
        Of the features of the array that is read.
    pitch : int
        Numbers between pixels of that array.
    """

    taps: tuple[Axes, ...]
    indices: tuple[int, ...]
    first: int
    features: int
    pitch: int

    def __len__(self) -> int:
        return len(self.taps) * self.features

    def whole(self, precision: str) -> bool:
        """Whether 16 bytes are always of one tap, and aligned."""
        each = 16 // element_bytes(precision)
        return self.features % each == 0 and self.pitch % each == 0 and self.first % each == 0

    def depth(self, precision: str) -> int:
        """Numbers of a row of packed filters: the sum's, padded."""
        step = WIDE_ROW // element_bytes(precision)
        return -(-len(self) // step) * step

    def table(self, precision: str, extents: tuple[int, ...]) -> Table:
        """For each 16 bytes of a row (or, if those are not whole, each number) its offset and tap.

        Parameters
        ----------
        precision : str
            Of the operands.
        extents : (z, y, x)
            Of the array that is read.
        """
        each = 16 // element_bytes(precision) if self.whole(precision) else 1
        rows = np.full((self.depth(precision) // each, 4), OUTSIDE, np.int32)
        rows[:, 0] = 0
        feature = np.arange(0, self.features, each)
        for index, (z, y, x) in enumerate(self.taps):
            offset = ((z * extents[1] + y) * extents[2] + x) * self.pitch + self.first
            part = rows[index * len(feature) : (index + 1) * len(feature)]
            part[:, 0], part[:, 1:] = offset + feature, (z, y, x)
        return rows.reshape(-1)


def forward_sum(extent: Axes, *, first: int, features: int, pitch: int) -> Sum:
    """Of a convolution's output: all taps in their order."""
    taps = tuple(product(*map(range, extent)))
    return Sum(taps, tuple(range(len(taps))), first, features, pitch)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Phase:
    """Input pixels at one place within the stride: which of them, and what sums to their gradient."""

    start: Axes
    count: Axes
    sum: Sum


def backward_phases(
    extents: Axes, extent: Axes, stride: Axes, padding: Axes, *, first: int, features: int, pitch: int
) -> list[Phase]:
    """The gradient to the input, phase by phase.

    Input pixel p + s q of phase p gets from the output pixel (p + s q + padding - tap) / s, for the taps for
    which that is whole: a convolution of the output's gradient at stride one.
    """
    phases = []
    for start in product(*map(range, stride)):
        count = tuple(max(0, -(-(n - p) // s)) for n, p, s in zip(extents, start, stride))
        if 0 in count:
            continue
        taps, indices = [], []
        for index, tap in enumerate(product(*map(range, extent))):
            ahead = [p + q - k for p, q, k in zip(start, padding, tap)]
            if all(a % s == 0 for a, s in zip(ahead, stride)):
                taps.append(tuple(a // s for a, s in zip(ahead, stride)))
                indices.append(index)
        phases.append(Phase(start, count, Sum(tuple(taps), tuple(indices), first, features, pitch)))  # type: ignore[arg-type]
    return phases


def forward_sources(total: Sum, inputs: int, outputs: int, precision: str, first: int) -> Table:
    """Where each number of a packed row comes from in the filters, for the output feature `first`; -1 is
    zero.
    """
    taps, features = np.array(total.indices, np.int64), np.arange(inputs)
    return _padded((taps[:, None] * inputs + features) * outputs + first, total, precision)


def backward_sources(total: Sum, inputs: int, outputs: int, precision: str, first: int) -> Table:
    """The same for rows of one input feature each, along (tap, output feature from `first` on)."""
    taps, features = np.array(total.indices, np.int64), first + np.arange(total.features)
    return _padded(taps[:, None] * inputs * outputs + features, total, precision)


def _padded(sources: NDArray[np.int64], total: Sum, precision: str) -> Table:
    rows = np.full(total.depth(precision), -1, np.int32)
    rows[: len(total)] = sources.reshape(-1)
    return rows

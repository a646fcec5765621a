"""Look at an image turned and mirrored as well, and average: each look errs in its own way.

A network learns from patches in all orientations, but says something slightly different of a source in each.
The mean is nearer to the truth than any of them (test-time augmentation; Krizhevsky et al. 2012 for a
classifier).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.beams import PixelBeam
from skadetect.nn.head import HeadSpec
from skadetect.nn.model import Model
from skadetect.parameters import ParameterSpec

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Orientation:
    """A way to show an image: y and x exchanged, then mirrored.

    Attributes
    ----------
    swap : bool
        Exchange y and x.
    flip_y, flip_x : bool
        Mirror along y, along x.
    """

    swap: bool = False
    flip_y: bool = False
    flip_x: bool = False

    def turn(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Planes, shape (..., y, x), as they are shown; a view."""
        return self._flipped(planes.swapaxes(-1, -2) if self.swap else planes, -2)

    def turn_beam(self, beam: PixelBeam) -> PixelBeam:
        """The beam of what is shown."""
        theta = 0.5 * np.pi - beam.theta if self.swap else beam.theta
        return replace(beam, theta=-theta if self.flip_y != self.flip_x else theta)

    def restore(self, outputs: Floats, head: HeadSpec, parameters: Sequence[ParameterSpec]) -> Floats:
        """What a network said of the image as shown, said of the image as it is.

        Parameters
        ----------
        outputs : ndarray, shape (batch, z, y, x, n_outputs)
            Raw planes of the last layer.
        head : HeadSpec
            Their layout.
        parameters : sequence of ParameterSpec
            What the regressed values are.

        Returns
        -------
        ndarray, as `outputs` but for y and x exchanged if those are
        """
        placed = self._flipped(outputs, 2)
        placed = placed.swapaxes(2, 3) if self.swap else placed
        columns, signs = self._columns(head, parameters)
        restored = placed[..., columns]
        restored *= signs
        if self.swap:
            restored += _prior_shifts(head)
        return restored

    def _flipped(self, planes: NDArray[Any], y: int) -> NDArray[Any]:
        axes = tuple(axis for axis, mirrored in ((y, self.flip_y), (y + 1, self.flip_x)) if mirrored)
        return np.flip(planes, axes)

    def _columns(
        self, head: HeadSpec, parameters: Sequence[ParameterSpec]
    ) -> tuple[NDArray[np.int64], Floats]:
        """Which raw output, and its sign, each output is of an image that is shown so."""
        columns = np.arange(head.n_outputs).reshape(head.n_boxes, head.box_width)
        signs = np.ones_like(columns, np.float32)
        y, x = head.ndim - 2, head.ndim - 1
        signs[:, y] = -1.0 if self.flip_y else 1.0  # a centre's logit is odd about the cell's middle
        signs[:, x] = -1.0 if self.flip_x else 1.0
        first = 2 * head.ndim + 2 + head.classes
        at = {spec.transform: first + index for index, spec in enumerate(parameters)}
        odd = {"cos": self.flip_x, "sin": self.flip_y, "sin2": self.flip_y != self.flip_x}
        for name, mirrored in odd.items():
            if name in at and mirrored:
                signs[:, at[name]] = -1.0
        if self.swap:  # undone last: it moves what has its sign already
            pairs = [(y, x), (head.ndim + y, head.ndim + x)]
            pairs += [(at["cos"], at["sin"])] if "cos" in at and "sin" in at else []
            for a, b in pairs:
                columns[:, [a, b]], signs[:, [a, b]] = columns[:, [b, a]], signs[:, [b, a]]
            if "cos2" in at:
                signs[:, at["cos2"]] *= -1.0
        return columns.ravel(), signs.ravel()


#: All eight; the first one, two, four or eight of them are as alike to one another as they can be.
ORIENTATIONS = tuple(
    Orientation(*bits)
    for bits in (
        (False, False, False),
        (False, True, True),
        (True, False, True),
        (True, True, False),
        (False, False, True),
        (False, True, False),
        (True, False, False),
        (True, True, True),
    )
)


def mean_outputs(
    model: Model, s: Floats, beam: PixelBeam, look: Callable[[Floats, PixelBeam], Any], *, count: int
) -> Any:
    """Raw outputs for an image, averaged over orientations.

    Parameters
    ----------
    model : Model
        Its head and parameters say what its outputs are.
    s : ndarray, shape (z, y, x)
        Signal to noise, of extents that are multiples of the model's stride.
    beam : PixelBeam
        Of the image.
    look : function of (s, beam)
        Raw outputs for one of them, (1, z, y, x, n_outputs).
    count : int
        How many orientations: 1, 2, 4 or 8. With one, what `look` gives is handed on as it is.
    """
    if count == 1:
        return look(s, beam)
    mean = np.zeros((1, *_cells(s, model), model.head.n_outputs), np.float32)
    for way in ORIENTATIONS[:count]:
        outputs = look(np.ascontiguousarray(way.turn(s)), way.turn_beam(beam))
        mean += way.restore(outputs, model.head, model.parameters)
    mean *= np.float32(1.0 / count)
    return mean


def bytes_a_pixel(model: Model, count: int) -> float:
    """What looking in several ways takes beside one look, bytes a pixel of a tile."""
    outputs = 4.0 * model.head.n_outputs / math.prod(model.stride)
    return 0.0 if count == 1 else 4.0 + 3.0 * outputs


def _prior_shifts(head: HeadSpec) -> Floats:
    """What exchanged sides, which are logarithms of ratios to the prior's own side, are off by."""
    shifts = np.zeros((head.n_boxes, head.box_width), np.float32)
    ratio = np.log(head.prior_array[:, -1] / head.prior_array[:, -2])
    shifts[:, 2 * head.ndim - 2], shifts[:, 2 * head.ndim - 1] = ratio, -ratio
    return shifts.ravel()


def _cells(s: Floats, model: Model) -> tuple[int, ...]:
    return tuple(extent // step for extent, step in zip(s.shape, model.stride, strict=True))

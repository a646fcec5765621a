"""Loss scaling: gradients in 16 bits are computed of a multiple of the loss, so that small ones are not lost.

The factor follows what the numbers can hold (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2):
halved, and the step left out, when a gradient overflows; doubled after many steps without. Weights, moments
and the average stay in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

START, MOST, LEAST = 2.0**12, 2.0**20, 2.0**-4
#: Steps without overflow after which the factor is doubled.
PATIENCE = 1000


@dataclass
class LossScale:
    """The factor, and the steps since it last changed; without `moving` it is one and stays.

    Attributes
    ----------
    factor : float
        A power of two: it changes no digits.
    good : int
        Steps since the last overflow or doubling.
    moving : bool
        Whether gradients are stored in a format that overflows.
    """

    factor: float = 1.0
    good: int = 0
    moving: bool = False

    @classmethod
    def start(cls, *, moving: bool) -> LossScale:
        """The factor of a first step."""
        return cls(START if moving else 1.0, 0, moving)

    def undo(self, gradients: Mapping[str, np.ndarray]) -> bool:
        """Divide gradients by the factor, in place; whether the step is to be made."""
        if not self.moving:
            return True
        finite = all(np.isfinite(gradient).all() for gradient in gradients.values())
        if finite:
            for gradient in gradients.values():
                gradient *= np.float32(1.0 / self.factor)
        return self.follow(finite)

    def follow(self, finite: bool) -> bool:
        """Change the factor after gradients that were all finite, or not; whether the step is to be made.

        It is not where a smaller factor may mend what overflowed.
        """
        if not self.moving:
            return True
        mended = not finite and self.factor > LEAST
        self.good = self.good + 1 if finite else 0
        if not finite:
            self.factor = max(self.factor / 2.0, LEAST)
        elif self.good >= PATIENCE and self.factor < MOST:
            self.factor, self.good = self.factor * 2.0, 0
        return not mended

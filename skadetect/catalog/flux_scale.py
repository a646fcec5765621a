"""What line fluxes of a model are off by at each size, learned on cubes that no training saw.

A galaxy of many beams is rare in training and faint at its edges: its flux comes out a few percent low in the
median. The factor that puts it right is a power of the measured size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]

#: Sizes in beams between which the factor changes: few galaxies lie beyond.
SMALLEST, LARGEST = 0.5, 8.0


@dataclass(frozen=True)
class FluxScale:
    """A calibration, as a model file holds it: ln(factor) = constant + slope ln(size / beam).

    Attributes
    ----------
    constant, slope : float
        Both 0 leave fluxes as they are.
    """

    constant: float = 0.0
    slope: float = 0.0

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> FluxScale:
        """The calibration in a model's metadata, or one that changes nothing."""
        return cls(**metadata.get("flux_scale", {}))

    def to_dict(self) -> dict[str, float]:
        """Plain data, for a model's metadata."""
        return asdict(self)

    def factor(self, size: ArrayLike) -> Floats:
        """Factor on the measured line flux.

        Parameters
        ----------
        size : array (n,)
            Measured HI diameter in beams (FWHM) of the view that it was measured in.

        Returns
        -------
        array (n,)
            The constant alone where the size is not known.
        """
        with np.errstate(invalid="ignore"):
            logarithm = np.log(np.clip(np.asarray(size, np.float64), SMALLEST, LARGEST))
        return np.exp(self.constant + self.slope * np.nan_to_num(logarithm))


def fit_flux_scale(ratio: ArrayLike, size: ArrayLike) -> FluxScale:
    """The scale whose absolute errors in the logarithm are least: medians come out right.

    Parameters
    ----------
    ratio : array (n,)
        Measured over true line flux, positive.
    size : array (n,)
        As `FluxScale.factor` takes it.
    """
    wanted, size = -np.log(np.asarray(ratio, np.float64)), np.asarray(size, np.float64)

    def cost(numbers: Floats) -> float:
        return float(np.abs(wanted - np.log(FluxScale(*numbers).factor(size))).mean())

    start = np.array([np.median(wanted), 0.0])
    found = minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-9})
    return FluxScale(*(float(number) for number in found.x))

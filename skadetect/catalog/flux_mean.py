"""One flux of two: the network's, and the sum of a source's pixels.

A network knows faint sources best, as it weighs every pixel; of a bright one it knows the flux to some 10 %,
as its shape differs from all that it was trained on, while the sum is as good as the noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skadetect.catalog.flux_scale import FluxScale, fit_flux_scale

Floats = NDArray[np.float64]

#: Standard deviations beyond which both are not of the same: a higher sum is of something else, too, as of a
#: brighter neighbour; where it is lower, and stands out of the noise by so many, the network saw too much.
FARTHEST, SURE = 3.0, 5.0
#: Standard deviation of a normal distribution over its median absolute deviation.
_NORMAL = 1.4826


@dataclass(frozen=True)
class FluxMean:
    """How both are combined, as a model file holds it.

    Attributes
    ----------
    network, aperture : float
        Relative errors beside the noise; an infinite one of the sum leaves the network's flux as it is.
    scale : FluxScale
        Factor on the sum at each size, for what lies outside of the aperture.
    """

    network: float = 0.0
    aperture: float = float("inf")
    scale: FluxScale = field(default_factory=FluxScale)

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> FluxMean:
        """The calibration in a model's metadata, or one that changes nothing."""
        found = dict(metadata.get("flux_mean", {}))
        scale = FluxScale(**found.pop("scale", {}))
        return cls(**found, scale=scale)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a model's metadata."""
        return asdict(self)

    def flux(self, network: ArrayLike, aperture: ArrayLike, error: ArrayLike) -> Floats:
        """The mean of both logarithms, weighted by how well each is known.

        Parameters
        ----------
        network, aperture : array (n,)
            The network's flux and the sum, with their scales applied, in one unit.
        error : array (n,)
            Noise of the sum, in the same unit.

        Returns
        -------
        array (n,)
            The network's flux where there is no sum, or it is more than three standard deviations higher; the
            sum where it is as much lower and five times its noise.
        """
        network, aperture = np.asarray(network, np.float64), np.asarray(aperture, np.float64)
        error = np.asarray(error, np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(aperture / network)
            variance = (error / network) ** 2 + self.aperture**2
            weight = self.network**2 / (self.network**2 + variance)
            limit = FARTHEST * np.sqrt(self.network**2 + variance)
            lower = (ratio < -limit) & (aperture > SURE * error) & np.isfinite(limit)
            good = (np.abs(ratio) < limit) | lower
        good &= (aperture > 0) & (network > 0)
        weight = np.where(lower, 1.0, weight)
        return np.asarray(network * np.exp(np.where(good, weight, 0.0) * np.where(good, ratio, 0.0)))


def fit_flux_mean(
    network: ArrayLike, aperture: ArrayLike, error: ArrayLike, true: ArrayLike, *, size: ArrayLike
) -> FluxMean:
    """The calibration by galaxies whose flux is known.

    Parameters
    ----------
    network : array (n,)
        The network's flux, with its scale applied.
    aperture, error : array (n,)
        The sum without a scale, and its noise.
    true : array (n,)
        In the same unit.
    size : array (n,)
        As `FluxScale.factor` takes it.
    """
    aperture, true = np.asarray(aperture, np.float64), np.asarray(true, np.float64)
    rows = np.flatnonzero((aperture > 0) & (np.asarray(network) > 0))
    aperture, true, size = aperture[rows], true[rows], np.asarray(size)[rows]
    scale = fit_flux_scale(aperture / true, size)
    noise = float(np.median(np.asarray(error)[rows] / aperture))
    own = _spread(np.log(aperture * scale.factor(size) / true))
    return FluxMean(
        network=_spread(np.log(np.asarray(network)[rows] / true)),
        aperture=float(np.sqrt(max(own**2 - noise**2, (0.1 * own) ** 2))),
        scale=scale,
    )


def _spread(values: Floats) -> float:
    return float(_NORMAL * np.median(np.abs(values - np.median(values))))

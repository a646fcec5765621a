"""One flux of two: the network's, and the sum of a source's pixels.

A network knows faint sources best, as it weighs every pixel; of a bright one it knows the flux to some 10 %,
as its shape differs from all that it was trained on, while the sum is as good as the noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skadetect.catalog.flux_scale import FluxScale, fit_flux_scale

Floats = NDArray[np.float64]

#: Standard deviations beyond which both are not of the same: a higher sum is of something else, too, as of a
#: brighter neighbour; where it is lower, and stands out of the noise by so many, the network saw too much.
FARTHEST, SURE = 3.0, 5.0
#: Factor up to which a higher sum of pixels without other sources is believed: beyond, it is of a larger one.
HIGHER = 1.6
#: Signal to noise that a loss is told at.
LOSS_SNR = 30.0
#: Least error of sums beside the noise, over their whole spread.
LEAST_SHARE = 0.3
#: Standard deviation of a normal distribution over its median absolute deviation.
_NORMAL = 1.4826


@dataclass(frozen=True)
class FluxMean:
    """How both are combined, as a model file holds it.

    Attributes
    ----------
    network, aperture : float
        Relative errors beside the noise; an infinite one of the sum leaves the network's flux as it is.
    loss : float
        Of the sum, in the logarithm, at a signal to noise of 30: imaging loses faint emission. It falls with
        the square root of the signal to noise: of the brightest sources nothing is lost.
    scale : FluxScale
        Factor on the sum at each size, for what lies outside of the aperture.
    """

    network: float = 0.0
    aperture: float = float("inf")
    loss: float = 0.0
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

    def factor(self, size: ArrayLike, snr: ArrayLike) -> Floats:
        """Factor on the sums.

        Parameters
        ----------
        size : array (n,)
            As `FluxScale.factor` takes it.
        snr : array (n,)
            Signal to noise.
        """
        return self.scale.factor(size) * np.exp(self.loss * _faintness(snr))

    def flux(
        self, network: ArrayLike, aperture: ArrayLike, error: ArrayLike, *, cleaned: bool = False
    ) -> Floats:
        """The mean of both logarithms, weighted by how well each is known.

        Parameters
        ----------
        network, aperture : array (n,)
            The network's flux and the sum, with their scales applied, in one unit.
        error : array (n,)
            Noise of the sum, in the same unit.
        cleaned : bool
            Whether other sources have been taken out of the pixels.

        Returns
        -------
        array (n,)
            The network's flux where there is no sum, or it is more than three standard deviations higher, as
            a neighbour's may be in it; the sum where it is as much lower and five times its noise. Of cleaned
            pixels the sum, too, where it is higher by up to `HIGHER`.
        """
        network, aperture = np.asarray(network, np.float64), np.asarray(aperture, np.float64)
        error = np.asarray(error, np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(aperture / network)
            variance = (error / network) ** 2 + self.aperture**2
            weight = self.network**2 / (self.network**2 + variance)
            limit = FARTHEST * np.sqrt(self.network**2 + variance)
            apart = ratio < -limit
            if cleaned:
                apart |= (ratio > limit) & (ratio < np.log(HIGHER))
            apart &= (aperture > SURE * error) & np.isfinite(limit)
            weight = np.select([apart, np.abs(ratio) < limit], [1.0, weight], 0.0)
        used = (weight > 0) & (aperture > 0) & (network > 0)
        return np.asarray(network * np.exp(weight * np.where(used, ratio, 0.0)))


def fit_flux_mean(
    network: ArrayLike,
    aperture: ArrayLike,
    error: ArrayLike,
    true: ArrayLike,
    *,
    size: ArrayLike,
    snr: ArrayLike,
    scale: FluxScale | None = None,
) -> FluxMean:
    """The calibration by sources whose flux is known.

    Parameters
    ----------
    network : array (n,)
        The network's flux, with its scale applied.
    aperture, error : array (n,)
        The sum without a scale, and its noise.
    true : array (n,)
        In the same unit.
    size, snr : array (n,)
        As `FluxMean.factor` takes them.
    scale : FluxScale, optional
        What lies outside of the aperture, if that is known; by default it is fitted, and no loss.
    """
    columns = [np.asarray(each, np.float64) for each in (network, aperture, error, true, size, snr)]
    rows = (columns[0] > 0) & (columns[1] > 0)
    network, aperture, error, true, size, snr = (each[rows] for each in columns)
    if scale is None:
        mean = FluxMean(scale=fit_flux_scale(aperture / true, size))
    else:
        lost = np.log(true / (aperture * scale.factor(size)))
        mean = FluxMean(scale=scale, loss=_slope(_faintness(snr), lost))
    noise = float(np.median(error / aperture))
    own = _spread(np.log(aperture * mean.factor(size, snr) / true))
    return replace(
        mean,
        network=_spread(np.log(network / true)),
        aperture=float(np.sqrt(max(own**2 - noise**2, (LEAST_SHARE * own) ** 2))),
    )


def _faintness(snr: ArrayLike) -> Floats:
    """What a loss is in proportion to."""
    return np.sqrt(LOSS_SNR / np.maximum(np.asarray(snr, np.float64), 1.0))


def _slope(x: Floats, y: Floats) -> float:
    """Of the line through the origin from which absolute distances are least: a weighted median."""
    order = np.argsort(y / x)
    weight = np.cumsum(x[order])
    return float((y / x)[order][np.searchsorted(weight, 0.5 * weight[-1])])


def _spread(values: Floats) -> float:
    return float(_NORMAL * np.median(np.abs(values - np.median(values))))

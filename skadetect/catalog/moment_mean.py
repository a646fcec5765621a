"""One place and one shape of two: the network's, and that of the pixels' moments.

A network knows where a faint source is, as it weighs every pixel, and what shapes there are; of a bright one
it tells the place to a twentieth of the beam, the axes to some percent and the angle to ten degrees, however
bright, while moments are as good as the noise. Each number is the mean of both, by their variances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skadetect.beams import Ellipses

Floats = NDArray[np.float64]

#: Offset over the source's size, and ratio of the areas, beyond which moments are of something else, too.
FARTHEST, LARGEST = 0.3, 2.5
#: What network and moments count alike for that are tried, and the error beyond which all is as bad.
_TRIED, _WORST = np.geomspace(0.25, 500.0, 67), 0.1
#: Squared axis over the beam's area that a network may be off by where it sees a point; radians that it may
#: be off by in an angle that it is sure of.
UNSEEN, _SURE = 0.03, 0.05
#: `MomentMean.axes` of the shipped model, about: errors fall as if it were that.
ALIKE = 16.0


class Seen(NamedTuple):
    """What is known of n sources.

    Attributes
    ----------
    snr : array (n,)
        Signal to noise of the peak.
    own : (bmaj, bmin, theta), each (n,)
        The network's intrinsic ellipse: FWHM, and angle in radians.
    angle_error : array (n,)
        How sure the network is of the angle, radians.
    moments : (xx, yy, xy), each (n,)
        Of the pixels less the beam's, in units of squared FWHM; 0 where `known` is False.
    area : array (n,)
        bmaj times bmin as seen through the beam.
    beam : float or array (n,)
        The same of the beam; all in one unit of length.
    known : array (n,), bool
        Whether the moments are of the source.
    """

    snr: Floats
    own: Ellipses
    angle_error: Floats
    moments: Ellipses
    area: Floats
    beam: float | Floats
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class MomentMean:
    """How both are combined, as a model file holds it.

    Attributes
    ----------
    place : float
        Signal to noise of the peak at which network and moments count alike.
    axes : float
        The same times the squared intrinsic axis over the area as seen through the beam: moments know squared
        axes to a share of the area, the network to a share of themselves.
    angle : float
        The same times the difference of both squared axes, over that area, and the network's error of the
        angle in radians. Infinite numbers leave what the network says.
    """

    place: float = float("inf")
    axes: float = float("inf")
    angle: float = float("inf")

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> MomentMean:
        """The calibration in a model's metadata, or one that changes nothing."""
        return cls(**metadata.get("moment_mean", {}))

    def to_dict(self) -> dict[str, float]:
        """Plain data, for a model's metadata; JSON has no infinite numbers, which are the default."""
        return {name: value for name, value in asdict(self).items() if np.isfinite(value)}

    def ellipse(self, seen: Seen) -> tuple[Ellipses, Floats]:
        """The intrinsic ellipse of each source and what is left of the error of its angle.

        The angle is settled first; axes are compared along it.

        Parameters
        ----------
        seen : Seen

        Returns
        -------
        (bmaj, bmin, theta), angle_error
            Each (n,). Axes may be as short as 0.
        """
        theta, turned = self._angle(seen)
        squares = []
        for axis, turn in zip(seen.own[:2], (0.0, 0.5 * np.pi), strict=True):
            power = axis_power(axis**2, seen.snr, area=seen.area, beam=seen.beam)
            share = np.where(seen.known, weight(power, self.axes), 0.0)
            squares.append(axis**2 + share * (_along(seen.moments, theta + turn) - axis**2))
        along, across = (np.sqrt(np.maximum(square, 0.0)) for square in squares)
        theta = np.where(across > along, theta + 0.5 * np.pi, theta)
        ellipse = np.maximum(along, across), np.minimum(along, across), theta
        return ellipse, seen.angle_error * np.sqrt(1.0 - turned)

    def _angle(self, seen: Seen) -> tuple[Floats, Floats]:
        """Angle, and the share of the moments in it."""
        bmaj, bmin, theta = seen.own
        gap = bmaj**2 - bmin**2
        power = seen.snr * gap * np.maximum(seen.angle_error, _SURE) / seen.area
        share = np.where(seen.known, weight(np.nan_to_num(power), self.angle), 0.0)
        along, across = (_along(seen.moments, theta + turn) for turn in (0.0, 0.5 * np.pi))
        skew = 0.5 * (_along(seen.moments, theta + 0.25 * np.pi) - _along(seen.moments, theta - 0.25 * np.pi))
        bent = 0.5 * np.arctan2(2.0 * share * skew, gap + share * (along - across - gap))
        return theta + bent, share


def axis_power(square: ArrayLike, snr: ArrayLike, *, area: ArrayLike, beam: ArrayLike) -> Floats:
    """How much better the moments know an axis than the network, which is off by a share of its square.

    Parameters
    ----------
    square : array (n,)
        Squared intrinsic FWHM.
    snr : array (n,)
        Of the peak.
    area, beam : array (n,)
        bmaj times bmin through the beam, and of the beam, in the same unit.
    """
    return np.asarray(snr) * (np.asarray(square) + UNSEEN * np.asarray(beam)) / np.asarray(area)


def weight(power: ArrayLike, alike: float) -> Floats:
    """Share of the moments in a mean of both, whose variances are as 1 / power^2 and 1 / alike^2.

    Parameters
    ----------
    power : array (n,)
        How much better the moments are than a unit.
    alike : float
        Where the share is a half.
    """
    square = np.square(np.maximum(np.asarray(power, np.float64), 0.0))
    if np.isinf(alike):
        return np.zeros(square.shape)
    return np.asarray(square / np.maximum(square + alike**2, 1e-30))


def trusted(centre: Floats, spread: Floats, area: Floats) -> NDArray[np.bool_]:
    """Whether moments are of the source that the network sees.

    Parameters
    ----------
    centre : array (n, 2)
        (y, x) of the centroid beyond the network's position.
    spread : array (n, 3)
        Second moments xx, yy, xy as seen through the beam, in units of squared FWHM.
    area : array (n,)
        bmaj times bmin of the network's ellipse through the beam; all in one unit of length.

    Returns
    -------
    array (n,), bool
        False where a moment is not known.
    """
    own = np.sqrt(np.maximum(spread[:, 0] * spread[:, 1] - spread[:, 2] ** 2, 0.0))
    near = np.hypot(centre[:, 0], centre[:, 1]) < FARTHEST * np.sqrt(area)
    return np.asarray(near & (own < LARGEST * area) & (own * LARGEST > area))


def fit_place(network: ArrayLike, moments: ArrayLike, size: ArrayLike, snr: ArrayLike) -> float:
    """The signal to noise at which both places count alike that makes distances least.

    Parameters
    ----------
    network, moments : array (n, 2)
        Offsets of both from where each source is.
    size : array (n,)
        Of the sources, in the same unit.
    snr : array (n,)
        Of the peaks.
    """
    network, moments = (np.asarray(each, np.float64) for each in (network, moments))
    scale = np.asarray(size, np.float64)[:, None]

    def error(alike: float) -> Floats:
        share = weight(snr, alike)[:, None]
        off = np.linalg.norm((network + share * (moments - network)) / scale, axis=1)
        return np.asarray(np.minimum(off, _WORST))

    return _best(error)


def fit_shapes(seen: Seen, true: Ellipses) -> tuple[float, float]:
    """What the axes and the angles of both count alike for so that errors are least.

    Parameters
    ----------
    seen : Seen
        Of sources whose ellipse is known.
    true : (bmaj, bmin, theta), each (n,)
        Their intrinsic ellipses.

    Returns
    -------
    axes, angle : float
        As in `MomentMean`. An angle counts by how much longer one axis is than the other.
    """
    gap = (true[0] ** 2 - true[1] ** 2) / seen.area

    def turned(alike: float) -> Floats:
        theta = MomentMean(angle=alike).ellipse(seen)[0][2]
        return np.asarray(np.minimum(gap * np.abs(np.sin(theta - true[2])), _WORST))

    angle = _best(turned)

    def stretched(alike: float) -> Floats:
        axes = MomentMean(axes=alike, angle=angle).ellipse(seen)[0][:2]
        off = (np.hypot(seen.beam**0.5, a) - np.hypot(seen.beam**0.5, t) for a, t in zip(axes, true[:2]))
        return np.asarray(np.minimum(np.hypot(*off) / np.sqrt(seen.area), _WORST))

    return _best(stretched), angle


def _along(moments: Ellipses, theta: Floats) -> Floats:
    """Second moment along a direction."""
    cos, sin = np.cos(theta), np.sin(theta)
    return np.asarray(moments[0] * cos**2 + moments[1] * sin**2 + 2.0 * moments[2] * cos * sin)


def _best(error: Any) -> float:
    """Where the mean error is least."""
    costs = [error(float(alike)).mean() for alike in _TRIED]
    return float(_TRIED[int(np.argmin(costs))])

"""Where the gas of a galaxy lies: points evenly spread over a rotating disc, moved as in real galaxies.

Surface densities are Gaussian rings (Martinsson et al. 2016, A&A 585, A99), rotation curves arctangents. Real
discs are lopsided, patchy, warped, holed, have arms, tails and bridges to companions
(`skadetect.simulate.companions`): a network that learned from symmetric ones misjudges their fluxes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
# Outermost radius of the disc, and radius from which a warp turns it, in units of the radius at 1 Msun/pc^2.
_EDGE, _WARP_START = 2.2, 0.6
_LEAST_WEIGHT = 0.02
# Standard deviation of a bridge across it, in HI diameters.
_BRIDGE_WIDTH = 0.06


@dataclass(frozen=True)
class Disc:
    """A disc on a grid of pixels and channels, frequency ascending with z; radii are in units of R_HI.

    Azimuths are in the plane of the disc, 0 on the receding half of the major axis.

    Attributes
    ----------
    hi_size : float
        Diameter 2 R_HI along the major axis where the face-on surface density is 1 Msun/pc^2, pixels.
    incl : float
        Inclination, radians, 0 face-on.
    direction : float
        Of the receding half of the major axis (at lower z), radians from +x towards +y.
    v_flat, dispersion : float
        Rotation in the disc's plane and velocity dispersion, channels.
    turnover : float
        Radius r_t of the rotation curve 2/pi v_flat arctan(r / r_t).
    offset, spread : float
        Radius and width of the surface density's ring exp(-(r - offset)^2 / 2 spread^2).
    thickness : float
        Height over diameter.
    lopsided, lopsided_phase : float
        Amplitude and azimuth of the density's first harmonic.
    displaced : float
        Distance from the kinematic centre to that of the gas, towards `lopsided_phase`.
    kinematic : float
        Relative difference of the speeds on the receding and the approaching side.
    arms, arm_phase, arm_pitch : float
        Amplitude, azimuth and tightness of two logarithmic arms.
    clumps : int
        Number of clumps.
    patchy : float
        Share of the gas in them.
    hole : float
        Radius of a central hole.
    warp_pa, warp_incl : float
        Turn of the disc a unit of radius in its outskirts, radians.
    tail, tail_phase : float
        Share of the gas in a one-sided tail, and the azimuth where that begins.
    bridge : float
        Share of the gas in a bridge to a companion.
    bridge_end : tuple of float
        Where that ends: channels, rows and columns from the centre.
    """

    hi_size: float
    incl: float
    direction: float
    v_flat: float
    dispersion: float
    turnover: float = 0.2
    offset: float = 0.3
    spread: float = 0.36
    thickness: float = 0.1
    lopsided: float = 0.0
    lopsided_phase: float = 0.0
    displaced: float = 0.0
    kinematic: float = 0.0
    arms: float = 0.0
    arm_phase: float = 0.0
    arm_pitch: float = 3.0
    clumps: int = 0
    patchy: float = 0.0
    hole: float = 0.0
    warp_pa: float = 0.0
    warp_incl: float = 0.0
    tail: float = 0.0
    tail_phase: float = 0.0
    bridge: float = 0.0
    bridge_end: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def irregular(self, rng: np.random.Generator) -> Disc:
        """The same disc with the irregularities of a galaxy drawn at random."""
        chance = iter(rng.random(8))
        changes: dict[str, Any] = {"lopsided_phase": rng.uniform(0, 2 * np.pi)}
        if next(chance) < 0.65:
            changes["lopsided"] = abs(rng.normal(0, 0.35))
        if next(chance) < 0.3:
            changes["displaced"] = min(abs(rng.normal(0, 0.1)), 0.3)
        if next(chance) < 0.5:
            changes["kinematic"] = rng.normal(0, 0.12)
        if next(chance) < 0.5:
            changes |= {"arms": rng.uniform(0.2, 0.9), "arm_phase": rng.uniform(0, np.pi)}
            changes["arm_pitch"] = rng.uniform(1.5, 5)
        if next(chance) < 0.6:
            changes |= {"clumps": int(rng.integers(10, 200)), "patchy": rng.uniform(0.15, 0.65)}
        if next(chance) < 0.25:
            changes["hole"] = rng.uniform(0.1, 0.5)
        if next(chance) < 0.4:
            changes |= {"warp_pa": rng.normal(0, 0.35), "warp_incl": rng.normal(0, 0.25)}
        if next(chance) < 0.15:
            changes |= {"tail": rng.uniform(0.03, 0.2), "tail_phase": rng.uniform(0, 2 * np.pi)}
        return replace(self, **changes)

    @property
    def asymmetry(self) -> float:
        """How far from symmetric: density, kinematics, tail and bridge added in quadrature."""
        apart = 3 * (self.bridge + self.tail)
        return math.hypot(self.lopsided, 2 * self.displaced, 2 * self.kinematic, apart)


@dataclass(frozen=True)
class Cloud:
    """Points of gas.

    Attributes
    ----------
    z, y, x : ndarray, shape (n,)
        Channel, row and column relative to the kinematic centre, without velocity dispersion.
    weight : ndarray, shape (n,)
        Of each point; the sum is 1.
    """

    z: Floats
    y: Floats
    x: Floats
    weight: Floats


def draw_cloud(disc: Disc, n: int, rng: np.random.Generator) -> Cloud:
    """Spread points over a disc.

    Parameters
    ----------
    disc : Disc
        Its shape.
    n : int
        How many points.
    rng : numpy.random.Generator
        Source of what is irregular; points of smooth gas are evenly spaced, so that few make a smooth disc.

    Returns
    -------
    Cloud
        In pixels and channels.
    """
    radius, azimuth, weight = _gas(disc, n, rng)
    z, y, x = _project(disc, radius, azimuth, rng)
    if disc.bridge > 0:
        _add_bridge(disc, (z, y, x), rng)
    return Cloud(z, y, x, weight / weight.sum())


def _gas(disc: Disc, n: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Radius, azimuth and weight of points in the plane of the disc."""
    grid = np.linspace(0.0, _EDGE, 600)
    ring = grid * np.exp(-((grid - disc.offset) ** 2) / (2 * disc.spread**2))
    if disc.hole > 0:
        ring *= 1.0 - np.exp(-((grid / disc.hole) ** 4))
    inside = np.cumsum(ring)
    order = np.arange(n, dtype=np.float64) + rng.random()  # even in mass, by the golden angle in azimuth
    radius = np.interp(order / n * inside[-1], inside, grid)
    azimuth = 2 * np.pi * ((order * _GOLDEN) % 1.0)
    weight = _weight(disc, radius, azimuth)
    if disc.displaced > 0:
        radius, azimuth = _moved(radius, azimuth, disc.displaced, disc.lopsided_phase)
    if disc.clumps > 0:
        radius, azimuth, weight = _clumped(disc, (radius, azimuth, weight), rng)
    if disc.tail > 0:
        _add_tail(disc, radius, azimuth, rng)
    return radius, azimuth, weight


def _weight(disc: Disc, radius: Floats, azimuth: Floats) -> Floats:
    """Density over its mean at a radius."""
    weight = 1.0 + disc.lopsided * np.minimum(radius, 1.5) * np.cos(azimuth - disc.lopsided_phase)
    if disc.arms > 0:
        wind = 2 * disc.arm_pitch * np.log(radius + 0.15)
        weight *= 1.0 + disc.arms * np.cos(2 * (azimuth - disc.arm_phase) - wind)
    density: Floats = np.maximum(weight, _LEAST_WEIGHT)
    return density


def _moved(radius: Floats, azimuth: Floats, by: float, towards: float) -> tuple[Floats, Floats]:
    """The same points, shifted in the plane of the disc."""
    u = radius * np.cos(azimuth) + by * math.cos(towards)
    v = radius * np.sin(azimuth) + by * math.sin(towards)
    moved: Floats = np.hypot(u, v)
    turned: Floats = np.arctan2(v, u)
    return moved, turned


def _clumped(
    disc: Disc, gas: tuple[Floats, Floats, Floats], rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """The same gas with a share of it gathered in clumps of exponentially distributed masses."""
    radius, azimuth, weight = gas
    n, count = len(radius), disc.clumps
    seeds = rng.choice(n, count, p=weight / weight.sum())
    mass, size = rng.exponential(1.0, count), rng.uniform(0.05, 0.15, count)
    clump = rng.choice(count, n, p=mass / mass.sum())
    u = (radius * np.cos(azimuth))[seeds][clump] + size[clump] * rng.standard_normal(n)
    v = (radius * np.sin(azimuth))[seeds][clump] + size[clump] * rng.standard_normal(n)
    inside = rng.random(n) < disc.patchy
    return (
        np.where(inside, np.hypot(u, v), radius),
        np.where(inside, np.arctan2(v, u), azimuth),
        np.where(inside, weight.mean(), weight),
    )


def _add_tail(disc: Disc, radius: Floats, azimuth: Floats, rng: np.random.Generator) -> None:
    """Move points, in place, to a tail that trails outwards from one side."""
    chosen = np.flatnonzero(rng.random(len(radius)) < disc.tail)
    along, curl = rng.random(len(chosen)), rng.uniform(0.3, 1.2)
    radius[chosen] = 0.7 + rng.uniform(0.5, 1.5) * along + 0.1 * rng.standard_normal(len(chosen))
    azimuth[chosen] = disc.tail_phase + curl * along + 0.15 * rng.standard_normal(len(chosen))


def _project(
    disc: Disc, radius: Floats, azimuth: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Channel, row and column of points in the plane of the disc."""
    outer = np.maximum(radius - _WARP_START, 0.0)
    incl, direction = disc.incl + disc.warp_incl * outer, disc.direction + disc.warp_pa * outer
    speed = disc.v_flat * (2 / np.pi) * np.arctan(radius / disc.turnover)
    along, sin_incl = np.cos(azimuth), np.sin(incl)
    z = -speed * (1.0 + disc.kinematic * along) * along * sin_incl
    height = 0.5 * disc.thickness * rng.standard_normal(len(radius))
    across = radius * np.sin(azimuth) * np.cos(incl) + height * sin_incl
    along *= radius
    scale, cos_pa, sin_pa = 0.5 * disc.hi_size, np.cos(direction), np.sin(direction)
    return z, scale * (along * sin_pa + across * cos_pa), scale * (along * cos_pa - across * sin_pa)


def _add_bridge(disc: Disc, place: tuple[Floats, Floats, Floats], rng: np.random.Generator) -> None:
    """Move points, in place, to a bridge from the centre to the companion."""
    chosen = np.flatnonzero(rng.random(len(place[0])) < disc.bridge)
    along, width = rng.random(len(chosen)), _BRIDGE_WIDTH * disc.hi_size
    for axis, end, spread in zip(place, disc.bridge_end, (0.0, width, width), strict=True):
        axis[chosen] = end * along + spread * rng.standard_normal(len(chosen))

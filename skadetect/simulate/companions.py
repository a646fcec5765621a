"""Small galaxies beside larger ones, bound to them: galaxies of their own, with a bridge of gas at times.

Satellites within two HI radii are the commonest reason for two rows where there seems to be one galaxy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from skadetect.simulate.galaxies import PopulationOptions
from skadetect.simulate.gas import Disc

# HI mass and distance (host's radii at 1 Msun/pc^2) of a companion, relative to its host.
_MASS, _DISTANCE = (0.03, 0.33), (0.9, 2.0)
# Share of pairs with a bridge, and the largest share of a companion's gas that has gone to it.
_BRIDGED, _BRIDGE = 0.5, 0.6


@dataclass(frozen=True)
class Companion:
    """A galaxy that belongs to another one.

    Attributes
    ----------
    disc : Disc
        Its shape.
    offset : tuple of float
        Of its centre from the host's: channels (frequency ascending), rows, columns.
    share : float
        Its line flux over the host's.
    """

    disc: Disc
    offset: tuple[float, float, float]
    share: float


def draw_companion(host: Disc, rng: np.random.Generator) -> tuple[Disc, Companion]:
    """Give a galaxy a companion.

    Parameters
    ----------
    host : Disc
        The galaxy.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Disc
        The host, with a bridge to its companion in every second pair.
    Companion
        A tenth to a half as large, turned any way, not faster than the host's rotation relative to it.
    """
    radius = 0.5 * host.hi_size
    mass, angle = rng.uniform(*_MASS), rng.uniform(0, 2 * np.pi)
    distance = radius * rng.uniform(*_DISTANCE)
    shift = rng.uniform(-1, 1) * (0.8 * host.v_flat * math.sin(host.incl) + host.dispersion)
    offset = (shift, distance * math.sin(angle), distance * math.cos(angle))
    drawn = rng.uniform(0, _BRIDGE) if rng.random() < _BRIDGED else 0.0
    companion = Companion(_small(host, mass, rng), offset, mass * (1 - drawn))
    return replace(host, bridge=mass * drawn, bridge_end=offset), companion


def _small(host: Disc, mass: float, rng: np.random.Generator) -> Disc:
    """A galaxy of a share of the host's mass, by the relations of all galaxies."""
    relation = PopulationOptions()
    size = mass**relation.size_slope * 10 ** (relation.size_scatter * rng.standard_normal())
    speed = mass**relation.speed_slope * 10 ** (relation.speed_scatter * rng.standard_normal())
    return Disc(
        hi_size=host.hi_size * size,
        incl=math.acos(rng.random()),
        direction=rng.uniform(-np.pi, np.pi),
        v_flat=host.v_flat * speed,
        dispersion=host.dispersion,
        turnover=rng.uniform(0.12, 0.35),
        offset=rng.uniform(0.15, 0.5),
        spread=rng.uniform(0.3, 0.42),
    ).irregular(rng)

"""One galaxy in HI as a cube sees it: a rotating disc, drawn as a cloud of points, with what real ones have.

Surface densities are Gaussian rings (Martinsson et al. 2016, A&A 585, A99), rotation curves arctangents.
Real discs are lopsided, patchy, warped, holed, have arms and companions: a network that learned from
symmetric ones misjudges their fluxes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from skadetect._numba import JIT
from skadetect.beams import FWHM_PER_SIGMA, PixelBeam

Floats = NDArray[np.float64]

# Outermost radius of the disc, in units of the radius at 1 Msun/pc^2.
_EDGE = 2.2
# Radius from which a warp turns the disc, and share of a cubelet's maximum below which it is cut off.
_WARP_START, _CUT = 0.6, 1e-3
_FEWEST, _MOST = 4000, 40000


@dataclass(frozen=True)
class Disc:
    """A disc on a grid of pixels and channels, frequency ascending with z; radii are in units of R_HI.

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
    kinematic : float
        Relative difference of the speeds on the receding and the approaching side.
    arms, arm_phase, arm_pitch : float
        Amplitude, azimuth and tightness of two logarithmic arms.
    clumps : int
        Number of clumps that hold half of the gas; 0 for smooth gas.
    hole : float
        Radius of a central hole.
    warp_pa, warp_incl : float
        Turn of the disc a unit of radius in its outskirts, radians.
    companion : float
        Share of the flux in a companion or tail.
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
    kinematic: float = 0.0
    arms: float = 0.0
    arm_phase: float = 0.0
    arm_pitch: float = 3.0
    clumps: int = 0
    hole: float = 0.0
    warp_pa: float = 0.0
    warp_incl: float = 0.0
    companion: float = 0.0

    def irregular(self, rng: np.random.Generator) -> Disc:
        """The same disc with the irregularities of a galaxy drawn at random."""
        changes: dict[str, Any] = {}
        lopsided, kinematic, arms, clumps, hole, warp, companion = rng.random(7)
        if lopsided < 0.65:
            changes |= {"lopsided": abs(rng.normal(0, 0.35)), "lopsided_phase": rng.uniform(0, 2 * np.pi)}
        if kinematic < 0.5:
            changes["kinematic"] = rng.normal(0, 0.12)
        if arms < 0.5:
            changes |= {"arms": rng.uniform(0.2, 0.9), "arm_phase": rng.uniform(0, np.pi)}
            changes["arm_pitch"] = rng.uniform(1.5, 5)
        if clumps < 0.6:
            changes["clumps"] = int(rng.integers(10, 200))
        if hole < 0.25:
            changes["hole"] = rng.uniform(0.1, 0.5)
        if warp < 0.4:
            changes |= {"warp_pa": rng.normal(0, 0.35), "warp_incl": rng.normal(0, 0.25)}
        if companion < 0.1:
            changes["companion"] = rng.uniform(0.03, 0.25)
        return replace(self, **changes)

    @property
    def asymmetry(self) -> float:
        """How far from symmetric: density, kinematics and companion added in quadrature."""
        return math.sqrt(self.lopsided**2 + (2 * self.kinematic) ** 2 + (3 * self.companion) ** 2)


@dataclass(frozen=True)
class Cubelet:
    """A drawn galaxy.

    Attributes
    ----------
    pixels : ndarray, shape (z, y, x), float32
        Seen through the beam; the sum is 1 but for what was cut off.
    centre : tuple of float
        Kinematic centre (z, y, x) in voxels of `pixels`.
    w20, w50 : float
        Widths of the noiseless line at 20 and 50 % of its peak, channels.
    """

    pixels: NDArray[np.float32]
    centre: tuple[float, float, float]
    w20: float
    w50: float


def render(
    disc: Disc,
    beam: PixelBeam,
    *,
    rng: np.random.Generator,
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
    points: int = 0,
) -> Cubelet:
    """Draw a galaxy.

    Parameters
    ----------
    disc : Disc
        What to draw.
    beam : PixelBeam
        What it is seen through.
    rng : numpy.random.Generator
        Places of the points.
    centre : tuple of float
        Offset (z, y, x) of the galaxy from the centre of a voxel, -0.5 to 0.5.
    points : int
        How many; 0 for as many as the galaxy has voxels for.

    Returns
    -------
    Cubelet
        Cut to where it exceeds a thousandth of its maximum.
    """
    voxels = disc.hi_size**2 * max(disc.v_flat * math.sin(disc.incl), 3 * disc.dispersion, 1.0)
    z, y, x = _cloud(disc, points or int(np.clip(6 * voxels, _FEWEST, _MOST)), rng)
    depth = math.ceil(float(np.percentile(np.abs(z), 99.9)) + 1)
    widest = max(float(np.abs(y).max()), float(np.abs(x).max()))
    side = math.ceil(min(widest, 1.6 * disc.hi_size) + 1.6 * beam.bmaj + 1)
    pixels = np.zeros((2 * depth + 1, 2 * side + 1, 2 * side + 1), np.float32)
    _deposit(z + centre[0] + depth, y + centre[1] + side, x + centre[2] + side, pixels)
    pixels = _through_beam(pixels, beam)
    pixels /= pixels.sum()
    spectrum = pixels.sum(axis=(1, 2), dtype=np.float64)
    kept = _extent(pixels > _CUT * pixels.max())
    middle = [at + half - part.start for at, half, part in zip(centre, (depth, side, side), kept)]
    return Cubelet(
        np.ascontiguousarray(pixels[kept]),
        (middle[0], middle[1], middle[2]),
        line_width(spectrum, 0.2),
        line_width(spectrum, 0.5),
    )


def line_width(spectrum: Floats, level: float) -> float:
    """Width of a line between the outermost crossings of a share of its peak, channels."""
    limit = level * spectrum.max()
    above = np.flatnonzero(spectrum >= limit)
    first, last = int(above[0]), int(above[-1])
    low, high = first - 0.5, last + 0.5
    if first > 0:
        low = first - (spectrum[first] - limit) / (spectrum[first] - spectrum[first - 1])
    if last < len(spectrum) - 1:
        high = last + (spectrum[last] - limit) / (spectrum[last] - spectrum[last + 1])
    return float(high - low)


def _cloud(disc: Disc, n: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Channel, row and column of n points of gas relative to the centre."""
    radius, azimuth = _gas(disc, n, rng)
    outer = np.maximum(radius - _WARP_START, 0.0)
    incl, direction = disc.incl + disc.warp_incl * outer, disc.direction + disc.warp_pa * outer
    speed = disc.v_flat * (2 / np.pi) * np.arctan(radius / disc.turnover)
    speed *= 1.0 + disc.kinematic * np.cos(azimuth)
    height = 0.5 * disc.thickness * rng.standard_normal(n)
    along = radius * np.cos(azimuth)
    across = radius * np.sin(azimuth) * np.cos(incl) + height * np.sin(incl)
    z = disc.dispersion * rng.standard_normal(n) - speed * np.cos(azimuth) * np.sin(incl)
    scale = 0.5 * disc.hi_size
    x = scale * (along * np.cos(direction) - across * np.sin(direction))
    y = scale * (along * np.sin(direction) + across * np.cos(direction))
    return _with_companion(disc, (z, y, x), rng) if disc.companion > 0 else (z, y, x)


def _gas(disc: Disc, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Radius and azimuth of n points in the plane of the disc; azimuth 0 is the receding side."""
    grid = np.linspace(0.0, _EDGE, 600)
    ring = grid * np.exp(-((grid - disc.offset) ** 2) / (2 * disc.spread**2))
    if disc.hole > 0:
        ring *= 1.0 - np.exp(-((grid / disc.hole) ** 4))
    inside = np.cumsum(ring)
    radius = np.interp(rng.random(n) * inside[-1], inside, grid)
    azimuth = rng.uniform(0, 2 * np.pi, n)
    weight = 1.0 + disc.lopsided * np.minimum(radius, 1.5) * np.cos(azimuth - disc.lopsided_phase)
    if disc.arms > 0:
        wind = 2 * disc.arm_pitch * np.log(radius + 0.15)
        weight *= 1.0 + disc.arms * np.cos(2 * (azimuth - disc.arm_phase) - wind)
    weight = np.maximum(weight, 0.02)
    # rejection, and the accepted points drawn from until there are n
    accepted = np.flatnonzero(rng.random(n) * weight.max() < weight)
    chosen = accepted[rng.integers(0, len(accepted), n)]
    radius = radius[chosen] * (1.0 + 0.02 * rng.standard_normal(n))
    azimuth = azimuth[chosen] + 0.05 * rng.standard_normal(n)
    return _clumped(disc.clumps, radius, azimuth, rng) if disc.clumps else (radius, azimuth)


def _clumped(count: int, radius: Floats, azimuth: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The same gas with half of the points gathered in clumps of exponentially distributed masses."""
    n = len(radius)
    seeds, mass, size = rng.integers(0, n, count), rng.exponential(1.0, count), rng.uniform(0.05, 0.15, count)
    clump = rng.choice(count, n, p=mass / mass.sum())
    y = (radius * np.sin(azimuth))[seeds][clump] + size[clump] * rng.standard_normal(n)
    x = (radius * np.cos(azimuth))[seeds][clump] + size[clump] * rng.standard_normal(n)
    free = rng.random(n) < 0.5
    return np.where(free, radius, np.hypot(x, y)), np.where(free, azimuth, np.arctan2(y, x))


def _with_companion(
    disc: Disc, cloud: tuple[Floats, Floats, Floats], rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """The cloud with some of its points moved to a companion, or strung along a tail towards it."""
    z, y, x = cloud
    n = len(z)
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.8) * 0.5 * disc.hi_size
    size = rng.uniform(0.1, 0.35) * 0.5 * disc.hi_size
    shift = rng.uniform(-1, 1) * (0.8 * disc.v_flat * math.sin(disc.incl) + disc.dispersion)
    along = rng.random(n) ** 0.3 if rng.random() < 0.5 else np.ones(n)
    moved = rng.random(n) < disc.companion
    z = np.where(moved, shift * along + 1.2 * disc.dispersion * rng.standard_normal(n), z)
    y = np.where(moved, distance * along * math.sin(angle) + size * rng.standard_normal(n), y)
    x = np.where(moved, distance * along * math.cos(angle) + size * rng.standard_normal(n), x)
    return z, y, x


@numba.njit(**JIT)
def _deposit(z: Floats, y: Floats, x: Floats, pixels: NDArray[np.float32]) -> None:
    """Count points in voxels."""
    depth, height, width = pixels.shape
    for k in range(z.size):
        channel, row, column = int(np.floor(z[k] + 0.5)), int(np.floor(y[k] + 0.5)), int(np.floor(x[k] + 0.5))
        if 0 <= channel < depth and 0 <= row < height and 0 <= column < width:
            pixels[channel, row, column] += np.float32(1)


def _through_beam(pixels: NDArray[np.float32], beam: PixelBeam) -> NDArray[np.float32]:
    """Channel maps convolved with the beam, which keeps their sums."""
    pad = math.ceil(2 * beam.bmaj)
    height, width = (fft.next_fast_len(n + pad, True) for n in pixels.shape[1:])
    ky, kx = fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None, :]
    along = kx * np.cos(beam.theta) + ky * np.sin(beam.theta)
    across = ky * np.cos(beam.theta) - kx * np.sin(beam.theta)
    squared = (beam.bmaj * along) ** 2 + (beam.bmin * across) ** 2
    transfer = np.exp(-2 * (np.pi / FWHM_PER_SIGMA) ** 2 * squared).astype(np.float32)
    seen = fft.irfft2(fft.rfft2(pixels, (height, width)) * transfer, (height, width))
    inside = seen[:, : pixels.shape[1], : pixels.shape[2]]
    return np.asarray(np.maximum(inside, 0), np.float32)


def _extent(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box that holds every true voxel."""
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hit = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(box)

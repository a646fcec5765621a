"""Galaxies of a catalogue as places in the voxels of the file, the windows they need, and in which order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.astrometry import pa_to_theta
from skadetect.catalog.catalog import Catalog
from skadetect.image import Image
from skadetect.pixels import Corner
from skadetect.products.options import ProductOptions
from skadetect.spectral import LIGHT_KMS, SpectralAxis

#: Blank sky around a galaxy to tell its noise from, as a share of its extent.
SKY_SHARE = 0.25
#: Voxels that galaxies may share a read of, unless one of them needs more.
SHARED_VOXELS = 1 << 24

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """One galaxy in voxels of the file.

    Attributes
    ----------
    row : dict of str to value
        Its row of the catalogue, plain numbers in the catalogue's units.
    centre : (z, y, x)
        Position, 0-based.
    major, minor : float
        Axes of its disc through the beam, pixels.
    theta : float
        Angle of the major axis, radians from +x towards +y.
    depth : float
        Width of its line at a fifth of the peak, channels.
    lo, hi : (z, y, x)
        Its window: lo <= voxel < hi.
    """

    row: dict[str, Any]
    centre: tuple[float, float, float]
    major: float
    minor: float
    theta: float
    depth: float
    lo: Corner
    hi: Corner

    @property
    def number(self) -> int:
        """Its id in the catalogue."""
        return int(self.row["id"])

    @property
    def shape(self) -> Corner:
        """Of its window."""
        z, y, x = (b - a for a, b in zip(self.lo, self.hi, strict=True))
        return z, y, x

    @property
    def voxels(self) -> int:
        """Of its window."""
        return math.prod(self.shape)

    def offsets(self) -> tuple[Floats, Floats]:
        """Distance of voxels of the window from the centre, squared, in half axes and in half line widths.

        Returns
        -------
        across : (y, x) array
            1 on the ellipse of the disc.
        along : (z,) array
            1 at the ends of the line.
        """
        z, y, x = (np.arange(a, b) - c for a, b, c in zip(self.lo, self.hi, self.centre, strict=True))
        return self.across(y[:, np.newaxis], x), np.square(z / (self.depth / 2))

    def across(self, dy: NDArray[np.floating[Any]], dx: NDArray[np.floating[Any]]) -> Floats:
        """Distance on the image, squared, in half axes of the disc; dy and dx in pixels from its centre."""
        cos, sin = math.cos(self.theta), math.sin(self.theta)
        u, v = (dx * cos + dy * sin) / (self.major / 2), (dy * cos - dx * sin) / (self.minor / 2)
        return np.square(u) + np.square(v)

    def grown(self, share: float, pixels: float, channels: float) -> Source:
        """The same galaxy, its disc and line longer by a share of themselves and so much more at each end."""
        return replace(
            self,
            major=self.major * (1 + share) + 2 * pixels,
            minor=self.minor * (1 + share) + 2 * pixels,
            depth=self.depth * (1 + share) + 2 * channels,
        )


@dataclass(frozen=True)
class Group:
    """Galaxies whose windows are read at once, each with its neighbours; lo <= voxel < hi of the file."""

    sources: tuple[tuple[Source, tuple[Source, ...]], ...]
    lo: Corner
    hi: Corner


def find_sources(catalog: Catalog, image: Image, options: ProductOptions) -> list[Source]:
    """Every galaxy of a catalogue that has a position, with its window, in the order of the catalogue.

    Parameters
    ----------
    catalog : Catalog
        Of a cube; positions in voxels of `image`.
    image : Image
        The cube, as it is in the file.
    options : ProductOptions
        Margins.
    """
    axis = spectral_axis(image)
    rows = [_plain(row) for row in catalog]
    rows = [row for row in rows if all(math.isfinite(row[name]) for name in "zyx")]
    x, y = np.array([row["x"] for row in rows]), np.array([row["y"] for row in rows])
    if not rows:
        return []
    theta = pa_to_theta(image.wcs, x, y, np.array([row["ell_pa"] for row in rows]))
    return [_source(row, float(turn), image, axis, options) for row, turn in zip(rows, theta, strict=True)]


def spectral_axis(image: Image) -> SpectralAxis:
    """The spectral axis of a cube.

    Raises
    ------
    ValueError
        If the image has none.
    """
    if image.spectral is None:
        raise ValueError(f"{image.name} has no spectral axis; products are made of cubes")
    return image.spectral


def neighbours(sources: Sequence[Source]) -> Iterator[tuple[Source, ...]]:
    """For each galaxy those whose windows share voxels with its own."""
    if not sources:
        return
    lo, hi = np.array([each.lo for each in sources]), np.array([each.hi for each in sources])
    order = np.argsort(lo[:, 0], kind="stable")
    starts, deepest = lo[order, 0], int((hi[:, 0] - lo[:, 0]).max())
    for index in range(len(sources)):
        first, last = np.searchsorted(starts, (lo[index, 0] - deepest, hi[index, 0]))
        near = order[first:last]
        shared = (lo[near] < hi[index]).all(axis=1) & (hi[near] > lo[index]).all(axis=1) & (near != index)
        yield tuple(sources[other] for other in np.sort(near[shared]))


def in_groups(sources: Sequence[tuple[Source, tuple[Source, ...]]]) -> list[Group]:
    """Galaxies in file order; windows are joined where one read costs no more than one for each.

    Parameters
    ----------
    sources : sequence of (Source, tuple of Source)
        Galaxies and their neighbours, in any order.
    """
    groups: list[Group] = []
    apart = 0
    for pair in sorted(sources, key=lambda pair: (pair[0].lo, pair[0].hi, pair[0].number)):
        source = pair[0]
        if groups:
            last = groups[-1]
            lo = _corner(min, last.lo, source.lo)
            hi = _corner(max, last.hi, source.hi)
            together = math.prod(b - a for a, b in zip(lo, hi, strict=True))
            most = max(SHARED_VOXELS, source.voxels, math.prod(np.subtract(last.hi, last.lo).tolist()))
            if together <= min(apart + source.voxels, most):
                groups[-1] = Group((*last.sources, pair), lo, hi)
                apart += source.voxels
                continue
        groups.append(Group((pair,), source.lo, source.hi))
        apart = source.voxels
    return groups


def _corner(choose: Any, a: Corner, b: Corner) -> Corner:
    z, y, x = (choose(*pair) for pair in zip(a, b, strict=True))
    return z, y, x


def _plain(row: Any) -> dict[str, Any]:
    """A row of the table as plain numbers and text."""
    values = {name: getattr(row[name], "value", row[name]) for name in row.colnames}
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}


def _source(
    row: dict[str, Any], theta: float, image: Image, axis: SpectralAxis, options: ProductOptions
) -> Source:
    """A row with its window; sizes that are not known, or smaller, are those of the beam and a channel."""
    beam = image.pixel_beam
    major = _at_least(row["ell_maj"] / image.pixel_scale, beam.bmaj)
    minor = _at_least(row["ell_min"] / image.pixel_scale, beam.bmin)
    channel_kms = LIGHT_KMS * float(axis.width(row["z"])) / float(axis.frequency(row["z"]))
    depth = _at_least(row["w20"] / channel_kms, 1.0)
    theta = theta if math.isfinite(theta) else beam.theta
    centre = (row["z"], row["y"], row["x"])
    cos, sin = math.cos(theta), math.sin(theta)
    half = (depth / 2, math.hypot(major * sin, minor * cos) / 2, math.hypot(major * cos, minor * sin) / 2)
    margin = (options.margin_channels, options.margin * beam.bmaj, options.margin * beam.bmaj)
    lo, hi = [], []
    for name, c, h, m, n in zip("zyx", centre, half, margin, image.shape, strict=True):
        low, high = min(row[f"{name}_min"], c - h), max(row[f"{name}_max"], c + h)
        more = m + SKY_SHARE * (high - low)
        lo.append(min(max(math.floor(low - more), 0), n - 1))
        hi.append(min(max(math.ceil(high + more) + 1, lo[-1] + 1), n))
    return Source(
        row, centre, major, max(minor, 1e-3), theta, depth, (lo[0], lo[1], lo[2]), (hi[0], hi[1], hi[2])
    )


def _at_least(value: float, least: float) -> float:
    return max(value, least) if math.isfinite(value) else least

"""Which galaxies a cube holds, where they lie in it, and what the truth says about them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from skadetect.simulate.companions import Companion, draw_companion
from skadetect.simulate.galaxies import Galaxies, draw_galaxies, to_disc
from skadetect.simulate.gas import Disc
from skadetect.simulate.hi_files import cube_header, sky_positions
from skadetect.simulate.hi_options import LIGHT_SPEED, REST_FREQUENCY, HiOptions, HiTelescope
from skadetect.simulate.hi_sky import Measured, PlacedGalaxy, reach

Floats = NDArray[np.float64]

# Galaxies reach into the cube from this far outside: rest-frame km/s, and arcsec (SDC2) or beams (nearby).
_MARGIN_SPEED, _MARGIN_SDC2, _MARGIN_NEARBY = 400.0, 30.0, 12.0
# Nearby: galaxies a voxel; recession velocities that stand for their distances, km/s; bins evenly in log; the
# largest diameter in beams and as a share of the field's side.
_PER_VOXEL, _DISTANCES, _BINS, _LARGEST, _LARGEST_SHARE = 3.5e-6, (200.0, 15000.0), 12, 50.0, 0.7
# Square degrees that a bin's galaxies are drawn from; factor on the natural density in the nearest bin.
_BIN_AREA, _BIN_DENSITY = 41253.0, 1000.0
_UNITS = {
    "ra": "deg", "dec": "deg", "hi_size": "arcsec", "line_flux_integral": "Jy Hz", "central_freq": "Hz",
    "pa": "deg", "i": "deg", "w20": "km/s", "w50": "km/s", "x": "pix", "y": "pix", "z": "pix",
}  # fmt: skip


@dataclass(frozen=True)
class PlacedGalaxies:
    """The galaxies of a cube.

    Parameters
    ----------
    columns : Galaxies
        n rows.
    position : ndarray, shape (n, 3)
        Channel of the file, row and column of each centre.
    placed : tuple of PlacedGalaxy
        One a row: what is drawn.
    """

    columns: Galaxies
    position: Floats
    placed: tuple[PlacedGalaxy, ...]


def place_galaxies(telescope: HiTelescope, options: HiOptions) -> PlacedGalaxies:
    """Draw the galaxies that reach into a cube.

    Parameters
    ----------
    telescope : HiTelescope
        Grid and beam.
    options : HiOptions
        Setting, seed and density.

    Returns
    -------
    PlacedGalaxies
        Those whose centre lies outside of the cube among them.
    """
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(10,)))
    draw = _draw_sdc2 if options.setting == "sdc2" else _draw_nearby
    galaxies, position = draw(telescope, options, rng)
    discs, companions = _draw_discs(galaxies, telescope, options)
    galaxies, position = _joined(galaxies, position, companions, telescope)
    discs += [companion.disc for companion in companions.values()]
    half = np.array([reach(disc, telescope.beam) for disc in discs]).reshape(len(discs), 3)
    last = np.array(telescope.shape) - 1
    near = np.flatnonzero(np.all((position + half >= 0) & (position - half <= last), axis=1))
    placed = []
    for number, row in enumerate(near.tolist()):
        z, y, x = (float(p) for p in position[row])
        placed.append(PlacedGalaxy(number, (z, y, x), float(galaxies.flux[row]), discs[row]))
    return PlacedGalaxies(galaxies.take(near), position[near], tuple(placed))


def truth_table(
    galaxies: PlacedGalaxies,
    measured: Mapping[int, Measured],
    blank: NDArray[np.bool_],
    *,
    options: HiOptions,
) -> Table:
    """The galaxies whose centre lies on a voxel with data.

    Parameters
    ----------
    galaxies : PlacedGalaxies
        All of a cube.
    measured : mapping of int to Measured
        By row.
    blank : ndarray of bool, shape (y, x)
        Pixels without data.
    options : HiOptions
        What was simulated.

    Returns
    -------
    astropy.table.Table
        SDC2's columns, then w50 (km/s), snr, peak_snr, asymmetry, x, y and z (0-based voxels of the file).
    """
    telescope = HiTelescope.from_options(options)
    rows = _inside(galaxies.position, telescope.shape, blank)
    columns, (z, y, x) = galaxies.columns.take(rows), galaxies.position[rows].T
    known = [measured[int(row)] for row in rows]
    kms = LIGHT_SPEED * telescope.channel_width / columns.freq
    ra, dec = sky_positions(cube_header(telescope, (options.ra, options.dec)), x, y)
    table = Table(
        {
            "id": np.arange(len(rows)),
            "ra": ra,
            "dec": dec,
            "hi_size": columns.hi_size,
            "line_flux_integral": columns.flux,
            "central_freq": columns.freq,
            "pa": columns.pa,
            "i": columns.incl,
            "w20": np.array([each.w20 for each in known]) * kms,
            "w50": np.array([each.w50 for each in known]) * kms,
            "snr": np.array([each.snr for each in known]),
            "peak_snr": np.array([each.peak for each in known]),
            "asymmetry": np.array([each.asymmetry for each in known]),
            "x": x,
            "y": y,
            "z": z,
        }
    )
    for name, unit in _UNITS.items():
        table[name].unit = unit
    return table


def _inside(position: Floats, shape: tuple[int, int, int], blank: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Rows whose centre lies on a voxel with data."""
    voxel = np.rint(position).astype(int)
    inside = np.all((voxel >= 0) & (voxel < np.array(shape)), axis=1)
    row, column = (np.clip(voxel[:, axis], 0, shape[axis] - 1) for axis in (1, 2))
    return np.flatnonzero(inside & ~blank[row, column])


def _draw_sdc2(
    telescope: HiTelescope, options: HiOptions, rng: np.random.Generator
) -> tuple[Galaxies, Floats]:
    """Galaxies of the natural volume, evenly over the sky."""
    frequency, step = telescope.frequencies, telescope.step
    channels = _margin_channels(telescope)
    margin = _MARGIN_SDC2 / telescope.pixel_scale
    size = np.array(telescope.shape[1:]) + 2 * margin
    band = frequency.min(), min(frequency.max(), REST_FREQUENCY * 0.999)
    reach_hz = channels * telescope.channel_width
    galaxies = draw_galaxies(
        (band[0] - reach_hz, min(band[1] + reach_hz, REST_FREQUENCY * 0.9995)),
        float(np.prod(size)) * (telescope.pixel_scale / 3600) ** 2,
        flux_limit=telescope.flux_min,
        rng=rng,
        density=options.density,
    )
    plane = rng.uniform(-0.5, size - 0.5, (len(galaxies), 2)) - margin
    z = (galaxies.freq - frequency[0]) / step
    return galaxies, np.column_stack([z, plane])


def _draw_nearby(
    telescope: HiTelescope, options: HiOptions, rng: np.random.Generator
) -> tuple[Galaxies, Floats]:
    """Galaxies at distances even in the logarithm, evenly over the cube: all sizes meet in one cube."""
    margin = np.array([_margin_channels(telescope), *[_MARGIN_NEARBY * telescope.beam.fwhm] * 2])
    size = np.array(telescope.shape) + 2 * margin
    expected = options.density * _PER_VOXEL * float(np.prod(size)) / _BINS
    edges = REST_FREQUENCY / (1 + np.geomspace(*_DISTANCES, _BINS + 1) / LIGHT_SPEED)
    parts = [_draw_bin((low, high), expected, telescope, rng) for high, low in pairwise(edges)]
    galaxies = _shuffled(parts, rng)
    position = rng.uniform(-0.5, size - 0.5, (len(galaxies), 3)) - margin
    freq = telescope.frequencies[0] + telescope.step * position[:, 0]
    return replace(galaxies, freq=freq), position


def _draw_bin(
    band: tuple[float, float], expected: float, telescope: HiTelescope, rng: np.random.Generator
) -> Galaxies:
    """Galaxies of one range of distances, too large ones left out."""
    nearness = (LIGHT_SPEED * (REST_FREQUENCY / band[0] - 1) / _DISTANCES[0]) ** 3
    many = draw_galaxies(
        band, _BIN_AREA, flux_limit=telescope.flux_min, rng=rng, density=_BIN_DENSITY / nearness
    )
    field = min(telescope.shape[1:]) * telescope.pixel_scale
    largest = min(_LARGEST * math.sqrt(telescope.beam_major * telescope.beam_minor), _LARGEST_SHARE * field)
    fitting = np.flatnonzero(many.hi_size < largest)
    wanted = min(rng.poisson(expected), len(fitting))
    return many.take(rng.choice(fitting, wanted, replace=False))


def _shuffled(parts: list[Galaxies], rng: np.random.Generator) -> Galaxies:
    columns = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Galaxies)}
    galaxies = Galaxies(**columns)
    return galaxies.take(rng.permutation(len(galaxies)))


def _draw_discs(
    galaxies: Galaxies, telescope: HiTelescope, options: HiOptions
) -> tuple[list[Disc], dict[int, Companion]]:
    """What each galaxy looks like; by the row of their hosts, companions above the flux limit."""
    discs: list[Disc] = []
    companions: dict[int, Companion] = {}
    for i in range(len(galaxies)):
        pa = math.radians(galaxies.pa[i])
        theta = math.atan2(math.cos(pa), -math.sin(pa))  # right ascension decreases with x
        disc = to_disc(galaxies, i, pixel=telescope.pixel_scale, channel=telescope.channel_width, theta=theta)
        own = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(11, i)))
        if own.random() < options.irregular:
            disc = disc.irregular(own)
            if own.random() < options.companions:
                disc, companion = draw_companion(disc, own)
                if companion.share * galaxies.flux[i] >= telescope.flux_min:
                    companions[i] = companion
        discs.append(disc)
    return discs, companions


def _joined(
    galaxies: Galaxies, position: Floats, companions: Mapping[int, Companion], telescope: HiTelescope
) -> tuple[Galaxies, Floats]:
    """Galaxies and, behind them, their companions."""
    if not companions:
        return galaxies, position
    host, others = galaxies.take(list(companions)), list(companions.values())
    turn = np.array([1.0 if telescope.ascending else -1.0, 1.0, 1.0])
    offset = np.array([other.offset for other in others])
    share = np.array([other.share for other in others])
    per_channel = LIGHT_SPEED * telescope.channel_width / host.freq
    theta = np.array([other.disc.direction for other in others])
    known = replace(
        host,
        freq=host.freq + telescope.channel_width * offset[:, 0],
        flux=host.flux * share,
        log_mass=host.log_mass + np.log10(share),
        hi_size=np.array([other.disc.hi_size for other in others]) * telescope.pixel_scale,
        incl=np.degrees([other.disc.incl for other in others]),
        pa=np.degrees(np.arctan2(-np.cos(theta), np.sin(theta))) % 360.0,
        v_flat=np.array([other.disc.v_flat for other in others]) * per_channel,
        **{
            name: np.array([getattr(other.disc, name) for other in others])
            for name in ("turnover", "offset", "spread", "thickness")
        },
    )
    columns = {f.name: np.append(getattr(galaxies, f.name), getattr(known, f.name)) for f in fields(Galaxies)}
    return Galaxies(**columns), np.concatenate([position, position[list(companions)] + turn * offset])


def _margin_channels(telescope: HiTelescope) -> float:
    return _MARGIN_SPEED / (LIGHT_SPEED * telescope.channel_width / telescope.frequency)

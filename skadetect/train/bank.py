"""Patches of cubes made on the fly: galaxies from a bank of rendered ones, pasted into drawn noise.

At its natural density a cube holds a handful of detectable galaxies in ten million voxels. A bank holds some
hundreds of them, as one telescope setting shows them (`skadetect.simulate.bank` writes it); each patch gets
several, at any place and signal to noise, in fresh noise as correlated as the beam.
"""

from __future__ import annotations

import glob
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skadetect.beams import PixelBeam, inclined_axis
from skadetect.errors import ConfigError, InputError
from skadetect.nn.backends.pieces import Composition, Stamp
from skadetect.train.augment import Patch, correlated_noise, noise_kernel
from skadetect.train.contaminants import ContaminantOptions, Patterns, draw_contaminants
from skadetect.train.sources import Sources

# Ratio of an HI disc's thickness to its diameter: no disc is thinner than this seen edge-on.
THICKNESS = 0.15
COLUMNS = (
    "shape", "start", "centre", "scale", "hi_size", "w20", "w50", "direction", "incl", "snr",
    "companion", "host", "offset", "share", "beam",
)  # fmt: skip


@dataclass(frozen=True)
class BankGroup:
    """Banks that are drawn from with one weight.

    Attributes
    ----------
    files : tuple of str
        Files or glob patterns, relative to the configuration's folder.
    weight : float
        Share of the patches that come from this group, relative to the other groups.
    """

    files: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class MixtureOptions:
    """How galaxies are mixed into noise.

    Attributes
    ----------
    density : float
        Mean number of galaxies in a million voxels.
    lowest_snr, highest_snr : float
        Range of their matched-filter signal to noise.
    slope : float
        Exponent of its cumulative distribution: N(> snr) falls as snr^-slope.
    extended : float
        Exponent of the size in beams by which larger galaxies are brighter.
    hanning : float
        Share of patches whose noise is Hanning smoothed along z, as many cubes are.
    white : float
        Share of patches whose noise is less correlated than the beam says, down to white.
    rms_error : float
        Spread of the noise of the channels about the rms that they were divided by.
    level_error : float
        Spread of the background left in the channels, in units of the noise.
    contaminants : ContaminantOptions
        What else is in real cubes.
    """

    density: float = 35.0
    lowest_snr: float = 2.0
    highest_snr: float = 1000.0
    slope: float = 0.8
    extended: float = 0.5
    hanning: float = 0.2
    white: float = 0.0
    rms_error: float = 0.02
    level_error: float = 0.02
    contaminants: ContaminantOptions = field(default_factory=ContaminantOptions)

    def __post_init__(self) -> None:
        if not 0 < self.lowest_snr < self.highest_snr or self.slope <= 0 or self.density < 0:
            raise ConfigError(f"mixture is {self}, expected 0 < lowest_snr < highest_snr and slope > 0")


@dataclass(frozen=True)
class Bank:
    """Rendered galaxies of one setting.

    Attributes
    ----------
    name : str
        For messages.
    pixels : numpy.ndarray, (voxels,), float16
        All cubelets one after another, each divided by its maximum.
    shape, start, centre : numpy.ndarray
        Of each cubelet: (n, 3) extents, (n + 1,) place in `pixels`, (n, 3) centre of the galaxy in it.
    scale : numpy.ndarray, (n,)
        Factor from the stored pixels to those of one unit of line flux (rms times beam times channel).
    hi_size, w20, w50, direction, incl, snr : numpy.ndarray, (n,)
        Truth: pixels, channels, channels, radians, radians, signal to noise of one unit of line flux.
    companion, host : numpy.ndarray, (n,)
        Row of a galaxy's companion and of a companion's host; -1 for none.
    offset, share : numpy.ndarray, (n, 3) and (n,)
        Of a companion: voxels from its host, line flux over the host's.
    beam : PixelBeam
        Of the setting.
    """

    name: str
    pixels: np.ndarray
    shape: np.ndarray
    start: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    hi_size: np.ndarray
    w20: np.ndarray
    w50: np.ndarray
    direction: np.ndarray
    incl: np.ndarray
    snr: np.ndarray
    companion: np.ndarray
    host: np.ndarray
    offset: np.ndarray
    share: np.ndarray
    beam: PixelBeam

    def __len__(self) -> int:
        return len(self.snr)

    def stored(self, index: int) -> np.ndarray:
        """The pixels of one galaxy, (z, y, x) float16: a view."""
        return self.pixels[self.start[index] : self.start[index + 1]].reshape(self.shape[index])


def load_bank(path: str | os.PathLike[str]) -> Bank:
    """Read a bank.

    Raises
    ------
    InputError
        If the file is no bank.
    """
    try:
        with np.load(path) as file:
            columns = {name: file[name] for name in COLUMNS}
            pixels = file["pixels"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"bank of galaxies '{path}' cannot be read: {error}") from error
    bmaj, bmin, theta = (float(value) for value in columns.pop("beam"))
    return Bank(str(path), pixels, **columns, beam=PixelBeam(bmaj, bmin, theta))


def load_banks(groups: tuple[BankGroup, ...], base: Path) -> tuple[list[Bank], np.ndarray]:
    """Read the banks of all groups, and the weight of each.

    Raises
    ------
    ConfigError
        If a group has no files.
    InputError
        If a file cannot be read.
    """
    banks: list[Bank] = []
    weights: list[float] = []
    for group in groups:
        names = sorted({name for pattern in group.files for name in glob.glob(str(base / pattern))})
        if not names:
            raise ConfigError(f"no file is called {list(group.files)} in '{base}'")
        banks += [load_bank(name) for name in names]
        weights += [group.weight / len(names)] * len(names)
    return banks, np.asarray(weights)


def mixture(
    bank: Bank,
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    options: MixtureOptions,
    *,
    later: bool = False,
) -> Patch:
    """Draw a patch: noise, what contaminates it, and galaxies.

    Parameters
    ----------
    bank : Bank
        Galaxies and beam.
    shape : tuple of int
        (z, y, x) of the patch.
    rng : numpy.random.Generator
        Source of randomness.
    options : MixtureOptions
        How many galaxies, how bright.
    later : bool
        Leave making the pixels to who asks for `Patch.piece`: of the noise only a seed is drawn.

    Returns
    -------
    Patch
        In units of the local noise; its sources are all galaxies whose centre is inside.
    """
    noise = (_put_off_noise if later else _noise)(bank.beam, shape, rng, options)
    patterns = draw_contaminants(shape, bank.beam, rng, options.contaminants)
    # centres up to half a patch outside: their outskirts reach in
    reach = np.minimum(np.array(shape) // 2, 24)
    volume = float(np.prod(np.array(shape) + 2 * reach))
    count = rng.poisson(options.density * 1e-6 * volume)
    index = rng.choice(np.flatnonzero(bank.host < 0), count)
    position = rng.uniform(-reach - 0.5, np.array(shape) + reach - 0.5, (count, 3))
    brightness = _signal_to_noise(bank, index, rng, options)
    turned, reversed_ = rng.random((2, count)) < 0.5
    drawn = _Drawn(index, position, brightness, turned, reversed_).with_companions(bank)
    index, brightness = drawn.index, drawn.brightness
    seen, position = _stamps(bank, drawn, shape)
    sources = _sources(bank, index, position, brightness, np.pi * (drawn.turned ^ drawn.reversed_))
    inside = ((position >= -0.5) & (position < np.array(shape) - 0.5)).all(axis=1)
    sources = sources.take(np.flatnonzero(inside))
    if isinstance(noise, Composition):
        stamps = [_scaled(bank, stamp, int(index[k]), brightness[k]) for k, stamp in seen]
        composition = _composition(noise, patterns, stamps)
        return Patch(noise.space, bank.beam, sources, composition=composition)
    patterns.add_to(noise)
    for k, stamp in seen:
        _paste(noise, bank, stamp, int(index[k]), brightness[k])
    return Patch(noise, bank.beam, sources)


def _noise(
    beam: PixelBeam, shape: tuple[int, int, int], rng: np.random.Generator, options: MixtureOptions
) -> np.ndarray:
    """Noise as correlated as the beam, its channels not quite of unit rms and zero mean."""
    smooth = rng.random() < options.hanning
    depth = shape[0] + 2 if smooth else shape[0]
    noise = correlated_noise((depth, *shape[1:]), _beam_of_noise(beam, rng, options), rng)
    if smooth:  # weights 1/4, 1/2, 1/4 leave sqrt(3/8) of the rms
        noise = (0.25 * (noise[:-2] + noise[2:]) + 0.5 * noise[1:-1]) * np.float32((3 / 8) ** -0.5)
    gain, level = _channel_errors(shape[0], rng, options)
    noise *= gain[:, None, None]
    noise += level[:, None, None]
    return noise


def _put_off_noise(
    beam: PixelBeam, shape: tuple[int, int, int], rng: np.random.Generator, options: MixtureOptions
) -> Composition:
    """The same as `_noise` to be made later: a cube with noise only."""
    smooth, seed = bool(rng.random() < options.hanning), int(rng.integers(1 << 63))
    beam = _beam_of_noise(beam, rng, options)
    gain, level = _channel_errors(shape[0], rng, options)
    nothing = np.empty((0, shape[0]), np.float32), np.empty((0, *shape[1:]), np.float32)
    space, kernel = np.empty(shape, np.float32), noise_kernel(shape[1:], beam)
    return Composition(space, kernel, seed, smooth, gain, level, *nothing, ())


def _beam_of_noise(beam: PixelBeam, rng: np.random.Generator, options: MixtureOptions) -> PixelBeam:
    """The beam that noise is correlated by: in some patches a tenth to eight tenths as wide as the beam."""
    if not options.white or rng.random() >= options.white:
        return beam
    return beam.scaled(float(rng.integers(1, 9)) / 10)


def _channel_errors(
    depth: int, rng: np.random.Generator, options: MixtureOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Factor on the noise of each channel, and the level left in it."""
    gain, level = rng.standard_normal((2, depth), dtype=np.float32)
    return 1.0 + np.float32(options.rms_error) * gain, np.float32(options.level_error) * level


def _composition(noise: Composition, patterns: Patterns, stamps: list[Stamp]) -> Composition:
    """A cube of noise with patterns and galaxies."""
    if patterns.curves:
        curves = np.asarray(np.stack(patterns.curves) / patterns.divisor, np.float32)
        noise = noise._replace(curves=curves, planes=np.stack(patterns.planes))
    gain, level = noise.gain / patterns.divisor, noise.level / patterns.divisor
    return noise._replace(gain=gain, level=level, stamps=stamps)


def _signal_to_noise(
    bank: Bank, index: np.ndarray, rng: np.random.Generator, options: MixtureOptions
) -> np.ndarray:
    """Signal to noise of each galaxy: a power law between the limits, raised for extended ones."""
    ratio = (options.lowest_snr / options.highest_snr) ** options.slope
    power_law = options.lowest_snr * (1.0 - rng.random(len(index)) * (1.0 - ratio)) ** (-1.0 / options.slope)
    beams = np.maximum(bank.hi_size[index] / bank.beam.fwhm, 1.0)
    return np.asarray(power_law * beams**options.extended)


@dataclass(frozen=True)
class _Drawn:
    """Galaxies for a patch: rows of the bank, places, brightness; half a turn, z reversed."""

    index: np.ndarray
    position: np.ndarray
    brightness: np.ndarray
    turned: np.ndarray
    reversed_: np.ndarray

    @property
    def steps(self) -> np.ndarray:
        """Along each axis of each galaxy, 1 or -1, (n, 3)."""
        return np.where(np.stack([self.reversed_, self.turned, self.turned], axis=1), -1, 1)

    def with_companions(self, bank: Bank) -> _Drawn:
        """The same galaxies and, behind them, their companions."""
        rows = np.flatnonzero(bank.companion[self.index] >= 0)
        other = bank.companion[self.index[rows]]
        flux = self.brightness[rows] / bank.snr[self.index[rows]] * bank.share[other]
        return _Drawn(
            np.append(self.index, other),
            np.concatenate([self.position, self.position[rows] + self.steps[rows] * bank.offset[other]]),
            np.append(self.brightness, flux * bank.snr[other]),
            np.append(self.turned, self.turned[rows]),
            np.append(self.reversed_, self.reversed_[rows]),
        )


def _stamps(
    bank: Bank, drawn: _Drawn, shape: tuple[int, int, int]
) -> tuple[list[tuple[int, Stamp]], np.ndarray]:
    """What a patch sees of galaxies, by their numbers; and where those are exactly."""
    index, position, steps = drawn.index, drawn.position, drawn.steps
    extent, centre = bank.shape[index], bank.centre[index].astype(np.float64)
    centre = np.where(steps < 0, extent - 1 - centre, centre)
    corner = np.rint(position - centre).astype(int)
    low, high = np.maximum(corner, 0), np.minimum(corner + extent, shape)
    seen = []
    for k in np.flatnonzero((high > low).all(axis=1)):
        ranges = zip((low[k] - corner[k]).tolist(), (high[k] - corner[k]).tolist(), strict=True)
        z, y, x = (slice(a, b) for a, b in ranges)
        part = bank.stored(int(index[k]))[:: steps[k, 0], :: steps[k, 1], :: steps[k, 2]][z, y, x]
        seen.append((int(k), Stamp(part, 1.0, tuple(low[k].tolist()))))
    return seen, corner + centre


def _scaled(bank: Bank, stamp: Stamp, index: int, brightness: np.float64) -> Stamp:
    """A stamp of a galaxy with the factor that makes it so bright."""
    return stamp._replace(factor=float(bank.scale[index] * brightness / bank.snr[index]))


def _paste(snr: np.ndarray, bank: Bank, stamp: Stamp, index: int, brightness: np.float64) -> None:
    """Add one galaxy."""
    where = tuple(slice(a, a + n) for a, n in zip(stamp.corner, stamp.pixels.shape, strict=True))
    unit = stamp.pixels.astype(np.float32) * np.float32(bank.scale[index])
    snr[where] += np.float32(brightness / bank.snr[index]) * unit


def _sources(
    bank: Bank, index: np.ndarray, position: np.ndarray, brightness: np.ndarray, turn: np.ndarray
) -> Sources:
    """The truth of pasted galaxies; `turn` is added to their direction, radians."""
    incl, size = bank.incl[index].astype(np.float64), bank.hi_size[index].astype(np.float64)
    return Sources(
        position=position,
        flux=brightness / bank.snr[index],
        bmaj=size,
        bmin=inclined_axis(size, incl, thickness=THICKNESS),
        theta=bank.direction[index] + turn,
        peak_snr=brightness,
        w20=bank.w20[index].astype(np.float64),
        w50=bank.w50[index].astype(np.float64),
        incl=incl,
    )

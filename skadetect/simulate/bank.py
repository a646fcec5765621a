"""Banks of galaxies to train on: some hundreds, drawn once as one telescope setting shows them.

Sizes, widths and inclinations cover their ranges evenly, not as nature deals them: a network is to see
examples of all kinds. Fluxes are left to whoever pastes the galaxies into noise.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skadetect.atomic import atomic_path
from skadetect.beams import PixelBeam
from skadetect.errors import ConfigError
from skadetect.simulate.companions import draw_companion
from skadetect.simulate.discs import Cubelet, Disc, render
from skadetect.simulate.galaxies import PopulationOptions

KINDS = ("sdc2", "telescope", "coarse", "wide")
LEAST_SIZE = 0.2  # beams
_WHOLE = ("shape", "companion", "host")


@dataclass(frozen=True)
class BankOptions:
    """One setting and its galaxies.

    Attributes
    ----------
    beam : PixelBeam
        In pixels.
    channel : float
        Channel width, km/s in the rest frame of the galaxies.
    galaxies : int
        How many, companions among them; one more if the last one has a companion.
    median_beams : float
        Median HI diameter in beams; sizes spread by a factor of 2.2 up and down.
    largest, longest : float
        Largest diameter in pixels and width w20 in channels.
    log_masses : tuple of float
        Range of log10 HI masses (solar), which set the rotation.
    averaged : bool
        Pixels are block averages, as in the coarser levels of a large cube.
    companions : float
        Share of the galaxies with a companion.
    """

    beam: PixelBeam
    channel: float
    galaxies: int = 400
    median_beams: float = 1.3
    largest: float = 22.0
    longest: float = 85.0
    log_masses: tuple[float, float] = (7.8, 10.7)
    averaged: bool = False
    companions: float = 0.15

    def __post_init__(self) -> None:
        if self.channel <= 0 or self.galaxies < 1 or self.largest <= LEAST_SIZE * self.beam.fwhm:
            raise ConfigError(f"{self}: expected a channel width, a galaxy and room for it")


def random_setting(kind: str, rng: np.random.Generator, *, galaxies: int) -> BankOptions:
    """Draw a setting.

    Parameters
    ----------
    kind : {"sdc2", "telescope", "coarse", "wide"}
        About SDC2's beam and channels; those of other telescopes, beams of 2.2 to 5 pixels; the averaged
        pixels in which large galaxies are sought, beams of 0.75 to 2.2 pixels; or massive galaxies, whose
        lines span many channels.
    rng : numpy.random.Generator
        Source of randomness.
    galaxies : int
        How many, companions among them; one more if the last one has a companion.

    Raises
    ------
    ConfigError
        If the kind is unknown.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind of setting is {kind!r}, expected one of {', '.join(KINDS)}")
    if kind == "wide":
        fwhm, ratio, channel = rng.uniform(2.2, 3.2), 1 + abs(rng.normal(0, 0.1)), rng.uniform(6, 11)
    elif kind == "sdc2":
        fwhm, ratio, channel = rng.uniform(2.3, 2.8), 1 + abs(rng.normal(0, 0.03)), rng.uniform(7.5, 10)
    else:
        low, high = (2.2, 5.0) if kind == "telescope" else (0.75, 2.2)
        fwhm, channel = (math.exp(rng.uniform(math.log(a), math.log(b))) for a, b in ((low, high), (6, 20)))
        ratio = rng.uniform(1, 1.6 if kind == "telescope" else 1.3)
    beam = PixelBeam(fwhm * math.sqrt(ratio), fwhm / math.sqrt(ratio), rng.uniform(0, np.pi))
    median = {"coarse": 5.0, "wide": 1.8}.get(kind, 1.3)
    masses = (9.3, 10.9) if kind == "wide" else BankOptions.log_masses
    return BankOptions(
        beam, channel, galaxies, median_beams=median, log_masses=masses, averaged=kind == "coarse"
    )


def make_bank(path: str | os.PathLike[str], options: BankOptions, *, rng: np.random.Generator) -> None:
    """Draw a bank and write it as an .npz file.

    Parameters
    ----------
    path : path
        File to write; one that exists is replaced.
    options : BankOptions
        The setting.
    rng : numpy.random.Generator
        Source of randomness.

    Raises
    ------
    OutputError
        The file cannot be written.

    Notes
    -----
    Arrays: `pixels` (float16, all cubelets one after another, each divided by its maximum), `start`, `shape`,
    `centre` (voxels), `scale` (factor to pixels of one unit of line flux: sum over voxels = beam area),
    `hi_size` (pixels), `w20`, `w50` (channels), `direction`, `incl` (radians), `snr` (of one unit of line
    flux in noise of rms 1: sqrt(sum of squares / half the beam's area)), `companion` (row of a galaxy's
    companion, -1 for none), `host` (row of a companion's host, -1 for none), `offset` (voxels, of a companion
    from its host), `share` (its line flux over the host's), `beam` (bmaj, bmin, theta).
    """
    entries: list[tuple[np.ndarray, dict[str, object]]] = []
    while len(entries) < options.galaxies:
        entries += _draw_entries(options, rng, first=len(entries))
    pixels, rows = [flat for flat, _ in entries], [row for _, row in entries]
    beam = options.beam
    arrays = {
        name: np.array([row[name] for row in rows], np.int32 if name in _WHOLE else np.float32)
        for name in rows[0]
    }
    arrays["pixels"] = np.concatenate(pixels)
    arrays["start"] = np.cumsum([0, *map(len, pixels)])
    arrays["beam"] = np.array([beam.bmaj, beam.bmin, beam.theta])
    with atomic_path(Path(path), overwrite=True) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def draw_disc(options: BankOptions, rng: np.random.Generator) -> Disc:
    """A galaxy of a setting, with irregularities."""
    fwhm, relation = options.beam.fwhm, PopulationOptions()
    size = 0.0
    while not LEAST_SIZE * fwhm < size < options.largest:
        size = fwhm * math.exp(rng.normal(math.log(options.median_beams), 0.8))
    dex = relation.speed_slope * (rng.uniform(*options.log_masses) - 9.5)
    speed = relation.speed * 10 ** (dex + relation.speed_scatter * rng.standard_normal())
    return Disc(
        hi_size=size,
        incl=math.acos(rng.random()),
        direction=rng.uniform(-np.pi, np.pi),
        v_flat=speed / options.channel,
        dispersion=rng.uniform(7, 17) / options.channel,
        turnover=rng.uniform(0.1, 0.4),
        offset=rng.uniform(0.1, 0.5),
        spread=rng.uniform(0.28, 0.44),
        thickness=rng.uniform(0.05, 0.2),
    ).irregular(rng)


def _draw_entries(
    options: BankOptions, rng: np.random.Generator, *, first: int
) -> list[tuple[np.ndarray, dict[str, object]]]:
    """A galaxy, its row being `first`, and its companion if it has one; none if it is too large."""
    disc, companion = draw_disc(options, rng), None
    if rng.random() < options.companions:
        disc, companion = draw_companion(disc, rng)
    discs = [disc] if companion is None else [disc, companion.disc]
    cubelets = [
        render(each, options.beam, rng=rng, centre=_offset(rng), averaged=options.averaged) for each in discs
    ]
    largest = max(max(cubelet.pixels.shape[1:]) for cubelet in cubelets)
    if cubelets[0].w20 > options.longest or largest > 3 * options.largest:
        return []
    entries = [_entry(*pair, options.beam) for pair in zip(discs, cubelets, strict=True)]
    for _, row in entries:
        row |= {"companion": -1, "host": -1, "offset": (0.0, 0.0, 0.0), "share": 0.0}
    if companion is not None:
        entries[0][1]["companion"] = first + 1
        entries[1][1].update(host=first, offset=companion.offset, share=companion.share)
    return entries


def _offset(rng: np.random.Generator) -> tuple[float, float, float]:
    z, y, x = rng.uniform(-0.5, 0.5, 3)
    return z, y, x


def _entry(disc: Disc, cubelet: Cubelet, beam: PixelBeam) -> tuple[np.ndarray, dict[str, object]]:
    """Voxels and truth of one galaxy."""
    unit = cubelet.pixels * np.float32(beam.area)
    largest = float(unit.max())
    snr = math.sqrt(float(np.sum(unit.astype(np.float64) ** 2)) / max(beam.area / 2, 1.0))
    row: dict[str, object] = {"shape": unit.shape, "centre": cubelet.centre, "scale": largest, "snr": snr}
    row |= {"hi_size": disc.hi_size, "w20": cubelet.w20, "w50": cubelet.w50}
    row |= {"direction": disc.direction, "incl": disc.incl}
    return (unit / largest).astype(np.float16).ravel(), row

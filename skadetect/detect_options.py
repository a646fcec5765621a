"""How to detect: the settings of `skadetect.detect`, a configuration file and the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skadetect.errors import ConfigError

#: The model that a model name of "auto" stands for, by the number of axes of an image.
MODELS = {2: "continuum", 3: "hi"}
#: What workers are; "auto" decides by the machine.
SCHEDULERS = ("auto", "threads", "processes")
#: In how many ways an image may be looked at.
ORIENTATIONS = (1, 2, 4, 8)


@dataclass(frozen=True)
class DetectOptions:
    """How to detect.

    Attributes
    ----------
    model : str
        Name of a shipped model, or a .safetensors file; "auto" is `continuum` for images and `hi` for cubes.
    tile : int
        Side of the tiles in pixels; 0 takes the best shape that the memory allows. Results do not depend on
        it.
    workers : int
        Tiles worked on at a time, each on its share of the cores; 0 takes as many as are fastest.
    max_memory : str
        Upper limit on memory, all workers together, such as "2GB".
    threshold : float or None
        Least probability (0 to 1) that a row is real, of a model that knows none least score; the model's own
        if None.
    device : str
        "cpu", "cuda" (a GPU; with several workers each takes the next one), "cuda:1" (that GPU), "reference",
        or "auto": a GPU if there is one that can be used.
    precision : str
        Of products on a GPU: "fp16", "bf16", "tf32" or "fp32", all summed in float32. The CPU computes in
        float32.
    beam : tuple of float or None
        Beam as (bmaj, bmin, pa) in arcsec, arcsec and degrees east of north, instead of the header's.
    primary_beam : str or None
        FITS image of the primary beam, kept for formats that want corrected fluxes.
    continuum : str or None
        FITS image of the continuum under a cube: its bright pixels are blanked in all channels.
    continuum_limit : str
        Brightness a beam from which on they are, such as "3mJy"; a number alone is in Jy.
    flag_channels : str or None
        Channels of a cube to leave out, 0-based: "0-15, 200, 900-910".
    levels : int or None
        How often an image or cube is searched again at twice the pixel size, for sources larger than the
        network's own range; None goes by the model and the size of the image.
    products : str or None
        Folder for maps of an image (background, noise, sources, what they leave), or for a cubelet, moment
        maps, a spectrum and a picture of each galaxy in a cube.
    scheduler : str
        What a worker is: one of the "threads" of this process, or one of "processes", started by Dask; "auto"
        takes threads where Numba's can be shared. Workers on GPUs are processes.
    orientations : int or None
        In how many ways an image is looked at, turned and mirrored: 1, 2, 4 or 8. The mean finds and measures
        better and takes as many times as long. None is as the model is made: once, and with `hi` again in 4
        ways wherever that shows what may be a galaxy (`skadetect.second_look`). A model that knows
        probabilities, such as `hi`, knows them for that and for some of these numbers.
    blends : bool
        Fit bright sources of an image that touch together, and take apart ellipses that are two points
        (`skadetect.deblend`); else rows are as the network and their own pixels have them.
    progress : bool
        Show a progress bar.
    """

    model: str = "auto"
    tile: int = 0
    workers: int = 0
    max_memory: str = "2GB"
    threshold: float | None = None
    device: str = "auto"
    precision: str = "fp16"
    beam: tuple[float, float, float] | None = None
    primary_beam: str | None = None
    continuum: str | None = None
    continuum_limit: str = "3mJy"
    flag_channels: str | None = None
    levels: int | None = None
    products: str | None = None
    scheduler: str = "auto"
    orientations: int | None = None
    blends: bool = True
    progress: bool = False

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.0 < self.threshold < 1.0:
            raise ConfigError(f"threshold is {self.threshold}, expected a number between 0 and 1")
        if self.tile < 0 or self.workers < 0:
            raise ConfigError(f"tile is {self.tile} and workers {self.workers}, expected 0 or more")
        if self.scheduler not in SCHEDULERS:
            raise ConfigError(
                f"unknown scheduler {self.scheduler!r}, expected one of {', '.join(SCHEDULERS)}"
            )
        if self.levels is not None and self.levels < 0:
            raise ConfigError(f"levels is {self.levels}, expected 0 or more")
        if self.orientations is not None and self.orientations not in ORIENTATIONS:
            raise ConfigError(f"orientations is {self.orientations}, expected 1, 2, 4 or 8")
        parse_flux(self.continuum_limit)
        parse_channels(self.flag_channels)


def parse_flux(text: str) -> float:
    """Jy of a flux such as ``"3mJy"``, ``"0.4 uJy"`` or ``"0.003"``.

    Raises
    ------
    ConfigError
        If the text is no positive flux.
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*(|Jy|mJy|uJy)(?:/beam)?\s*", text, re.IGNORECASE)
    try:
        value = float(match.group(1)) if match else 0.0
    except ValueError:
        value = 0.0
    if match is None or not value > 0:
        raise ConfigError(f"flux {text!r}, expected a positive number with a unit, such as 3mJy or 0.003 Jy")
    return value * {"": 1.0, "jy": 1.0, "mjy": 1e-3, "ujy": 1e-6}[match.group(2).lower()]


def parse_channels(text: str | None) -> tuple[tuple[int, int], ...]:
    """First and last channel of each range of ``"0-15, 200, 900-910"``; none for None.

    Raises
    ------
    ConfigError
        If a range is not one or two rising numbers.
    """
    ranges = []
    for word in (text or "").replace(",", " ").split():
        match = re.fullmatch(r"([0-9]+)(?:[-:]([0-9]+))?", word)
        low, high = (int(match.group(1)), int(match.group(2) or match.group(1))) if match else (1, 0)
        if low > high:
            raise ConfigError(f"channels {text!r}: expected ranges from 0, such as 0-15, 200, not {word!r}")
        ranges.append((low, high))
    return tuple(ranges)

"""The files of the challenges by their official names, and whether they are what they should be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skadetect.errors import ConfigError, InputError
from skadetect.evaluate.sdc1 import TRAINING_BOX
from skadetect.fits_source import open_fits

#: What the challenge calls its bands, by frequency in MHz, and its depths in hours.
BANDS = {560: "B1", 1400: "B2", 9200: "B5"}
HOURS = (8, 100, 1000)
_SIDE = 32768


@dataclass(frozen=True)
class OfficialFile:
    """One file of a challenge.

    Attributes
    ----------
    name : str
        As it is published.
    text : str
        What it is.
    shape : tuple of int
        Of the published image, in FITS order reversed; empty for a catalogue.
    needed : bool
        Whether nothing goes without it.
    """

    name: str
    text: str
    shape: tuple[int, ...] = ()
    needed: bool = True

    @property
    def least_bytes(self) -> int:
        """Size of the pixels of an image with one block of header; 0 for a catalogue."""
        return 2880 + 2880 * math.ceil(4 * math.prod(self.shape) / 2880) if self.shape else 0


def sdc1_files(freq: int = 560, hours: int = 1000) -> dict[str, OfficialFile]:
    """Files of the first challenge by role: image, primary_beam, training and truth.

    Raises
    ------
    ConfigError
        Unknown band (MHz) or depth (hours).
    """
    if freq not in TRAINING_BOX or hours not in HOURS:
        raise ConfigError(
            f"freq is {freq} and hours {hours}, expected one of {', '.join(map(str, BANDS))} MHz and of "
            f"{', '.join(map(str, HOURS))} h"
        )
    band = BANDS[freq]
    return {
        "image": OfficialFile(f"SKAMid_{band}_{hours}h_v3.fits", "the map", (1, 1, _SIDE, _SIDE)),
        "primary_beam": OfficialFile(f"PrimaryBeam_{band}.fits", "gain of the primary beam"),
        "training": OfficialFile(f"TrainingSet_{band}_v2.txt", "sources of the training area", needed=False),
        "truth": OfficialFile(f"True_{freq}_v2.txt", "all sources; for the score alone", needed=False),
    }


def sdc2_files(training: str = "ldev") -> dict[str, OfficialFile]:
    """Files of the second challenge by role: image, continuum, training files of a set, and truth.

    Parameters
    ----------
    training : str
        "dev" (0.25 square degrees) or "ldev" (1 square degree).

    Raises
    ------
    ConfigError
        Unknown set.
    """
    sides = {"dev": 643, "ldev": 1286}
    if training not in sides:
        raise ConfigError(f"training is {training!r}, expected one of {', '.join(sides)}")
    side, channels = sides[training], 6668
    return {
        "image": OfficialFile("sky_full_v2.fits", "the cube", (channels, 5851, 5851)),
        "continuum": OfficialFile("cont_full.fits", "continuum under the cube", needed=False),
        "training_image": OfficialFile(
            f"sky_{training}_v2.fits", "cube to train and tune on", (channels, side, side), needed=False
        ),
        "training_continuum": OfficialFile(f"cont_{training}.fits", "continuum under that", needed=False),
        "training": OfficialFile(f"sky_{training}_truthcat_v2.txt", "galaxies in it", needed=False),
        "truth": OfficialFile("sky_full_truthcat_v2.txt", "all galaxies; for the score alone", needed=False),
    }


def check_files(folder: Path, files: Mapping[str, OfficialFile]) -> list[str]:
    """Say what each file in a folder is.

    Parameters
    ----------
    folder : Path
        Where they lie.
    files : mapping of str to OfficialFile
        By role.

    Returns
    -------
    list of str
        A line a file: its shape and size, and what is not as published.

    Raises
    ------
    InputError
        A needed file is absent, or one is not readable; all of them are named.
    """
    lines, problems = [], []
    for file in files.values():
        path = folder / file.name
        if not path.is_file():
            if file.needed:
                problems.append(f"{file.name} ({file.text}) is absent")
            lines.append(f"{file.name}: absent ({file.text})")
            continue
        try:
            lines.append(f"{file.name}: {_described(path, file)}")
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError(f"{folder}: {'; '.join(problems)}")
    return lines


def _described(path: Path, file: OfficialFile) -> str:
    size = f"{path.stat().st_size:,} bytes".replace(",", " ")
    if path.suffix != ".fits":
        return size
    _, pixels = open_fits(path)
    shape = pixels.array_shape
    said = f"{' x '.join(map(str, shape))} pixels, {size}"
    squeezed = [tuple(n for n in each if n > 1) for each in (shape, file.shape)]
    if file.shape and squeezed[0] != squeezed[1]:
        said += f"; the published one has {' x '.join(map(str, file.shape))}"
    if np.dtype(pixels.dtype).kind != "f":
        said += f"; pixels are {pixels.dtype}, published as float32"
    return said

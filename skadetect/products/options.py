"""What products are made, and under which names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skadetect.errors import ConfigError, OutputError
from skadetect.memory import Crew

FITS_KINDS = ("mask", "mom0", "mom1", "mom2", "spec", "cube")
MOMENTS = ("mom0", "mom1", "mom2")
CONVENTIONS = ("auto", "radio", "optical")
#: Bytes that a voxel of a window takes while its products are made: pixels, smoothed pixels, labels, masks.
VOXEL_BYTES = 32
#: Voxels that a window may have under any memory limit: 16 MB.
LEAST_VOXELS = 500_000


@dataclass(frozen=True)
class ProductOptions:
    """Which products, of how much of the cube around a galaxy.

    Attributes
    ----------
    margin : float
        Added to a galaxy's extent on each side, beams.
    margin_channels : int
        The same along the spectral axis, channels.
    moments : bool
        Write the moment maps.
    png : bool
        Draw a picture of each galaxy; needs matplotlib.
    limit : int or None
        Only this many galaxies, those of the largest line flux.
    threshold : float
        Noise levels above which voxels of the smoothed window are the galaxy's.
    velocity : {"auto", "radio", "optical"}
        Convention of moments 1 and 2; "auto" is optical for a cube linear in optical velocity, else radio.
    max_voxels : int
        A galaxy with a larger window is left out, with a warning; memory goes with it, `VOXEL_BYTES` each.
    overwrite : bool
        Replace files of other sources; those of the same source and options are kept in any case.
    workers : int
        Processes that share the galaxies.

    Raises
    ------
    ConfigError
        If a value makes no sense.
    """

    margin: float = 2.0
    margin_channels: int = 6
    moments: bool = True
    png: bool = True
    limit: int | None = None
    threshold: float = 4.0
    velocity: str = "auto"
    max_voxels: int = 50_000_000
    overwrite: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        for name, least in (("margin", 0.0), ("margin_channels", 0), ("max_voxels", 1), ("workers", 1)):
            if not getattr(self, name) >= least:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected {least} or more")
        if not self.threshold > 0:
            raise ConfigError(f"threshold is {self.threshold}, expected a number above 0")
        if self.limit is not None and self.limit < 0:
            raise ConfigError(f"limit is {self.limit}, expected 0 or more")
        if self.velocity not in CONVENTIONS:
            raise ConfigError(f"unknown velocity {self.velocity!r}, expected one of {', '.join(CONVENTIONS)}")

    @classmethod
    def for_memory(cls, max_memory: str, **settings: Any) -> ProductOptions:
        """Options whose windows keep all workers together within a memory limit such as "2GB".

        Parameters
        ----------
        max_memory : str
            Limit for all processes.
        **settings
            Any other options.
        """
        share = Crew(settings.get("workers", 1), processes=True).share(max_memory)
        return cls(**settings, max_voxels=max(int(share / VOXEL_BYTES), LEAST_VOXELS))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Products of a galaxy, in the order in which they are written; the cubelet is the last."""
        fits = tuple(kind for kind in FITS_KINDS if self.moments or kind not in MOMENTS)
        return ("png", *fits) if self.png else fits


def product_paths(
    folder: str | os.PathLike[str], image_name: str, number: int, kinds: tuple[str, ...]
) -> dict[str, Path]:
    """Where each product of a galaxy is: ``NAME_0001_mom0.fits`` and so on, ``NAME_0001.png``.

    Parameters
    ----------
    folder : path
        Of all products.
    image_name : str
        Of the cube; what follows its last point is dropped.
    number : int
        The galaxy's id in the catalogue.
    kinds : tuple of str
        Of `FITS_KINDS`, or "png".
    """
    start = f"{image_stem(image_name)}_{number:04d}"
    return {
        kind: Path(folder) / (f"{start}.png" if kind == "png" else f"{start}_{kind}.fits") for kind in kinds
    }


def image_stem(image_name: str) -> str:
    """What the names of an image's products begin with: its own, without suffixes and odd letters."""
    stem = re.sub(r"(\.fits?|\.fts)?(\.gz|\.fz)?$", "", image_name.strip(), flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", stem).strip("_") or "cube"


def made_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder, made if absent.

    Raises
    ------
    OutputError
        If it cannot be.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror or error}") from error
    return Path(folder)

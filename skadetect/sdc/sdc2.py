"""The second challenge: a cube of the 21 cm line, 950 to 1150 MHz."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.table import QTable

from skadetect.astrometry import sky_to_pixel
from skadetect.catalog.catalog import Catalog
from skadetect.catalog.sdc2 import read_sdc2, write_sdc2
from skadetect.catalog.sdc2_export import to_sdc2
from skadetect.evaluate.sdc2 import (
    BAND,
    PreparedSdc2Truth,
    Sdc2Field,
    Sdc2Match,
    Sdc2Score,
    match_sdc2,
    score_sdc2_match,
)
from skadetect.evaluate.sdc2_input import load_sdc2
from skadetect.image import Image, open_image
from skadetect.sdc.chain import Challenge
from skadetect.sdc.cutout import Window, window_of, write_cutout
from skadetect.sdc.files import OfficialFile, sdc2_files
from skadetect.sdc.prepare import Area
from skadetect.sdc.tables import Table


@dataclass(frozen=True)
class Sdc2(Challenge):
    """A state of the work on SDC2; see `Challenge` for the steps.

    Attributes
    ----------
    training : str
        Cube to train and tune on: "dev" or "ldev".
    bins : int
        Frequency bins that may have a threshold of their own.

    Examples
    --------
    >>> from skadetect.sdc import Sdc2, rehearse_sdc2
    >>> folder = rehearse_sdc2("rehearsal", shape=(512, 128, 128))   # or the folder of the official files
    >>> run = Sdc2(folder, training="dev").tune().detect()
    >>> run.submission()          # a DataFrame
    >>> run.score().score
    """

    training: str = "ldev"
    bins: int = 8

    @property
    def files(self) -> dict[str, OfficialFile]:
        """Files by role: image, continuum, training_image, training_continuum, training, truth."""
        return sdc2_files(self.training)

    def to_submission(self, table: Table) -> pd.DataFrame:
        """Rows in the nine columns; see `Challenge.to_submission`."""
        if isinstance(table, (QTable, Catalog)) and "f_sum" in table.colnames:
            return to_sdc2(table if isinstance(table, Catalog) else Catalog(table))
        return load_sdc2(table)

    def score(self, submission: Table | None = None, truth: Table | None = None) -> Sdc2Score:
        """Score the detections by the official rules; see `Sdc1.score`."""
        result: Sdc2Score = self._score(submission, truth)
        return result

    def match(self, submission: Table, truth: Any, *, area: bool = False) -> Sdc2Match:
        """Match rows to a truth around the challenge's centre, or (`area`) around that of the truth."""
        listed = truth if isinstance(truth, PreparedSdc2Truth) else self._prepared(truth, area=area)
        return match_sdc2(self.to_submission(submission), listed)

    def _prepared(self, truth: Table, *, area: bool = False) -> PreparedSdc2Truth:
        where = Sdc2Field(centre=None) if area else Sdc2Field()
        return PreparedSdc2Truth.prepare(self.to_submission(truth), where)

    def _score_match(self, match: Any) -> Sdc2Score:
        return score_sdc2_match(match)

    def _write(self, submission: pd.DataFrame, path: Path) -> None:
        write_sdc2(submission, path)

    def _area(self) -> Area | None:
        image, catalogue = self._file("training_image"), self._file("training")
        if image is None or catalogue is None:
            return None
        return Area(image, catalogue, window_of(open_image(image, beam=self.options.beam)))

    def _write_truth(self, image: Image, window: Window, folder: Path) -> int:
        """Galaxies whose centre lies in the window, and the continuum under it."""
        table = read_sdc2(self._file("training") or "", strict=False)
        x, y = sky_to_pixel(image.wcs, table["ra"].to_numpy(), table["dec"].to_numpy())
        inside = table[window.holds(np.asarray(x), np.asarray(y))]
        write_sdc2(inside, folder / "truth.txt")
        continuum = self._file("training_continuum")
        if continuum is not None:
            under = open_image(continuum, beam=3600.0 * float(image.beam.major.to_value("deg")))
            if under.shape[1:] == image.shape[1:]:
                write_cutout(under, window, folder / "continuum.fits")
        return len(inside)

    def _part_options(self, folder: Path) -> dict[str, Any]:
        path = folder / "continuum.fits"
        return {"continuum": os.fspath(path) if path.is_file() else None}

    def _full_options(self) -> dict[str, Any]:
        path = self._file("continuum")
        return {"continuum": None if path is None else os.fspath(path)}

    @property
    def _shipped(self) -> str:
        return "hi"

    @property
    def _name(self) -> str:
        return "sdc2"

    @property
    def _edges(self) -> tuple[float, ...]:
        return tuple(np.linspace(*BAND, self.bins + 1).tolist()) if self.bins > 1 else ()

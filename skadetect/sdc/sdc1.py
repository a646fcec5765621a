"""The first challenge: continuum maps in three bands and depths."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.table import QTable

from skadetect.astrometry import sky_to_pixel
from skadetect.catalog.catalog import Catalog
from skadetect.catalog.plain import plain_columns
from skadetect.catalog.sdc1 import SDC1_COLUMNS, read_sdc1, write_sdc1
from skadetect.catalog.sdc1_export import primary_beam_at, to_sdc1
from skadetect.errors import InputError
from skadetect.evaluate.limits import LimitOptions, attribute_limits
from skadetect.evaluate.sdc1 import TRAINING_BOX, PreparedTruth, Sdc1Match, Sdc1Score, match_sdc1, score_match
from skadetect.evaluate.tuning import Thresholds
from skadetect.image import Image, open_image
from skadetect.sdc.chain import Challenge
from skadetect.sdc.cutout import Window, sky_window
from skadetect.sdc.files import OfficialFile, sdc1_files
from skadetect.sdc.prepare import Area
from skadetect.sdc.steps import changed
from skadetect.sdc.tables import Confidence, Table


@dataclass(frozen=True)
class Sdc1(Challenge):
    """A state of the work on one map of SDC1; see `Challenge` for the steps.

    Attributes
    ----------
    freq : int
        Band in MHz: 560, 1400 or 9200.
    hours : int
        Depth: 8, 100 or 1000.

    Examples
    --------
    >>> from skadetect.sdc import Sdc1, rehearse_sdc1
    >>> folder = rehearse_sdc1("rehearsal", size=768)        # or the folder of the official files
    >>> run = Sdc1(folder).train(steps=200, patch=128).tune().detect()
    >>> run.submission()          # a DataFrame
    >>> run.catalog.table         # a QTable
    >>> run.score().score
    """

    freq: int = 560
    hours: int = 1000

    @property
    def files(self) -> dict[str, OfficialFile]:
        """Files by role: image, primary_beam, training, truth."""
        return sdc1_files(self.freq, self.hours)

    def to_submission(self, table: Table) -> pd.DataFrame:
        """Rows in the twelve columns, fluxes without the primary beam; see `Challenge.to_submission`."""
        if isinstance(table, (str, os.PathLike)):
            return read_sdc1(table, strict=False)
        if isinstance(table, (QTable, Catalog)) and "int_flux" in table.colnames:
            catalog = table if isinstance(table, Catalog) else Catalog(table)
            return to_sdc1(catalog, primary_beam=self._file("primary_beam"))
        frame = table if isinstance(table, pd.DataFrame) else table.to_pandas()
        missing = [name for name in SDC1_COLUMNS if name not in frame]
        if missing:
            raise InputError(f"the table lacks the columns {', '.join(missing)} of SDC1")
        return frame

    def score(self, submission: Table | None = None, truth: Table | None = None) -> Sdc1Score:
        """Score the detections by the official rules.

        Parameters
        ----------
        submission : table, optional
            To score instead of the detections.
        truth : table, optional
            Instead of the official file.

        Returns
        -------
        Sdc1Score
            That of the detections is also kept in steps.json, beside the score at the model's own threshold.
        """
        result: Sdc1Score = self._score(submission, truth)
        return result

    def candidates(self) -> pd.DataFrame:
        """All detected rows in the twelve columns, and `snr`, `score` and `kept`: for `combine_bands`.

        Nothing is corrected; `kept` says which rows reach their thresholds.
        """
        catalog, thresholds = self._found(), self.thresholds or Thresholds.single(self._own_threshold())
        rows = self.to_submission(catalog)
        known = Confidence.of(catalog, rows["id"].to_numpy())
        kept = thresholds.keep(known.score, known.prior)
        return rows.assign(snr=known.snr, score=known.score, kept=kept)

    def attributes(self, truth: Table | None = None, **changes: Any) -> pd.DataFrame:
        """Score of each attribute of the detections, beside constants and the information limit.

        Parameters
        ----------
        truth : table, optional
            Instead of the official file.
        **changes
            Fields of `skadetect.evaluate.limits.LimitOptions`.

        Returns
        -------
        DataFrame
            See `skadetect.evaluate.limits.attribute_limits`.
        """
        catalog, rows = self._found(), self.submission()
        listed = self._prepared(truth if truth is not None else self._official_truth())
        index = pd.Index(plain_columns(catalog.table, ["source_id"])["source_id"]).get_indexer(
            pd.Index(rows["id"])
        )
        noise = plain_columns(catalog.table, ["local_rms"])["local_rms"][index]
        beam = self._file("primary_beam")
        if beam is not None:
            noise = noise / primary_beam_at(beam, rows["ra_core"].to_numpy(), rows["dec_core"].to_numpy())
        options = changed(LimitOptions(beam=3600.0 * float(catalog.meta["bmaj"])), changes)
        return attribute_limits(self.match(rows, listed), listed, noise, options)

    def match(self, submission: Table, truth: Any, *, area: bool = False) -> Sdc1Match:
        """Match rows to a truth: outside of the training area, or (`area`) to any sources."""
        listed = truth if isinstance(truth, PreparedTruth) else self._prepared(truth, area=area)
        return match_sdc1(self.to_submission(submission), listed)

    def _prepared(self, truth: Table, *, area: bool = False) -> PreparedTruth:
        return PreparedTruth.prepare(self.to_submission(truth), freq=self.freq, train=None if area else False)

    def _score_match(self, match: Any) -> Sdc1Score:
        return score_match(match)

    def _write(self, submission: pd.DataFrame, path: Path) -> None:
        write_sdc1(submission, path)

    def _area(self) -> Area | None:
        image, catalogue = self._file("image"), self._file("training")
        if image is None or catalogue is None:
            return None
        box = TRAINING_BOX[self.freq]
        return Area(image, catalogue, sky_window(open_image(image, beam=self.options.beam), box))

    def _write_truth(self, image: Image, window: Window, folder: Path) -> int:
        """Sources whose core lies in the window, and the primary beam beside them."""
        table = read_sdc1(self._file("training") or "", strict=False)
        x, y = sky_to_pixel(image.wcs, table["ra_core"].to_numpy(), table["dec_core"].to_numpy())
        inside = table[window.holds(np.asarray(x), np.asarray(y))]
        write_sdc1(inside, folder / "truth.txt", header=False)
        beam = self._file("primary_beam")
        if beam is not None:
            shutil.copyfile(beam, folder / "primary_beam.fits")
        return len(inside)

    @property
    def _shipped(self) -> str:
        return "sdc1" if (self.freq, self.hours) == (560, 1000) else "continuum"

    @property
    def _name(self) -> str:
        return "sdc1"

    @property
    def _scored_as(self) -> int:
        return self.freq

"""What the two challenges share: prepare, train, tune, detect, score, submit, each usable alone.

An object is a state of the work and is never changed: each step returns a new one that knows more, and keeps
its results in the folder `out`. A step that finds its results there, made of the same input, takes them.
"""

from __future__ import annotations

import logging
import os
import shutil
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from skadetect.catalog.catalog import Catalog
from skadetect.detect import Detector
from skadetect.detect_options import DetectOptions
from skadetect.errors import ConfigError, InputError
from skadetect.evaluate.corrections import Corrections
from skadetect.evaluate.submission import validate_submission
from skadetect.evaluate.tuning import Thresholds, TuneOptions
from skadetect.image import Image, open_image
from skadetect.ledger import file_identity
from skadetect.nn.model import Model
from skadetect.sdc.cutout import Window
from skadetect.sdc.files import OfficialFile, check_files
from skadetect.sdc.finetune import FinetuneOptions, FinetuneTask, finetune
from skadetect.sdc.prepare import Area, cut_parts, map_noise, parts_key
from skadetect.sdc.steps import Steps, changed, make_folder, rounded
from skadetect.sdc.tables import Confidence, Table, strips
from skadetect.sdc.tuning import TuningField, tune_fields

logger = logging.getLogger(__name__)
Path_ = str | os.PathLike[str]

#: Parts of the tuning area, side by side, for the cross-validation of thresholds.
FOLDS = 4


@dataclass(frozen=True)
class Challenge(ABC):
    """A state of the work on a challenge.

    Attributes
    ----------
    path : path
        Folder with the official files.
    out : path or None
        Folder of the results; `path`/skadetect by default.
    model : str
        Shipped model or file to detect with.
    options : DetectOptions
        Memory, workers and so on; model, threshold and primary beam are set by the steps.
    shares : (float, float, float)
        How the training area is shared between training, validation and tuning.
    thresholds : Thresholds or None
        Least scores, from `tune` or given; None for the model's own.
    corrections : Corrections or None
        What to submit for what was measured, from `tune` or given.
    catalog : Catalog or None
        All that was detected, from `detect`.
    """

    path: Path_
    out: Path_ | None = None
    model: Path_ = "auto"
    options: DetectOptions = field(default_factory=DetectOptions)
    shares: tuple[float, float, float] = (0.7, 0.1, 0.2)
    thresholds: Thresholds | None = None
    corrections: Corrections | None = None
    catalog: Catalog | None = None

    # What a challenge has of its own ----------------------------------------------------------------------

    @property
    @abstractmethod
    def files(self) -> dict[str, OfficialFile]:
        """Files by role."""

    @abstractmethod
    def to_submission(self, table: Table) -> pd.DataFrame:
        """Rows in the challenge's columns, those that can be said in them.

        Parameters
        ----------
        table : DataFrame, QTable, Catalog or path
            A catalogue of skadetect, or a table or file that has the challenge's columns already.

        Returns
        -------
        DataFrame
            The challenge's columns; `id` is that of the catalogue's rows.
        """

    @abstractmethod
    def match(self, submission: Table, truth: Any, *, area: bool = False) -> Any:
        """Match a submission to a truth: of the scored sky, or (`area`) of a piece of the training area."""

    @abstractmethod
    def _prepared(self, truth: Table, *, area: bool = False) -> Any:
        """A truth ready to be matched to."""

    @abstractmethod
    def _score_match(self, match: Any) -> Any:
        """Sum a match up."""

    @abstractmethod
    def _write(self, submission: pd.DataFrame, path: Path) -> None:
        """Write a submission."""

    @abstractmethod
    def _area(self) -> Area | None:
        """The training area; None without its files."""

    @abstractmethod
    def _write_truth(self, image: Image, window: Window, folder: Path) -> int:
        """Write truth.txt of a window and what else belongs to a training field; how many sources it has."""

    def _part_options(self, folder: Path) -> dict[str, Any]:
        """Options of a detection on a part of the training area."""
        return {}

    def _full_options(self) -> dict[str, Any]:
        """Options of the detection on the whole."""
        return {}

    # Steps ------------------------------------------------------------------------------------------------

    def prepare(self) -> Self:
        """Check the files, map background and noise, and cut the training area into its parts.

        Raises
        ------
        InputError
            A needed file is absent or not what it should be.
        """
        for line in check_files(Path(self.path), self.files):
            logger.info(line)
        map_noise(Path(self.path) / self.files["image"].name, self.folder, beam=self.options.beam)
        self._parts()
        return self

    def train(
        self, from_model: Path_ | None = None, *, options: FinetuneOptions | None = None, **changes: Any
    ) -> Self:
        """Train on the official training catalogue and image.

        Parameters
        ----------
        from_model : str, optional
            Model whose network, losses and, unless `scratch`, weights it starts from; the challenge's own
            shipped model by default.
        options : FinetuneOptions, optional
            Steps, learning rate and so on.
        **changes
            Fields of `FinetuneOptions` by name: ``train(steps=3000)``.

        Returns
        -------
        Self
            With the trained model.

        Raises
        ------
        InputError
            There is no training catalogue.
        """
        chosen = changed(options or FinetuneOptions(), changes)
        parts = self._need_parts()
        start = from_model or self._shipped
        task = FinetuneTask(start, parts, self.folder / "train", self._scored_as)
        made = finetune(task, chosen, progress=self.options.progress)
        return replace(self, model=made, thresholds=None, corrections=None, catalog=None)

    def tune(self, *, correct: bool = True, **changes: Any) -> Self:
        """Choose thresholds and corrections on the part of the training area that no training saw.

        That is the part "tune" for a model that `train` made here, and all of the area for others.

        Parameters
        ----------
        correct : bool
            Also submit what is expected to score best for what was measured; see
            `skadetect.evaluate.corrections`. The catalogue stays as it is.
        **changes
            Fields of `skadetect.evaluate.tuning.TuneOptions`.

        Returns
        -------
        Self
            With thresholds and corrections. The scores at the model's own threshold, at the best single one
            and at those of groups, on the rows they were tuned on and on rows that they were not, are logged
            and kept in steps.json.
        """
        options = changed(TuneOptions(folds=FOLDS, edges=self._edges), changes)
        parts, steps = self._need_parts(), Steps(self.folder)
        folders = [parts["tune"]] if self._trained_here() else list(parts.values())
        model, digest = Detector(self._model_name).model_for(open_image(folders[0] / "image.fits"))
        key = [digest, asdict(options), correct, self.options.orientations]
        key.append(parts_key(self._need_area(), self.shares))
        result = steps.done("tune", key)
        if result is None:
            fields = [self._tuning_field(folder, options) for folder in folders]
            name = self._name if correct else None
            result = steps.record("tune", key, tune_fields(fields, name, model.threshold, options))
        logger.info("thresholds: %s; held out: %s", result["kind"], rounded(result["held_out"]))
        return replace(
            self,
            thresholds=Thresholds.from_dict(result["thresholds"]),
            corrections=Corrections.from_dict(result["corrections"]),
        )

    def detect(self, image: Path_ | None = None, *, lowest: float | None = None) -> Self:
        """Detect on the whole image, or another one, going on from tiles that were finished before.

        Parameters
        ----------
        image : path, optional
            Instead of the challenge's.
        lowest : float, optional
            Keep rows down to this score in the catalogue, below the thresholds.

        Returns
        -------
        Self
            With the catalogue, which is also written to catalog.fits.
        """
        source = Path(image) if image is not None else Path(self.path) / self.files["image"].name
        options = self._detect_options(self._lowest(lowest), **self._full_options())
        detector = Detector(self._model_name, options=options)
        _, digest = detector.model_for(open_image(source, beam=options.beam))
        target, steps = self.folder / "catalog.fits", Steps(self.folder)
        how = (options.threshold, options.continuum, options.levels, options.orientations)
        key = [file_identity(source), digest, *how]
        if steps.done("detect", key, needs=(target,)) is None:
            parts = make_folder(self.folder) / "catalog.parts"
            found = detector.detect(source, resume_folder=parts)
            found.write(target, overwrite=True)
            steps.record("detect", key, {"rows": len(found), "seconds": found.meta["wall_seconds"]})
            shutil.rmtree(parts, ignore_errors=True)
        return replace(self, catalog=Catalog.read(target))

    def submission(self) -> pd.DataFrame:
        """The detected rows that reach their thresholds, in the challenge's columns.

        Raises
        ------
        ConfigError
            Nothing was detected yet.
        """
        return self._kept(self._found(), self.thresholds, self.corrections)

    def _score(self, submission: Table | None, truth: Table | None) -> Any:
        """Score the detections, or another submission; see the challenges' `score`."""
        listed = self._prepared(truth if truth is not None else self._official_truth())
        rows = self.to_submission(submission) if submission is not None else self.submission()
        result = self._score_match(self.match(rows, listed))
        logger.info("score %.1f, purity %.3f", result.score, result.purity)
        if submission is not None:
            return result
        found = {"n_det": result.n_det, "purity": result.purity, "attributes": result.attributes}
        found |= {"score": result.score, "score_untuned": result.score}
        if self.thresholds is not None:
            plain = self._kept(self._found(), Thresholds.single(self._own_threshold()))
            found["score_untuned"] = self._score_match(self.match(plain, listed)).score
            logger.info("score at the model's own threshold %.1f", found["score_untuned"])
        Steps(self.folder).record("score", None, found)
        return result

    def submit(self, path: Path_ | None = None) -> Path:
        """Write the submission and check it as the official reader would read it.

        Parameters
        ----------
        path : path, optional
            submission.txt in `out` by default.

        Raises
        ------
        InputError
            The file is not valid: all problems are named.
        """
        target = Path(path) if path is not None else make_folder(self.folder) / "submission.txt"
        self._write(self.submission(), target)
        checked = validate_submission(target, challenge=self._name, freq=getattr(self, "freq", 560))
        for note in checked.notes:
            logger.info("%s: %s", target, note)
        if not checked.valid:
            raise InputError(f"{target}: {'; '.join(checked.problems)}")
        logger.info("%s: %d rows, valid", target, checked.n_rows)
        return target

    # Helpers ----------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where results are kept."""
        return Path(self.out) if self.out is not None else Path(self.path) / "skadetect"

    @property
    def _model_name(self) -> str:
        return os.fspath(self.model) if os.fspath(self.model) != "auto" else self._shipped

    @property
    @abstractmethod
    def _shipped(self) -> str:
        """Name of the shipped model."""

    @property
    @abstractmethod
    def _name(self) -> str:
        """Of the challenge."""

    @property
    def _edges(self) -> tuple[float, ...]:
        """Frequency bins of thresholds, Hz."""
        return ()

    @property
    def _scored_as(self) -> int:
        """Band by whose score a training is validated, MHz; 0 for none."""
        return 0

    def _file(self, role: str) -> Path | None:
        """A file of the challenge, if it is there."""
        path = Path(self.path) / self.files[role].name
        return path if path.is_file() else None

    def _detect_options(self, threshold: float | None, **changes: Any) -> DetectOptions:
        return replace(self.options, model=self._model_name, threshold=threshold, **changes)

    def _own_threshold(self) -> float:
        return Model.load(self._model_name).threshold

    def _lowest(self, wanted: float | None) -> float | None:
        """Least score to detect with: low enough for the thresholds and for the model's own."""
        if self.thresholds is None and wanted is None:
            return None
        tuned = 1.0 if self.thresholds is None else self.thresholds.lowest
        return min(tuned, self._own_threshold(), 1.0 if wanted is None else wanted)

    def _found(self) -> Catalog:
        if self.catalog is None:
            raise ConfigError("nothing is detected yet: call detect() first, or give a table")
        return self.catalog

    def _official_truth(self) -> Path:
        path = self._file("truth")
        if path is None:
            raise InputError(f"{Path(self.path) / self.files['truth'].name} is absent: nothing to score by")
        return path

    def _kept(
        self, catalog: Catalog, thresholds: Thresholds | None, corrections: Corrections | None = None
    ) -> pd.DataFrame:
        """Rows of a catalogue that reach their thresholds, in the challenge's columns."""
        rows, thresholds = self.to_submission(catalog), thresholds or Thresholds.single(self._own_threshold())
        known = Confidence.of(catalog, rows["id"].to_numpy())
        kept = thresholds.keep(known.score, known.prior, known.frequency)
        rows, known = rows[kept].reset_index(drop=True), known.take(kept)
        return rows if corrections is None else corrections.apply(rows, known.snr, known.size)

    def _parts(self) -> dict[str, Path]:
        """Folders of the parts of the training area; empty without training files."""
        area = self._area()
        if area is None:
            logger.info("no training catalogue: nothing to train or tune on")
            return {}
        return cut_parts(area, self.folder, self.shares, self._write_truth, beam=self.options.beam)

    def _need_parts(self) -> dict[str, Path]:
        self._need_area()
        return self._parts()

    def _need_area(self) -> Area:
        area = self._area()
        if area is None:
            name = self.files["training"].name
            raise InputError(f"{Path(self.path) / name} or its image is absent: nothing to train or tune on")
        return area

    def _trained_here(self) -> bool:
        return Path(self._model_name).parent == self.folder / "train"

    def _tuning_field(self, folder: Path, options: TuneOptions) -> TuningField:
        """Rows of a part of the training area down to a low score, and how they are matched to its truth."""
        how = self._detect_options(options.lowest, **self._part_options(folder))
        detector = Detector(self._model_name, options=how)
        found = detector.detect(folder / "image.fits", resume_folder=folder / "parts")
        rows = self.to_submission(found)
        place = rows["ra_core" if "ra_core" in rows else "ra"].to_numpy(np.float64)
        part = strips(np.mod(place + 180.0, 360.0), options.folds)
        truth = self._prepared(folder / "truth.txt", area=True)
        known = Confidence.of(found, rows["id"].to_numpy())
        return TuningField(rows, known, part, lambda table: self.match(table, truth))

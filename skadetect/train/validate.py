"""How good a model is on held-out fields: completeness, purity, average precision and the SDC1 score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from skadetect.astrometry import pixel_to_sky, theta_to_pa
from skadetect.catalog.sdc1 import read_sdc1
from skadetect.detections import Detections
from skadetect.evaluate.curves import precision_recall
from skadetect.evaluate.match import match_positions
from skadetect.evaluate.sdc1 import PreparedTruth, match_sdc1
from skadetect.evaluate.thresholds import score_curve
from skadetect.infer import infer
from skadetect.nn.backends.base import Backend
from skadetect.nn.model import Model
from skadetect.normalize import Normalization
from skadetect.parameters import decode
from skadetect.train.fields import Field, FieldFiles, FieldGroup, Observation, load_field, observe
from skadetect.train.truth import SDC1_SUFFIXES, primary_beam_at

# SDC1 asks for what this network does not predict: the most common answers.
CONSTANTS = {"core_frac": 0.0375, "size": 2, "class": 3}


@dataclass(frozen=True)
class ValidationOptions:
    """When and on what to validate.

    Attributes
    ----------
    groups : tuple of FieldGroup
        Held-out fields whose truth is SDC1 text: they give the SDC1 score and with it the threshold.
    others : tuple of FieldGroup
        Held-out fields that count in completeness, purity and average precision only.
    every : int
        Steps between validations; 0 validates at the end only.
    frequency : int
        SDC1 band, MHz: its score depends on it.
    lowest_score : float
        Detections below this objectness are not looked at.
    completeness_snr : float
        Completeness is that of sources expected to peak at this signal to noise or more.
    real_snr : float
        A detection on a source expected to peak lower is a false one.
    radius : float
        Largest distance of a detection to its source, in beams (FWHM).
    lowest_purity : float
        The threshold is the one of the highest SDC1 score among those that reach this purity.
    """

    groups: tuple[FieldGroup, ...] = ()
    others: tuple[FieldGroup, ...] = ()
    every: int = 500
    frequency: int = 560
    lowest_score: float = 0.05
    completeness_snr: float = 5.0
    real_snr: float = 2.0
    radius: float = 0.6
    lowest_purity: float = 0.0


@dataclass(frozen=True)
class Metrics:
    """Results over all validation fields at one threshold; `score` is NaN without an SDC1 truth."""

    threshold: float
    completeness: float
    purity: float
    average_precision: float
    score: float
    score_purity: float
    mean_attribute: float

    @property
    def merit(self) -> float:
        """What the best model has most of: the SDC1 score, else the average precision."""
        return self.average_precision if np.isnan(self.score) else self.score


@dataclass(frozen=True)
class HeldOut:
    """A validation field in memory; `truth` and `observation` only if it is scored as SDC1 is."""

    field: Field
    observation: Observation | None = None
    truth: PreparedTruth | None = None
    primary_beam: Path | None = None


def load_held_out(options: ValidationOptions, base: Path, *, normalization: Normalization) -> list[HeldOut]:
    """Read the validation fields.

    Raises
    ------
    ConfigError
        If a group is empty.
    InputError
        If a file cannot be read.
    """
    held = []
    for group, scored in [(g, True) for g in options.groups] + [(g, False) for g in options.others]:
        held += [_held_out(files, options, normalization, scored) for files in group.files(base)]
    return held


def validate(
    model: Model, held: Sequence[HeldOut], options: ValidationOptions, *, backend: Backend
) -> Metrics:
    """Detect on every held-out field and choose the threshold with the highest SDC1 score.

    Parameters
    ----------
    model : Model
        Any threshold; it is not used.
    held : sequence of HeldOut
        From `load_held_out`, at least one.
    options : ValidationOptions
        How to count.
    backend : Backend
        Where the network runs.

    Returns
    -------
    Metrics
        Without an SDC1 truth the threshold is where recall and precision balance best (highest F1).
    """
    folded = model.folded()
    found = [
        infer(folded, one.field.snr, one.field.beam, backend=backend, threshold=options.lowest_score)
        for one in held
    ]
    confidence, peak, wanted = _matches(found, held, options)
    bright, false = peak >= options.completeness_snr, np.isnan(peak)
    # a detection of a source below `completeness_snr` is neither a success nor a failure in this curve
    counted = bright | false
    curve = precision_recall(confidence[counted], bright[counted], wanted)
    threshold, scores = _challenge(model, found, held, options)
    if np.isnan(threshold):
        balance = curve.precision * curve.recall / np.maximum(curve.precision + curve.recall, 1e-9)
        threshold = float(curve.threshold[np.argmax(balance)]) if len(balance) else 0.5
    kept = confidence >= threshold
    purity = float(1.0 - false[kept].mean()) if kept.any() else 0.0
    completeness = float((bright & kept).sum() / max(wanted, 1))
    return Metrics(threshold, completeness, purity, curve.average_precision, *scores)


def submission(model: Model, rows: Detections, one: HeldOut) -> pd.DataFrame:
    """Detections of a held-out field as an SDC1 submission of 12 columns (degrees, Jy, arcsec)."""
    assert one.observation is not None
    image = one.observation.image
    x, y = rows.position[:, -1], rows.position[:, -2]
    physical = decode(model.parameters, rows.parameters, anchor=rows.anchor, beam_fwhm=image.pixel_beam.fwhm)
    ra, dec = pixel_to_sky(image.wcs, x, y)
    gain = np.ones(len(rows)) if one.primary_beam is None else primary_beam_at(one.primary_beam, ra, dec)
    flux = physical["int_flux"] * one.observation.rms_at(rows.position) / np.maximum(gain, 1e-3)
    sizes = np.sort(np.stack([physical["bmaj"], physical["bmin"]]), axis=0) * image.pixel_scale
    # clockwise from west, -90 - PA turned by 180 into (-90, 90]
    pa = 90.0 - theta_to_pa(image.wcs, x, y, physical["theta"])
    columns = {"id": np.arange(len(rows)), "ra_core": ra, "dec_core": dec, "ra_cent": ra, "dec_cent": dec}
    columns |= {"flux": flux, "b_maj": sizes[1], "b_min": sizes[0], "pa": pa}
    table = pd.DataFrame(columns | {name: np.full(len(rows), value) for name, value in CONSTANTS.items()})
    return table


def _held_out(
    files: FieldFiles, options: ValidationOptions, normalization: Normalization, scored: bool
) -> HeldOut:
    """Read one held-out field."""
    field = load_field(
        files.image,
        files.truth,
        primary_beam=files.primary_beam,
        normalization=normalization,
        min_snr=options.real_snr,
    )
    if not scored or files.truth.suffix.lower() not in SDC1_SUFFIXES:
        return HeldOut(field)
    truth = PreparedTruth.prepare(read_sdc1(files.truth, strict=False), freq=options.frequency, train=None)
    return HeldOut(field, observe(files.image, normalization), truth, files.primary_beam)


def _matches(
    found: Sequence[Detections], held: Sequence[HeldOut], options: ValidationOptions
) -> tuple[np.ndarray, np.ndarray, int]:
    """Score of each detection, expected peak of its source (NaN without), number of sources to be found."""
    peaks, wanted = [], 0
    for rows, one in zip(found, held, strict=True):
        radius, truth = options.radius * one.field.beam.fwhm, one.field.sources
        match = match_positions(rows.position, truth.position, radius, confidence=rows.score)
        peaks.append(np.append(truth.peak_snr, np.nan)[match.truth])
        wanted += int((truth.peak_snr >= options.completeness_snr).sum())
    return np.concatenate([rows.score for rows in found]).astype(np.float64), np.concatenate(peaks), wanted


def _challenge(
    model: Model, found: Sequence[Detections], held: Sequence[HeldOut], options: ValidationOptions
) -> tuple[float, tuple[float, float, float]]:
    """The threshold of the highest summed SDC1 score; score, purity and mean attribute score there."""
    curves = [
        score_curve(match_sdc1(submission(model, rows, one), one.truth), rows.score)
        for rows, one in zip(found, held, strict=True)
        if one.truth is not None and len(rows)
    ]
    if not curves:
        return np.nan, (np.nan, np.nan, np.nan)
    grid = np.linspace(options.lowest_score, 0.99, 95)
    total = np.zeros((4, len(grid)))
    for curve in curves:
        # thresholds fall: rows kept at a grid value are those down to the last threshold not below it
        index = np.searchsorted(-curve.threshold, -grid, side="right") - 1
        some = index >= 0
        sums = np.stack([curve.score, curve.n_det, curve.n_match, curve.mean_attribute * curve.n_match])
        total[:, some] += sums[:, index[some]]
    purity = total[2] / np.maximum(total[1], 1.0)
    # where no threshold reaches it, the purest one
    allowed = purity >= min(options.lowest_purity, float(purity.max()))
    best = int(np.argmax(np.where(allowed, total[0], -np.inf)))
    score, n_det, n_match, attributes = total[:, best]
    return float(grid[best]), (
        float(score),
        float(n_match / max(n_det, 1.0)),
        float(attributes / max(n_match, 1.0)),
    )

"""How probable rows of `continuum` are to be real, fitted on held-out fields from crowded to sparse.

A row is real if it lies on a source that is expected to peak at twice the noise or more. The fields like
SDC1's, those of other telescopes and the sparse ones count alike.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from held_out import folders

from skadetect.background import estimate_background
from skadetect.catalog.image_probability import COLUMNS, bright_density, fit_image_reliability, isolation
from skadetect.catalog.sdc1 import read_sdc1
from skadetect.catalog.sdc1_export import to_sdc1
from skadetect.detect import Detector
from skadetect.evaluate.match import match_positions
from skadetect.evaluate.sdc1 import PreparedTruth, match_sdc1
from skadetect.evaluate.thresholds import score_curve
from skadetect.image import open_image
from skadetect.nn.model import Model
from skadetect.train.fields import load_field

CROWDED = "validation"
GROUPS = (CROWDED, "telescope_calibration", "sparse_calibration")
#: Least score of a row that is looked at.
LEAST_SCORE = 0.1
#: Expected signal to noise from which on a source is real, and is to be found.
REAL_SNR, BRIGHT_SNR = 2.0, 5.0
RADIUS = 0.6  # beams that a row may be off its source
LOWEST_PURITY = 0.93  # official, of the rows that are kept in the crowded fields
FREQUENCY = 560
GRID = np.linspace(0.02, 0.98, 97)


def calibrated(model: Model, fields: Path) -> Model:
    """The model with probabilities and a threshold, for one look and for eight.

    The threshold is that of the highest SDC1 score of the crowded fields with `LOWEST_PURITY`.
    """
    one, eight = (_fitted(model, fields, looks) for looks in (1, 8))
    threshold = one.pop("threshold")
    return replace(model, threshold=threshold, metadata=model.metadata | one | {"looks": {"8": eight}})


def _fitted(model: Model, fields: Path, looks: int) -> dict[str, Any]:
    """Probabilities, threshold and how both fare, as entries of a model's metadata."""
    detector = Detector(model, threshold=LEAST_SCORE, orientations=looks)
    rows = pd.concat(
        [
            _rows(detector, folder).assign(group=group, field=folder.name)
            for group in GROUPS
            for folder in folders(fields, group)
        ],
        ignore_index=True,
    )
    seen = rows[rows["score"].notna()]
    columns = {name: seen[name].to_numpy() for name in COLUMNS}
    weight = len(seen) / len(GROUPS) / seen.groupby("group")["score"].transform("size").to_numpy()
    found = fit_image_reliability(columns, seen["real"], weight=weight, least_score=LEAST_SCORE)
    rows.loc[seen.index, "prob"] = found.probability(columns)
    known = {"reliability": found.to_dict(), "looks": {"8": {"reliability": found.to_dict()}}}
    detector = Detector(replace(model, metadata=known), threshold=float(GRID[0]), orientations=looks)
    chosen = best_threshold(detector, fields)
    threshold = chosen["threshold"]
    table = [_summary(group, each, threshold) for group, each in rows.groupby("group", sort=False)]
    print(f"{looks} looks: {found}\n{pd.DataFrame(table).to_string(index=False)}", flush=True)
    return {"reliability": found.to_dict(), "probabilities": table, **chosen}


def _rows(detector: Detector, folder: Path) -> pd.DataFrame:
    """Rows of a field and what their odds are made of; behind them sources without a row, of no score.

    `peak` is the signal to noise that the source of a row is expected to peak at.
    """
    image, catalog = open_image(folder / "image.fits"), detector.detect(folder / "image.fits")
    response = folder / "primary_beam.fits"
    field = load_field(
        folder / "image.fits",
        folder / "truth.txt",
        primary_beam=response if response.exists() else None,
        min_snr=REAL_SNR,
    )
    assert catalog.meta["resampled"] == 1.0  # the field's pixels are the catalogue's
    table, truth = catalog.to_pandas(), field.sources
    radius, confidence = RADIUS * field.beam.fwhm, table["score"].to_numpy()
    match = match_positions(table[["y", "x"]].to_numpy(), truth.position, radius, confidence=confidence)
    pixels = estimate_background(image).covered * field.snr.size
    beam = np.prod([3600.0 * catalog.meta[name] for name in ("bmaj", "bmin")])
    rows = table[["score", "snr"]].assign(
        area=table["bmaj"] * table["bmin"] / beam,
        density=bright_density(table["snr"], confidence, pixels / field.beam.area),
        sums=table["aper_flux"] / table["int_flux"],  # the network's as long as no mean is known
        distance=isolation(table[["y", "x"]], confidence >= LEAST_SCORE, pixels),
        peak=np.append(truth.peak_snr, np.nan)[match.truth],
        real=match.truth >= 0,
    )
    return pd.concat([rows, pd.DataFrame({"peak": truth.peak_snr[~match.found], "real": True})])


def best_threshold(detector: Detector, fields: Path) -> dict[str, Any]:
    """Probability from which on the rows of the crowded fields score highest, if they are as pure as that."""
    total = np.sum([_scores(detector, folder) for folder in folders(fields, CROWDED)], axis=0)
    score, n_det, n_match = total
    best = int(np.argmax(np.where(n_match >= LOWEST_PURITY * n_det, score, -np.inf)))
    reached = {"score": float(score[best]), "purity": float(n_match[best] / n_det[best])}
    reached |= {"lowest_purity": LOWEST_PURITY}
    return {"threshold": float(GRID[best]), "sdc1": reached}


def _scores(detector: Detector, folder: Path) -> np.ndarray:
    """Official score, rows and matches of a field at the probabilities of `GRID`, (3, n)."""
    catalog = detector.detect(folder / "image.fits")
    submitted = to_sdc1(catalog, primary_beam=folder / "primary_beam.fits")
    truth = PreparedTruth.prepare(read_sdc1(folder / "truth.txt", strict=False), freq=FREQUENCY, train=None)
    prob = catalog.to_pandas().set_index("source_id")["prob"].loc[submitted["id"]].to_numpy()
    curve = score_curve(match_sdc1(submitted, truth), prob)
    last = np.searchsorted(-curve.threshold, -GRID, side="right") - 1  # thresholds fall
    return np.stack([curve.score, curve.n_det, curve.n_match])[:, last] * (last >= 0)


def _summary(group: str, rows: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """How pure the rows of some fields are at a threshold, and how complete for bright sources."""
    kept, bright = rows["prob"] >= threshold, rows["peak"] >= BRIGHT_SNR
    return {
        "group": group,
        "fields": len(rows["field"].unique()),
        "rows": int(kept.sum()),
        "purity": float(rows["real"][kept].mean()),
        "expected purity": float(rows["prob"][kept].mean()),
        "completeness": float((kept & bright).sum() / bright.sum()),
    }

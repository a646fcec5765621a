"""Revise which sources a network is asked to find by what one found: the selection function's bootstrap.

Whether a source can be found is guessed from its peak over the noise at first. But noise, neighbours and the
imaging decide case by case. So after a training, a source that was found with confidence and is in the truth
becomes a target however faint, and one that was expected to be found and left no trace is none any more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skadetect.atomic import atomic_path
from skadetect.catalog.sdc1 import read_sdc1
from skadetect.catalog.sdc1_export import to_sdc1
from skadetect.detect import Detector
from skadetect.evaluate.sdc1 import PreparedTruth, match_sdc1
from skadetect.nn.model import Model
from skadetect.sdc.tables import Confidence
from skadetect.train.fields import observe
from skadetect.train.truth import attenuate, place, primary_beam_at, read_truth

#: Score down to which a detection is a trace of a source.
TRACE = 0.1


def revise_labels(model: Model, folder: Path, out: Path, *, frequency: int = 560) -> dict[str, int]:
    """Write the labels of a training field by what a model finds in it.

    Parameters
    ----------
    model : Model
        Trained on it.
    folder : Path
        With image.fits, truth.txt (SDC1) and, if there is one, primary_beam.fits.
    out : Path
        NumPy array of the truth's rows: 1, -1 or 0, see `skadetect.train.fields.relabelled`.
    frequency : int
        SDC1 band, MHz, whose rules say what a match is.

    Returns
    -------
    dict of str to int
        How many sources became targets (added) and are none any more (dropped).
    """
    beam = folder / "primary_beam.fits"
    # a network is asked for what it can see itself
    catalog = Detector(model, threshold=TRACE, blends=False).detect(folder / "image.fits")
    rows = to_sdc1(catalog, primary_beam=beam if beam.is_file() else None)
    truth = PreparedTruth.prepare(read_sdc1(folder / "truth.txt", strict=False), freq=frequency, train=None)
    match = match_sdc1(rows, truth)
    found = truth.row[match.truth[match.accepted]]
    ids = rows["id"].to_numpy()[match.row[match.accepted]]
    confident = Confidence.of(catalog.table, ids).score >= model.threshold
    peak, wanted = _expected_peaks(model, folder), _least_snr(model)
    seen, sure = np.zeros(len(peak), bool), np.zeros(len(peak), bool)
    seen[found], sure[found[confident]] = True, True
    label = np.where(sure & (peak < wanted), 1, np.where(~seen & (peak >= wanted), -1, 0)).astype(np.int8)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out, overwrite=True) as temporary, temporary.open("wb") as file:
        np.save(file, label)
    return {"added": int((label > 0).sum()), "dropped": int((label < 0).sum())}


def _expected_peaks(model: Model, folder: Path) -> np.ndarray:
    """Expected peak over the noise of each row of the truth; 0 outside of the image."""
    seen, table = observe(folder / "image.fits", model.normalization), read_truth(folder / "truth.txt")
    beam = None
    if (folder / "primary_beam.fits").is_file():
        beam = primary_beam_at(folder / "primary_beam.fits", table.ra, table.dec)
    sources = place(table, seen.image.wcs, pixel_scale=seen.image.pixel_scale)
    gain = np.ones(len(table.ra)) if beam is None else beam
    rms = seen.rms_at(sources.position)
    peak = attenuate(sources, table, gain=gain, rms=rms, beam=seen.image.pixel_beam).peak_snr
    inside = (sources.position > -0.5).all(axis=1)
    inside &= (sources.position < np.array(seen.image.shape[1:]) - 0.5).all(axis=1)
    return np.where(inside, peak, 0.0)


def _least_snr(model: Model) -> float:
    """Expected peak from which on sources were targets of the model's training."""
    stages = model.metadata.get("training") or [model.metadata]  # a shipped model lists its trainings
    options = stages[-1].get("options", {})
    return float(options.get("selection", {}).get("min_snr", 2.5))

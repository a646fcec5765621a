"""What tuning brings: thresholds and corrections of some fields, scored on others that nothing was tuned on.

Each folder is one that `skadetect simulate continuum` wrote. Prints the official score, purity and attribute
means of the fields after --test with the model as shipped, with tuned thresholds, and with corrections of
what is submitted as well; then the table of attributes beside constants and limits of the first of them.

Usage: sdc1_tuned.py TUNE... --test TEST... [--model continuum] [--orientations 8]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from skadetect.catalog.sdc1_export import primary_beam_at, to_sdc1
from skadetect.detect import Detector
from skadetect.evaluate import PreparedTruth, match_sdc1, score_match
from skadetect.evaluate.corrections import Corrections
from skadetect.evaluate.limits import attribute_limits
from skadetect.evaluate.sdc1_attributes import ATTRIBUTES
from skadetect.evaluate.tuning import Thresholds, TuneOptions
from skadetect.nn.model import Model
from skadetect.sdc.tables import Confidence, strips
from skadetect.sdc.tuning import TuningField, tune_fields

LOWEST = 0.15


def load(folder: Path, detector: Detector) -> tuple[TuningField, np.ndarray, PreparedTruth]:
    """Rows of a field down to a low score, the noise at each without the primary beam, and the truth."""
    catalog = detector.detect(folder / "image.fits")
    beam, truth = folder / "primary_beam.fits", PreparedTruth.prepare(folder / "truth.txt", train=None)
    rows = to_sdc1(catalog, primary_beam=beam)
    known = Confidence.of(catalog, rows["id"].to_numpy())
    part = strips(rows["ra_core"].to_numpy(), 4)
    noise = np.asarray(catalog["local_rms"].value)[rows["id"].to_numpy() - 1]
    noise = noise / primary_beam_at(beam, rows["ra_core"].to_numpy(), rows["dec_core"].to_numpy())
    return TuningField(rows, known, part, lambda table: match_sdc1(table, truth)), noise, truth


def kept(field: TuningField, thresholds: Thresholds, corrections: Corrections) -> tuple:
    """The rows submitted, and which they are."""
    mask = thresholds.keep(field.known.score, field.known.prior)
    rows = field.submission[mask].reset_index(drop=True)
    return corrections.apply(rows, field.known.snr[mask], field.known.size[mask]), mask


def main() -> None:
    """Tune, score and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tune", type=Path, nargs="+")
    parser.add_argument("--test", type=Path, nargs="+", required=True)
    parser.add_argument("--model", default="continuum")
    parser.add_argument("--orientations", type=int, default=1, help="ways to look at each field")
    options = parser.parse_args()
    own = Model.load(options.model).threshold
    detector = Detector(options.model, threshold=LOWEST, orientations=options.orientations)
    tuning = [load(folder, detector)[0] for folder in options.tune]
    plain, full = (
        tune_fields(tuning, name, own, TuneOptions(lowest=LOWEST, purity=0.93)) for name in (None, "sdc1")
    )
    ways = {
        "as shipped": (Thresholds.single(own), Corrections()),
        "thresholds": (Thresholds.from_dict(plain["thresholds"]), Corrections()),
        "corrections": (
            Thresholds.from_dict(full["thresholds"]),
            Corrections.from_dict(full["corrections"]),
        ),
    }
    print("gains on rows not tuned on:", {name: round(gain, 1) for name, gain in full["gains"].items()})
    tests = [load(folder, detector) for folder in options.test]
    print(f"{'':12} {'score':>9} {'purity':>7}", *(f"{name:>9}" for name in ATTRIBUTES))
    for name, how in ways.items():
        scores = [score_match(field.match(kept(field, *how)[0])) for field, _, _ in tests]
        means = [np.mean([score.attributes[one] for score in scores]) for one in ATTRIBUTES]
        score, purity = (np.mean([getattr(one, key) for one in scores]) for key in ("score", "purity"))
        print(f"{name:12} {score:9.1f} {purity:7.4f}", *(f"{mean:9.3f}" for mean in means))
    field, noise, truth = tests[0]
    rows, mask = kept(field, *ways["as shipped"])
    print(attribute_limits(field.match(rows), truth, noise[mask]).round(3).to_string())


if __name__ == "__main__":
    main()

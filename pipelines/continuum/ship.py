"""Ship the model `continuum` or `sdc1`: threshold, calibrated errors, provenance and model card.

The threshold and the errors are those that the held-out fields of make_fields.py ask for. Prints the metrics,
and leaves a picture of the pulls beside the trained model.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from card import model_card

import skadetect
from skadetect.beams import PixelBeam, convolve
from skadetect.catalog.catalog import Catalog
from skadetect.config import options_from_mapping
from skadetect.detect import Detector
from skadetect.errors import ModelError
from skadetect.evaluate.pull_figure import plot_pulls
from skadetect.evaluate.pulls import fit_calibration, pulls, residuals, summarise
from skadetect.nn.backends.select import get_backend
from skadetect.nn.model import Model
from skadetect.train.fields import FieldGroup
from skadetect.train.truth import primary_beam_at, read_truth
from skadetect.train.validate import ValidationOptions, load_held_out, validate

# Folders GROUP_SEED; the first one gives the SDC1 score
SCORED, OTHERS = "validation", "telescope_validation"
CALIBRATION = "telescope_calibration"  # more telescopes, for errors that hold for any of them
# Groups that a model is validated and calibrated on
GROUPS = {"continuum": (SCORED, OTHERS, CALIBRATION), "sdc1": (SCORED,)}
# Between -0.1 and -0.4 the SDC1 score of the validation fields changes by 0.3 %; nearer boxes are one source.
MERGE_LIMIT = -0.2
LARGEST = 15_000_000  # bytes of a model file
VALIDATION_KEYS = ("frequency", "completeness_snr", "real_snr", "radius", "lowest_purity")
STAGES = ("config.toml", "refine.toml", "revise.toml", "sdc1.toml", "sdc1_more.toml")
REVISED = 2  # stages before the first one that revised labels are for
SNR_EDGES = np.array([0.0, 5.0, 10.0, 20.0, 50.0, 1e9])
FOLDER = Path("pipelines") / "continuum"
SHIPPED = Path(skadetect.__file__).parent / "models"


def main(trained: Path, fields: Path, out: Path) -> None:
    """Make NAME.safetensors and NAME.md in the folder `out`."""
    start, model = time.perf_counter(), replace(Model.load(trained), nms_overlap=MERGE_LIMIT)
    options = validation_options(model, fields)
    held = load_held_out(options, fields, normalization=model.normalization)
    metrics = validate(model, held, options, backend=get_backend("cpu"))
    model = replace(model, threshold=metrics.threshold)
    report("metrics", asdict(metrics))
    pairs = held_out_pairs(replace(model, metadata={}), fields)
    calibration = fitted_errors(pairs)
    report("errors: factor, floor", calibration)
    plot_pulls(trained.with_name("pulls.png"), pulls(pairs, calibration), title=model.name)
    metadata = {
        "description": model.metadata["description"],
        "skadetect": skadetect.__version__,
        "commands": commands(stages := training_stages(model, trained)),
        "training": stages,
        "validation": asdict(metrics),
        "validation_options": {key: getattr(options, key) for key in VALIDATION_KEYS},
        "held_out_fields": [folder.name for group in GROUPS[model.name] for folder in folders(fields, group)],
        "error_calibration": calibration,
        "pulls": pull_table(pairs, calibration, SNR_EDGES[[0, -1]]),
        "pulls_by_snr": pull_table(pairs, calibration, SNR_EDGES),
        "bmaj_beyond_three": float((pulls(pairs, calibration)["bmaj"].abs() > 3.0).mean()),
    }
    path = replace(model, metadata=metadata).save(out / f"{model.name}.safetensors")
    size = path.stat().st_size
    if size > LARGEST:
        raise ModelError(f"{path} has {size} bytes, expected at most {LARGEST}")
    path.with_suffix(".md").write_text(model_card(Model.load(path), size), encoding="utf-8")
    print(f"{path}: {size / 1e6:.2f} MB, {time.perf_counter() - start:.0f} s")


def folders(fields: Path, group: str) -> list[Path]:
    """The fields of a group."""
    found = sorted(folder for folder in fields.glob(f"{group}_*") if (folder / "truth.txt").exists())
    if not found:
        raise SystemExit(f"{fields} holds no {group}_*: run make_fields.py {fields} validation")
    return found


def validation_options(model: Model, fields: Path) -> ValidationOptions:
    """Those of the training, for its fields wherever they are now."""
    options = options_from_mapping(ValidationOptions, model.metadata["options"]["validation"])
    found = {
        group: (FieldGroup(tuple(str(folder.resolve()) for folder in folders(fields, group))),)
        for group in GROUPS[model.name]
    }
    return replace(options, groups=found[SCORED], others=found.get(OTHERS, ()))


def held_out_pairs(model: Model, fields: Path) -> pd.DataFrame:
    """Measured minus true on all held-out fields, with a column `group`."""
    detector, parts = Detector(model), []
    for group in GROUPS[model.name]:
        for folder in folders(fields, group):
            catalog = detector.detect(folder / "image.fits")
            beam = beam_on_sky(catalog)
            parts.append(residuals(catalog, true_table(folder, beam), beam=beam).assign(group=group))
            print(f"{folder.name}: {len(catalog)} sources, {len(parts[-1])} isolated", flush=True)
    return pd.concat(parts, ignore_index=True)


def fitted_errors(pairs: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Factor and floor a column; other telescopes count as much as SDC1, by pairs that are drawn again."""
    sdc1, others = pairs[pairs["group"] == SCORED], pairs[pairs["group"] != SCORED]
    if others.empty:
        return fit_calibration(sdc1)
    others = others.sample(len(sdc1), replace=True, random_state=1)
    # seen by an elongated beam most sources have its angle, which says nothing of the error of any other
    return fit_calibration(pd.concat([sdc1, others])) | fit_calibration(
        sdc1[["snr", "pa", "e_pa", "floor_pa"]]
    )


def beam_on_sky(catalog: Catalog) -> PixelBeam:
    """The beam in arcsec, its angle from north through east."""
    bmaj, bmin, bpa = (catalog.meta[name] for name in ("bmaj", "bmin", "bpa"))
    return PixelBeam(3600.0 * bmaj, 3600.0 * bmin, float(np.radians(bpa)))


def true_table(folder: Path, beam: PixelBeam) -> pd.DataFrame:
    """The truth as a perfect catalogue would have it: fluxes apparent, sizes seen through the beam."""
    truth, response = read_truth(folder / "truth.txt"), folder / "primary_beam.fits"
    flux = truth.flux * (primary_beam_at(response, truth.ra, truth.dec) if response.exists() else 1.0)
    pa = np.radians(truth.pa)
    bmaj, bmin, angle = convolve(truth.bmaj, truth.bmin, pa, beam)
    drawn = convolve(truth.bmaj * truth.spread, truth.bmin * truth.spread, pa, beam)
    columns = {"ra": truth.ra, "dec": truth.dec, "int_flux": flux, "bmaj": bmaj, "bmin": bmin}
    peak = flux * beam.bmaj * beam.bmin / (drawn[0] * drawn[1])
    return pd.DataFrame(columns | {"pa": np.degrees(angle), "peak_flux": peak})


def pull_table(
    pairs: pd.DataFrame, calibration: Mapping[str, tuple[float, float]], edges: np.ndarray
) -> list[dict[str, Any]]:
    """Pulls of each group in bins of signal to noise, and (measured - true) / true of the fluxes."""
    table = pulls(pairs, calibration)
    table["flux"] = pairs["int_flux"] / (pairs["floor_int_flux"] - pairs["int_flux"])
    parts = [
        summarise(table[pairs["group"] == group], edges).assign(group=group)
        for group in pairs["group"].unique()
    ]
    rows = pd.concat(parts).round(3).astype(object)
    # a bin without sources has no median, and JSON knows no NaN
    return rows.where(rows.notna(), None).to_dict("records")


def training_stages(model: Model, trained: Path) -> list[dict[str, Any]]:
    """Provenance of this training and of those it started from, the first one first."""
    metadata = model.metadata
    if "training" in metadata:  # a shipped model
        return list(metadata["training"])
    keys = ("steps", "patches", "targets", "fields", "options", "validation")
    stages = [{key: metadata[key] for key in keys}]
    if initial := metadata["options"].get("initial"):
        path = trained.resolve().parent.parent / initial
        stages = training_stages(Model.load(path if path.exists() else initial), path) + stages
    return stages


def commands(stages: list[dict[str, Any]]) -> list[str]:
    """What made the weights, in order."""
    train = []
    for number, name in enumerate(STAGES[: len(stages)]):
        if name == "sdc1_more.toml":
            train.append(f"python {FOLDER / 'make_fields.py'} {FOLDER / 'fields'} more")
        if number >= REVISED:
            before = FOLDER / Path(stages[number - 1]["options"]["out"]).name / "last.safetensors"
            train.append(f"python {FOLDER / 'revise_labels.py'} {before} {FOLDER / 'fields'}")
        train.append(f"skadetect train {FOLDER / name}")
    last = FOLDER / Path(stages[-1]["options"]["out"]).name / "last.safetensors"
    make, ship = (f"python {FOLDER / name}" for name in ("make_fields.py", "ship.py"))
    return [f"{make} {FOLDER / 'fields'}", *train, f"{ship} {last} {FOLDER / 'fields'}"]


def report(title: str, values: Mapping[str, Any]) -> None:
    """Print a few numbers by name."""
    print(title)
    for name, value in values.items():
        print(f"  {name:18}", *(f"{v:.4g}" for v in np.atleast_1d(value)), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trained", type=Path, help="last.safetensors of the last training")
    parser.add_argument("fields", type=Path, help="folder that make_fields.py filled")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="where the model and its card go")
    arguments = parser.parse_args()
    main(arguments.trained, arguments.fields, arguments.out)

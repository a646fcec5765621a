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
from coarse import with_coarse
from held_out import beam_on_sky, folders, true_table
from reliability import GROUPS as PROBABLE
from reliability import calibrated
from shapes import MEASURED, fit_moments

import skadetect
from skadetect.catalog.flux_mean import FluxMean, fit_flux_mean
from skadetect.catalog.flux_scale import FluxScale
from skadetect.catalog.moment_mean import MomentMean
from skadetect.config import options_from_mapping
from skadetect.detect import Detector
from skadetect.errors import ModelError
from skadetect.evaluate.pull_figure import plot_pulls
from skadetect.evaluate.pulls import PullOptions, fit_calibration, pulls, residuals, summarise
from skadetect.nn.backends.select import get_backend
from skadetect.nn.model import Model
from skadetect.train.fields import FieldGroup
from skadetect.train.validate import ValidationOptions, load_held_out, validate

# Folders GROUP_SEED; the first one gives the SDC1 score
SCORED, OTHERS = "validation", "telescope_validation"
CALIBRATION = "telescope_calibration"  # more telescopes, for errors that hold for any of them
# Groups that a model is validated on and its errors are calibrated on
GROUPS = {"continuum": (SCORED, OTHERS, CALIBRATION), "sdc1": (SCORED,)}
# Between -0.1 and -0.4 the SDC1 score of the validation fields changes by 0.3 %; nearer boxes are one source.
MERGE_LIMIT = -0.2
LARGEST = 15_000_000  # bytes of a model file
VALIDATION_KEYS = ("frequency", "completeness_snr", "real_snr", "radius", "lowest_purity")
#: Configurations by the folders of their results.
STAGES = {
    "run": "config.toml",
    "run-refine": "refine.toml",
    "run-revised": "revise.toml",
    "run-sdc1": "sdc1.toml",
    "run-sdc1-more": "sdc1_more.toml",
}
REVISED = 2  # stages before the first one that revised labels are for
LOUD = 10.0  # signal to noise of sources by whose fluxes the means of network and pixels are fitted
SEEN = 5.0  # the same of places and shapes
SUMS = {"sum": "aper_flux", "noise_of_sum": "e_aper_flux"}
EVERY_ANGLE = PullOptions(widest_angle=float("inf"))
SNR_EDGES = np.array([0.0, 5.0, 10.0, 20.0, 50.0, 1e9])
FOLDER = Path("pipelines") / "continuum"
SHIPPED = Path(skadetect.__file__).parent / "models"


def main(trained: Path, fields: Path, out: Path) -> None:
    """Make NAME.safetensors and NAME.md in the folder `out`."""
    start, model = time.perf_counter(), replace(Model.load(trained), nms_overlap=MERGE_LIMIT)
    options = validation_options(model, fields)
    held = load_held_out(options, fields, normalization=model.normalization)
    metrics = validate(model, held, options, backend=get_backend("cpu"))
    about, stages = model.metadata["description"], training_stages(model, trained)
    model = replace(model, threshold=metrics.threshold, metadata={})
    report("metrics", asdict(metrics))
    if model.name == "continuum":
        model = calibrated(model, fields)
    moments = fitted_moments(model, fields)
    print("places and shapes", moments, flush=True)
    model = replace(model, metadata=model.metadata | {"moment_mean": moments.to_dict()})
    pairs = held_out_pairs(model, fields)
    mean = fitted_mean(pairs)
    print("fluxes", mean, flush=True)
    pairs = with_mean(pairs, mean)
    calibration = fitted_errors(pairs)
    report("errors: factor, floor", calibration)
    plot_pulls(trained.with_name("pulls.png"), pulls(pairs, calibration), title=model.name)
    metadata = model.metadata | {
        "description": about,
        "skadetect": skadetect.__version__,
        "commands": commands(stages),
        "training": stages,
        "validation": asdict(metrics),
        "validation_options": {key: getattr(options, key) for key in VALIDATION_KEYS},
        "held_out_fields": held_out(model, fields),
        "error_calibration": calibration,
        "flux_mean": mean.to_dict(),
        "pulls": pull_table(pairs, calibration, SNR_EDGES[[0, -1]]),
        "pulls_by_snr": pull_table(pairs, calibration, SNR_EDGES),
        "bmaj_beyond_three": float((pulls(pairs, calibration)["bmaj"].abs() > 3.0).mean()),
    }
    model = replace(model, metadata=metadata)
    if "reliability" in metadata:
        model = with_coarse(model, fields)
    path = model.save(out / f"{model.name}.safetensors")
    size = path.stat().st_size
    if size > LARGEST:
        raise ModelError(f"{path} has {size} bytes, expected at most {LARGEST}")
    path.with_suffix(".md").write_text(model_card(Model.load(path), size), encoding="utf-8")
    print(f"{path}: {size / 1e6:.2f} MB, {time.perf_counter() - start:.0f} s")


def held_out(model: Model, fields: Path) -> list[str]:
    """Names of the fields that a model is judged by."""
    groups = dict.fromkeys((*GROUPS[model.name], *(PROBABLE if "reliability" in model.metadata else ())))
    return [folder.name for group in groups for folder in folders(fields, group)]


def validation_options(model: Model, fields: Path) -> ValidationOptions:
    """Those of the training, for its fields wherever they are now."""
    trained = model.metadata.get("training", [model.metadata])[-1]  # a shipped model's is one of several
    options = options_from_mapping(ValidationOptions, trained["options"]["validation"])
    found = {
        group: (FieldGroup(tuple(str(folder.resolve()) for folder in folders(fields, group))),)
        for group in GROUPS[model.name]
    }
    return replace(options, groups=found[SCORED], others=found.get(OTHERS, ()))


def held_out_pairs(model: Model, fields: Path, options: PullOptions | None = None) -> pd.DataFrame:
    """Measured minus true on all held-out fields, with columns `group` and `field`, and what was measured."""
    detector, parts = Detector(model), []
    for group in GROUPS[model.name]:
        for folder in folders(fields, group):
            catalog = detector.detect(folder / "image.fits")
            beam = beam_on_sky(catalog)
            pairs = residuals(catalog, true_table(folder, beam), beam=beam, options=options)
            rows = catalog.to_pandas().set_index("source_id").loc[pairs["source_id"]].reset_index()
            pairs = pairs.assign(group=group, field=folder.name, beams=rows["bmaj_deconv"] / beam.fwhm)
            pairs = pairs.assign(beam_bmaj=beam.bmaj, beam_bmin=beam.bmin, beam_pa=np.degrees(beam.theta))
            pairs = pairs.assign(**{name: rows[column] for name, column in (MEASURED | SUMS).items()})
            true = {f"true_{name}": rows[name] - pairs[name] for name in ("bmaj", "bmin", "pa")}
            parts.append(pairs.assign(**true))
            print(f"{folder.name}: {len(catalog)} sources, {len(parts[-1])} isolated", flush=True)
    return pd.concat(parts, ignore_index=True)


def fitted_moments(model: Model, fields: Path) -> MomentMean:
    """From which signal to noise on places and shapes are the pixels' rather than the network's."""
    network, pixels = (
        held_out_pairs(
            replace(model, metadata=model.metadata | {"moment_mean": mean.to_dict()}), fields, EVERY_ANGLE
        )
        for mean in (MomentMean(), MomentMean(0.0, 0.0, 0.0))
    )
    both = network.merge(pixels, on=["field", "source_id"], suffixes=("", "_pixels"))
    found = fit_moments(balanced(both[both["snr"] >= SEEN]))
    # SDC1 scores axes by definitions of its own, which the network has learned and pixels do not know
    return found if len(GROUPS[model.name]) > 1 else replace(found, axes=float("inf"))


def fitted_mean(pairs: pd.DataFrame) -> FluxMean:
    """How well the fluxes of network and pixels are known, by sources loud enough to tell."""
    loud = balanced(pairs[(pairs["snr"] >= LOUD) & (pairs["sum"] > 0)])
    true = loud["floor_int_flux"] - loud["int_flux"]
    sums = loud["sum"], loud["noise_of_sum"]
    return fit_flux_mean(
        loud["floor_int_flux"], *sums, true, size=loud["beams"], snr=loud["snr"], scale=FluxScale()
    )


def with_mean(pairs: pd.DataFrame, mean: FluxMean) -> pd.DataFrame:
    """The same pairs as a model with that mean has them."""
    network, scale = pairs["floor_int_flux"], mean.factor(pairs["beams"], pairs["snr"])
    flux = mean.flux(network, pairs["sum"] * scale, pairs["noise_of_sum"] * scale)
    return pairs.assign(
        int_flux=flux - (network - pairs["int_flux"]),
        e_int_flux=pairs["e_int_flux"] * flux / network,
        floor_int_flux=flux,
    )


def fitted_errors(pairs: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Factor and floor a column."""
    sdc1 = pairs[pairs["group"] == SCORED]
    if len(sdc1) == len(pairs):
        return fit_calibration(sdc1)
    # seen by an elongated beam most sources have its angle, which says nothing of the error of any other
    return fit_calibration(balanced(pairs)) | fit_calibration(sdc1[["snr", "pa", "e_pa", "floor_pa"]])


def balanced(pairs: pd.DataFrame) -> pd.DataFrame:
    """Other telescopes count as much as SDC1, by pairs that are drawn again."""
    sdc1, others = pairs[pairs["group"] == SCORED], pairs[pairs["group"] != SCORED]
    if others.empty:
        return sdc1
    return pd.concat([sdc1, others.sample(len(sdc1), replace=True, random_state=1)])


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
    for number, stage in enumerate(stages):
        name = STAGES[Path(stage["options"]["out"]).name]
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

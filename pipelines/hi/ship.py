"""Ship the model `hi`: probability, threshold, calibrated errors, provenance and model card.

How probable a row is to be real is fitted on the validation cubes of make_cubes.py, and the threshold is that
of the best official score of those at SDC2's setting; a cube with more galaxies than nature counts as if it
had fewer. Errors are calibrated on all of them. Leaves a picture of the pulls beside the trained model.
"""

import argparse
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pandas as pd
from astropy.io import fits
from card import LOUD, model_card

import skadetect
from skadetect.catalog.catalog import Catalog
from skadetect.catalog.flux_mean import fit_flux_mean
from skadetect.catalog.flux_scale import fit_flux_scale
from skadetect.catalog.probability import EVIDENCE, TERMS, Reliability, fit_reliability
from skadetect.detect import Detector
from skadetect.evaluate.cube_pulls import CubePullOptions, cube_residuals
from skadetect.evaluate.pull_figure import plot_pulls
from skadetect.evaluate.pulls import fit_calibration, pulls, summarise
from skadetect.evaluate.sdc2 import PreparedSdc2Truth, Sdc2Field, Sdc2Match, match_sdc2
from skadetect.evaluate.thresholds import score_curve
from skadetect.image import open_image
from skadetect.nn.model import Model
from skadetect.pyramid import beside_brighter, octaves_beyond
from skadetect.resample import block_mean
from skadetect.second_look import AGAIN, SecondLook

NATURAL, DENSE = "sdc2", "dense"  # cubes by whose score the threshold is chosen
LEAST_SCORE = 0.15
SURE = 0.5  # probability of a row that others may be beside of
SECOND_LOOK = SecondLook(orientations=4, least=0.3)
LOWEST_PURITY = 0.94
CONTINUUM_LIMIT = 107.0  # times the noise of a channel: SDC2's 3 mJy
MERGE_LIMIT = -0.2
SNR_EDGES = np.array([0.0, 7.0, 10.0, 20.0, 50.0, 1e9])
FOLDER = Path("pipelines") / "hi"
RESULT = "run-accompanied/last.safetensors"
#: What makes the weights and the cubes that they are judged by, in order.
COMMANDS = (
    f"python {FOLDER}/make_bank.py {FOLDER}/bank --galaxies 350",
    f"python {FOLDER}/make_bank.py {FOLDER}/bank-varied --settings 120 --galaxies 250 --seed 2",
    f"python {FOLDER}/make_bank.py {FOLDER}/bank-more --settings 240 --galaxies 250 --seed 4",
    *(f"skadetect train {FOLDER}/{name}.toml" for name in ("config", "finish", "vary", "whiten", "deepen")),
    f"python {FOLDER}/average.py {FOLDER}/run-whitened/last.safetensors "
    f"{FOLDER}/run-deepened/last.safetensors {FOLDER}/run-averaged/last.safetensors",
    f"python {FOLDER}/make_bank.py {FOLDER}/bank-companions --settings 240 --galaxies 250 --seed 6",
    f"skadetect train {FOLDER}/accompany.toml",
    f"python {FOLDER}/make_cubes.py {FOLDER}/cubes validation",
)
SHIPPED = Path(skadetect.__file__).parent / "models"


@dataclass(frozen=True)
class Case:
    """A scored cube: its catalogue, the official match, and what a galaxy counts beside natural density."""

    name: str
    catalog: Catalog
    match: Sdc2Match
    share: float


def main(trained: Path, cubes: Path, out: Path) -> None:
    """Make NAME.safetensors and NAME.md in the folder `out`."""
    start, model = time.perf_counter(), Model.load(trained)
    stages = training_stages(model, trained)
    model = replace(model, nms_overlap=MERGE_LIMIT, metadata={"pyramid": True})
    scales = fluxes(detect_all(model, cubes), cubes)
    model = replace(model, metadata=model.metadata | scales)
    one = calibration_of(model, cubes, trained.with_name("pulls-one.png"))
    again = calibration_of(looking_again(model, one), cubes, trained.with_name("pulls.png"))
    metadata = {
        "pyramid": True,
        **scales,
        "description": "Galaxies in HI cubes, from unresolved ones to nearby ones of tens of beams",
        "skadetect": skadetect.__version__,
        "commands": [*COMMANDS, f"python {FOLDER / 'ship.py'} {FOLDER / RESULT} {FOLDER / 'cubes'}"],
        "training": stages,
        "looks": {AGAIN: again | {"second_look": asdict(SECOND_LOOK)}},
    }
    threshold = one.pop("threshold")
    shipped = replace(model, threshold=threshold, metadata=metadata | one)
    path = shipped.save(out / f"{model.name}.safetensors")
    path.with_suffix(".md").write_text(model_card(Model.load(path), path.stat().st_size), encoding="utf-8")
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {time.perf_counter() - start:.0f} s")


def looking_again(model: Model, one: dict[str, Any]) -> Model:
    """A model that looks again at what is plausible after one look, not calibrated for that yet."""
    own = {"threshold": LEAST_SCORE, "reliability": None, "second_look": asdict(SECOND_LOOK)}
    return replace(
        model, metadata=model.metadata | {"reliability": one["reliability"], "looks": {AGAIN: own}}
    )


def calibration_of(model: Model, cubes: Path, picture: Path) -> dict[str, Any]:
    """Threshold and metadata that hold for a model as it looks at cubes; draws the pulls."""
    found = detect_all(model, cubes)
    cases = matched(found, cubes)
    reliability = fit(cases)
    for catalog in found.values():
        catalog.table["prob"][:] = probability(reliability, catalog)
    threshold, validation = best_threshold([c for c in cases if c.name.startswith((NATURAL, DENSE))])
    print(f"threshold {threshold:.3f}:", validation)
    pairs = residuals({name: above(catalog, threshold) for name, catalog in found.items()}, cubes)
    calibration = fit_calibration(pairs)
    plot_pulls(picture, pulls(pairs, calibration), title=model.name)
    return {
        "threshold": threshold,
        "reliability": reliability.to_dict(),
        "validation": validation,
        "error_calibration": calibration,
        "pulls": pull_table(pairs, calibration),
    }


def folders(cubes: Path) -> list[Path]:
    """The validation cubes."""
    found = sorted(folder for folder in cubes.iterdir() if (folder / "truth.txt").exists())
    if not found:
        raise SystemExit(f"{cubes} holds no cubes: run make_cubes.py {cubes} validation")
    return found


def detect_all(model: Model, cubes: Path) -> dict[str, Catalog]:
    """Of each cube everything above a low score; a process a core, which one cube leaves idle at times."""
    places = folders(cubes)
    with get_context("spawn").Pool(initializer=numba.set_num_threads, initargs=(1,)) as pool:
        found = pool.imap(partial(detect, model), places)
        return {folder.name: catalog for folder, catalog in zip(places, found, strict=True)}


def detect(model: Model, folder: Path) -> Catalog:
    """Everything above a low score; pixels before bright continuum are blanked, as the benchmark does."""
    planes = np.squeeze(fits.getdata(folder / "cube.fits", memmap=True))
    thin = np.asarray(planes[:: max(len(planes) // 16, 1)], np.float32)
    limit = CONTINUUM_LIMIT * 1.4826 * float(np.median(-thin[thin < 0]))
    detector = Detector(
        replace(model, threshold=LEAST_SCORE),
        continuum=str(folder / "continuum.fits"),
        continuum_limit=f"{limit:.6g}Jy",
    )
    catalog = detector.detect(folder / "cube.fits")
    print(f"{folder.name}: {len(catalog)} candidates, {catalog.meta['wall_seconds']:.0f} s", flush=True)
    return catalog


def fluxes(found: dict[str, Catalog], cubes: Path) -> dict[str, Any]:
    """What fluxes are off by at each size, and how well they and the sums of voxels are known.

    Of galaxies loud enough for their flux to be known; as entries of a model's metadata.
    """
    pairs = residuals(found, cubes)
    pairs = pairs[(pairs["true_snr"] >= LOUD) & (pairs["flux_ratio"] > 0)].reset_index(drop=True)
    sizes = {name: beams(catalog, cubes / name) for name, catalog in found.items()}
    tables = {name: catalog.to_pandas().set_index("id") for name, catalog in found.items()}
    size = np.array([sizes[name][row - 1] for name, row in zip(pairs["cube"], pairs["id"], strict=True)])
    scale = fit_flux_scale(pairs["flux_ratio"], size)
    names = ["f_sum", "f_aper", "err_f_aper"]
    rows = [tables[name].loc[row, names] for name, row in zip(pairs["cube"], pairs["id"], strict=True)]
    network, aperture, error = np.array(rows, np.float64).T
    true = network / pairs["flux_ratio"].to_numpy()
    mean = fit_flux_mean(network * scale.factor(size), aperture, error, true, size=size, snr=pairs["snr"])
    print(f"fluxes of {len(pairs)} galaxies, median {pairs['flux_ratio'].median():.3f}:", scale, mean)
    return {"flux_scale": scale.to_dict(), "flux_mean": mean.to_dict()}


def beams(catalog: Catalog, folder: Path) -> np.ndarray:
    """Measured sizes in beams of the views that they were measured in, by id."""
    image, table = open_image(folder / "cube.fits"), catalog.to_pandas().sort_values("id")
    level = table["factor"].round().astype(int)
    views = {n: block_mean(image, n) if n > 1 else image for n in sorted(set(level))}
    beam = [views[n].pixel_beam.fwhm * views[n].pixel_scale for n in level]
    return table["hi_size"].to_numpy(np.float64) / np.array(beam)


def above(catalog: Catalog, threshold: float) -> Catalog:
    """The rows whose probability reaches a threshold."""
    return Catalog(catalog.table[np.asarray(catalog["prob"]) >= threshold])


def columns(catalog: Catalog) -> dict[str, np.ndarray]:
    """What a probability is a function of."""
    table = catalog.to_pandas()
    found = {name: table[name].to_numpy(np.float64) for name in EVIDENCE if name in table}
    factor = table["factor"].to_numpy(np.float64)
    level = np.round(np.log2(factor / catalog.meta["resampled"])).astype(int)
    side = np.maximum(table["y_max"] - table["y_min"], table["x_max"] - table["x_min"]).to_numpy() / factor
    beyond = np.where(level > 0, octaves_beyond(side, 1), octaves_beyond(side, 0))
    return found | {"beyond": beyond, "averaged": (level > 0).astype(float), "beside": np.zeros(len(table))}


def beside(catalog: Catalog, prob: np.ndarray) -> np.ndarray:
    """Whether the box of each row meets that of a brighter one which is real more likely than not."""
    table = catalog.to_pandas()
    boxes = np.stack(
        [table[[f"{axis}_{end}" for axis in "zyx"]].to_numpy() for end in ("min", "max")], axis=1
    )
    return beside_brighter(boxes, table["f_sum"].to_numpy(np.float64), prob >= SURE)


def probability(found: Reliability, catalog: Catalog) -> np.ndarray:
    """Of each row, by what it is beside, too."""
    known = columns(catalog)
    return found.probability(known | {"beside": beside(catalog, found.probability(known))})


def field(catalog: Catalog) -> Sdc2Field:
    """How a cube is scored: anywhere on the sky, at any frequency, by its own beam."""
    return Sdc2Field(band=None, centre=None, beam=3600.0 * catalog.meta["bmaj"])


def matched(found: dict[str, Catalog], cubes: Path) -> list[Case]:
    """The official matches of cubes, and how many galaxies of natural density one of theirs stands for."""
    truths = {
        name: PreparedSdc2Truth.prepare(cubes / name / "truth.txt", field(catalog))
        for name, catalog in found.items()
    }
    natural = np.mean([len(truth.row) for name, truth in truths.items() if name.startswith(NATURAL)])
    return [
        Case(
            name,
            catalog,
            match_sdc2(catalog, truths[name]),
            float(natural / len(truths[name].row)) if name.startswith(DENSE) else 1.0,
        )
        for name, catalog in found.items()
    ]


def fit(cases: list[Case]) -> Reliability:
    """How probable rows are at natural density: a cube of more galaxies has as many false rows as others.

    Of rows that share a galaxy one is real, that of the highest score. An edge cuts bright rows of nearby
    cubes, and some lie beside brighter ones: both are fitted by themselves, so that they do not change what
    is said of faint rows.
    """
    real, weight = [], []
    for case in cases:
        rows = np.zeros(len(case.catalog), bool)
        rows[first_of_each(case)] = True
        real.append(rows)
        weight.append(np.where(rows, case.share, 1.0))
    parts = [columns(case.catalog) for case in cases]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    to = partial(
        fit_reliability, joined, np.concatenate(real), weight=np.concatenate(weight), least_score=LEAST_SCORE
    )
    most = [name for name in TERMS if name not in ("cut", "beside")]
    found = to(given=to(free=most), free=("loud", "cut"))
    split = np.cumsum([len(case.catalog) for case in cases])[:-1]
    parts = zip(cases, np.split(found.probability(joined), split), strict=True)
    joined["beside"] = np.concatenate([beside(case.catalog, prob) for case, prob in parts])
    found = to(given=found, free=("beside",))
    print("probability:", found)
    return found


def first_of_each(case: Case) -> np.ndarray:
    """Rows that match a galaxy, one for each."""
    accepted = case.match.accepted
    rows, truths = case.match.row[accepted], case.match.truth[accepted]
    order = np.argsort(-np.asarray(case.catalog["score"])[rows], kind="stable")
    return rows[order][np.unique(truths[order], return_index=True)[1]]


def best_threshold(cases: list[Case]) -> tuple[float, dict[str, Any]]:
    """The threshold of the highest score of all cubes together, and what is reached there."""
    grid = np.arange(0.05, 0.985, 0.005)
    total = np.zeros((4, len(grid)))  # score, detections, matches, sum of mean attributes
    for case in cases:
        curve = score_curve(case.match, np.asarray(case.catalog["prob"], np.float64))
        false, worth = curve.n_det - curve.n_match, curve.score + curve.n_det - curve.n_match
        matches = case.share * curve.n_match
        sums = np.stack(
            [case.share * worth - false, matches + false, matches, curve.mean_attribute * matches]
        )
        index = np.searchsorted(-curve.threshold, -grid, side="right") - 1
        total[:, index >= 0] += sums[:, index[index >= 0]]
    purity = total[2] / np.maximum(total[1], 1e-9)
    allowed = purity >= min(LOWEST_PURITY, purity.max())
    best = int(np.argmax(np.where(allowed, total[0], -np.inf)))
    for k in range(0, len(grid), 6):
        print(f"  {grid[k]:.3f} score {total[0, k]:8.2f} n_det {total[1, k]:5.1f} purity {purity[k]:.3f}")
    score, n_det, n_match, worth = total[:, best]
    return float(grid[best]), {
        "score": score, "n_det": n_det, "n_match": n_match, "purity": float(purity[best]),
        "mean_attribute": worth / max(n_match, 1e-9), "lowest_purity": LOWEST_PURITY,
        "cubes": [case.name for case in cases],
    }  # fmt: skip


def residuals(found: dict[str, Catalog], cubes: Path) -> pd.DataFrame:
    """Measured minus true of all cubes, with a column `group`."""
    parts = []
    for name, catalog in found.items():
        options = CubePullOptions(beam=3600.0 * catalog.meta["bmaj"])
        pairs = cube_residuals(catalog, cubes / name / "truth.ecsv", options)
        parts.append(pairs.assign(cube=name, group=name.rpartition("_")[0]))
    return pd.concat(parts, ignore_index=True)


def pull_table(pairs: pd.DataFrame, calibration: dict[str, tuple[float, float]]) -> list[dict[str, Any]]:
    """Pulls of each group of cubes, overall and in bins of signal to noise; relative errors of the flux."""
    table = pulls(pairs, calibration)
    table["flux"] = pairs["flux_ratio"] - 1.0
    parts = [
        summarise(table[pairs["group"] == group], edges).assign(group=group)
        for edges in (SNR_EDGES[[0, -1]], SNR_EDGES)
        for group in sorted(set(pairs["group"]))
    ]
    rows = pd.concat(parts).round(3).astype(object)
    # a bin without sources has no median, and JSON knows no NaN
    return rows.where(rows.notna(), None).to_dict("records")


def training_stages(model: Model, trained: Path) -> list[dict[str, Any]]:
    """Provenance of this training and of those it started from, the first one first."""
    metadata = model.metadata
    if "training" in metadata:  # a shipped model
        return list(metadata["training"])
    stages = [{key: metadata[key] for key in ("steps", "patches", "targets", "fields", "options")}]
    if initial := metadata["options"].get("initial"):
        path = trained.resolve().parent.parent / initial
        stages = training_stages(Model.load(path if path.exists() else initial), path) + stages
    return stages


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trained", type=Path, help="last.safetensors of the last training")
    parser.add_argument("cubes", type=Path, help="folder that make_cubes.py filled with validation cubes")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="where the model and its card go")
    arguments = parser.parse_args()
    main(arguments.trained, arguments.cubes, arguments.out)

"""The choices of the shipped detector against others, YOLO-CIANNA's among them, on equal terms.

Each variant is a TOML file laid over pipelines/continuum/config.toml and ablation/common.toml. All train on
the same patches of the same fields, in the same order, with the same optimiser, steps and seed, at each of
the given learning rates; each is then validated on held-out fields at its best threshold. Results already in
OUT are kept: a run goes on where it was stopped.

Usage: ablation.py OUT --fields FIELDS/sdc1_00[1-8] --held-out FIELDS/validation_* [--steps 400]
       [--rates 2e-3 4e-3] [--seeds 1 2] [--variants shipped squared ...]
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from skadetect.config import load_toml, options_from_mapping
from skadetect.nn.backends.base import Backend
from skadetect.nn.backends.select import get_backend
from skadetect.nn.model import Model
from skadetect.train.fields import Field, FieldGroup, load_fields
from skadetect.train.loop import train_step
from skadetect.train.options import TrainOptions
from skadetect.train.sampling import PatchSampler
from skadetect.train.state import averaged, new_state
from skadetect.train.validate import HeldOut, load_held_out, validate

PIPELINE = Path(__file__).parents[2] / "pipelines" / "continuum"
VARIANTS = ("shipped", "score_parameters", "light_background", "squared", "stride8", "original")
COLUMNS = ("score", "average_precision", "score_purity", "mean_attribute", "completeness", "threshold")

HEADINGS = (
    "variant",
    "kFLOP/px",
    "rate",
    "runs",
    "score",
    "AP",
    "purity",
    "attribute",
    "compl.",
    "threshold",
)


@dataclass(frozen=True)
class Data:
    """What all variants share: training fields, their weights and the held-out fields."""

    fields: list[Field]
    weights: np.ndarray
    held: list[HeldOut]
    backend: Backend


def variant_options(name: str) -> TrainOptions:
    """The shipped configuration with the common overlay and the variant's."""
    table = load_toml(PIPELINE / "config.toml")
    for overlay in ("common", name):
        table = _laid_over(table, load_toml(PIPELINE / "ablation" / f"{overlay}.toml"))
    return options_from_mapping(TrainOptions, table, where=name)


def _laid_over(table: dict, overlay: dict) -> dict:
    """A table with the values of another in place of its own, table by table."""
    inner = {k: _laid_over(table[k], v) for k, v in overlay.items() if isinstance(v, dict) and k in table}
    return {**table, **overlay, **inner}


def read_data(fields: list[str], held_out: list[str]) -> Data:
    """Read all fields once; normalisation and selection are those of every variant."""
    options = variant_options("shipped")
    groups = (FieldGroup(folders=tuple(fields)),)
    some, weights = load_fields(
        groups, Path(), normalization=options.normalization, min_snr=0.8 * options.selection.lowest
    )
    validation = replace(options.validation, groups=(FieldGroup(folders=tuple(held_out)),), others=())
    held = load_held_out(validation, Path(), normalization=options.normalization)
    return Data(some, weights, held, get_backend("cpu"))


def train_variant(options: TrainOptions, data: Data) -> tuple[Model, float]:
    """Train from scratch; the averaged model and the mean total loss of the last tenth."""
    state, losses = new_state(options), []
    sampler = PatchSampler(data.fields, data.weights, options.sampling, seed=options.seed)
    for patches in sampler.batches(0, options.steps):
        terms, _ = train_step(state, patches, options, backend=data.backend)
        losses.append(terms.total)
    model = Model(averaged(state), options.head, options.normalization, options.specs, name=options.name)
    return model, float(np.mean(losses[-max(1, len(losses) // 10) :]))


def run(name: str, rate: float, seed: int, steps: int, data: Data) -> tuple[dict, Model]:
    """Train and validate one variant: its row of the table, and the model."""
    options = variant_options(name)
    options = replace(
        options, steps=steps, seed=seed, optimizer=replace(options.optimizer, learning_rate=rate)
    )
    begun = time.perf_counter()
    model, loss = train_variant(options, data)
    trained = time.perf_counter() - begun
    metrics = validate(model, data.held, options.validation, backend=data.backend)
    found = {"variant": name, "what": options.description, "rate": rate, "seed": seed, "steps": steps}
    arithmetic = options.network_spec.flops_per_pixel() / 1000
    rest = {"kflop": arithmetic, "loss": loss, "seconds": trained}
    return found | asdict(metrics) | rest, model


def write_table(rows: list[dict], out: Path) -> None:
    """All rows as CSV; as Markdown, and on screen, each variant at its best learning rate, seeds averaged."""
    with (out / "ablation.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    lines += [_line([row for row in rows if row["variant"] == name]) for name in VARIANTS if _has(rows, name)]
    (out / "ablation.md").write_text("\n".join(lines) + "\n")
    print(*lines, sep="\n")


def _has(rows: list[dict], name: str) -> bool:
    return any(row["variant"] == name for row in rows)


def _line(rows: list[dict]) -> str:
    """One variant at the learning rate of the highest score of the first seed."""
    first = min(row["seed"] for row in rows)
    best = max((row for row in rows if row["seed"] == first), key=lambda row: row["score"])
    same = [row for row in rows if row["rate"] == best["rate"]]
    mean = {name: float(np.mean([row[name] for row in same])) for name in COLUMNS}
    cells = [
        best["what"],
        f"{best['kflop']:.0f}",
        f"{best['rate']:g}",
        f"{len(same)}",
        f"{mean['score']:.0f}",
    ]
    return "| " + " | ".join(cells + [f"{mean[name]:.3f}" for name in COLUMNS[1:]]) + " |"


def main() -> None:
    """Run what OUT does not hold yet and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--fields", nargs="+", required=True, help="folders or patterns to train on")
    parser.add_argument("--held-out", nargs="+", required=True, help="folders or patterns to validate on")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rates", type=float, nargs="+", default=[2e-3, 4e-3])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--variants", nargs="+", default=VARIANTS, choices=VARIANTS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    data = read_data(given.fields, given.held_out)
    for seed, rate, variant in itertools.product(given.seeds, given.rates, given.variants):
        path = given.out / f"{variant}-{rate:g}-{seed}-{given.steps}.json"
        if not path.exists():
            row, model = run(variant, rate, seed, given.steps, data)
            model.save(path.with_suffix(".safetensors"))
            path.write_text(json.dumps(row))
            print(path.stem, *(f"{name} {row[name]:.4g}" for name in (*COLUMNS, "seconds")), flush=True)
    paths = sorted(given.out.glob(f"*-{given.steps}.json"))
    write_table([json.loads(path.read_text()) for path in paths], given.out)


if __name__ == "__main__":
    main()

"""``skadetect score``: a catalogue against the truth."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skadetect.errors import ConfigError

if TYPE_CHECKING:
    from skadetect.evaluate import Sdc1Score

EPILOG = """
\b
Examples:
  skadetect score submission.txt truth.txt
  skadetect score submission.txt truth.txt --freq 1400 --json
  skadetect score submission.txt truth.txt --everywhere --curves curves.png --noise 3.6e-7

A submission is what skadetect detect writes with --format sdc1.
"""


@click.command(epilog=EPILOG)
@click.argument("submission", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option(
    "--challenge", type=click.Choice(["sdc1"]), default="sdc1", help="Rules to score by. [default: sdc1]"
)
@click.option(
    "--freq",
    type=click.Choice(["560", "1400", "9200"]),
    default="560",
    help="Frequency of the map in MHz. [default: 560]",
)
@click.option(
    "--train", is_flag=True, help="Score the sources inside the training area, not those outside it."
)
@click.option("--everywhere", is_flag=True, help="Score all sources, inside and outside the training area.")
@click.option(
    "--mode",
    type=click.Choice(["core", "centroid"]),
    default="core",
    help="Positions that candidates are searched by. [default: core]",
)
@click.option(
    "--curves",
    type=click.Path(path_type=Path),
    metavar="PNG",
    help="Draw completeness and purity against signal to noise (or flux, without --noise).",
)
@click.option("--noise", type=float, metavar="JY", help="Noise of the image in Jy/beam, for --curves.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def score(submission: Path, truth: Path, **flags: Any) -> None:
    """Score the catalogue SUBMISSION against TRUTH by the rules of an SKA science data challenge."""
    from skadetect.evaluate import PreparedTruth, score_sdc1

    prepared = PreparedTruth.prepare(truth, freq=int(flags["freq"]), train=_area(flags), mode=flags["mode"])
    result = score_sdc1(submission, prepared)
    if flags["curves"] is not None:
        from skadetect.evaluate.report import write_report

        where = {name: getattr(prepared, name) for name in ("freq", "train", "mode")}
        write_report(flags["curves"], submission, truth, **where, noise=flags["noise"])
    click.echo(json.dumps(_figures(result)) if flags["as_json"] else _table(result))


def _area(flags: dict[str, Any]) -> bool | None:
    if flags["train"] and flags["everywhere"]:
        raise ConfigError("--train and --everywhere exclude each other")
    return None if flags["everywhere"] else flags["train"]


def _figures(result: Sdc1Score) -> dict[str, Any]:
    derived = {"accuracy": result.accuracy, "purity": result.purity, "mean_attribute": result.mean_attribute}
    return {**asdict(result), **derived}


def _table(result: Sdc1Score) -> str:
    rows = [
        ("score", f"{result.score:.2f}"),
        ("detections", str(result.n_det)),
        ("matches", str(result.n_match)),
        ("false", f"{result.n_false} ({result.n_bad} matched badly)"),
        ("truths", str(result.n_truth)),
        ("purity", f"{result.purity:.4f}"),
        ("mean attribute", f"{result.mean_attribute:.4f}"),
        *((f"  {name}", f"{value:.4f}") for name, value in result.attributes.items()),
    ]
    return "\n".join(f"{name:15} {value}" for name, value in rows)

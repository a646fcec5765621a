"""``skadetect score``: a catalogue against the truth."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from skadetect.errors import ConfigError

if TYPE_CHECKING:
    from skadetect.evaluate import Sdc1Score, Sdc2Score

EPILOG = """
\b
Examples:
  skadetect score submission.txt truth.txt
  skadetect score submission.txt truth.txt --freq 1400 --json
  skadetect score submission.txt truth.txt --everywhere --curves curves.png --noise 3.6e-7
  skadetect score cat.fits truth.txt --challenge sdc2
  skadetect score cat.fits truth.txt --challenge sdc2 --everywhere --beam 30 --centre 50.2 -27.9

A submission is what skadetect detect writes with --format sdc1 or sdc2; for sdc2 its FITS, VOTable or ECSV
catalogue of a cube will do.
"""
_ONLY = {"sdc1": ("freq", "train", "mode", "noise"), "sdc2": ("centre", "beam")}


@click.command(epilog=EPILOG)
@click.argument("submission", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option(
    "--challenge",
    type=click.Choice(["sdc1", "sdc2"]),
    default="sdc1",
    help="Rules to score by: of images (sdc1) or of HI cubes (sdc2). [default: sdc1]",
)
@click.option(
    "--freq",
    type=click.Choice(["560", "1400", "9200"]),
    default="560",
    help="sdc1: frequency of the map in MHz. [default: 560]",
)
@click.option(
    "--train", is_flag=True, help="sdc1: score the sources inside the training area, not those outside it."
)
@click.option(
    "--everywhere",
    is_flag=True,
    help="Score all sources, inside and outside the training area (sdc1) or 950 to 1150 MHz (sdc2): for "
    "cubes other than the challenge's.",
)
@click.option(
    "--mode",
    type=click.Choice(["core", "centroid"]),
    default="core",
    help="sdc1: positions that candidates are searched by. [default: core]",
)
@click.option(
    "--centre",
    type=(float, float),
    metavar="RA DEC",
    help="sdc2: centre of the field in degrees. [default: 180 -30; the middle of TRUTH with --everywhere]",
)
@click.option(
    "--beam", type=float, default=7.0, metavar="ARCSEC", help="sdc2: FWHM of the beam. [default: 7]"
)
@click.option(
    "--curves",
    type=click.Path(path_type=Path),
    metavar="PNG",
    help="Draw completeness and purity against signal to noise (or flux, where it is not known).",
)
@click.option("--noise", type=float, metavar="JY", help="sdc1: noise of the image in Jy/beam, for --curves.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.pass_context
def score(context: click.Context, submission: Path, truth: Path, **flags: Any) -> None:
    """Score the catalogue SUBMISSION against TRUTH by the rules of an SKA science data challenge."""
    challenge = flags["challenge"]
    for other in (name for known, names in _ONLY.items() if known != challenge for name in names):
        if context.get_parameter_source(other) is ParameterSource.COMMANDLINE:
            raise ConfigError(f"--{other} does not go with --challenge {challenge}")
    result = (_score_sdc1 if challenge == "sdc1" else _score_sdc2)(submission, truth, flags)
    click.echo(json.dumps(_figures(result)) if flags["as_json"] else _table(result))


def _score_sdc1(submission: Path, truth: Path, flags: dict[str, Any]) -> Sdc1Score:
    from skadetect.evaluate import PreparedTruth, score_sdc1

    prepared = PreparedTruth.prepare(truth, freq=int(flags["freq"]), train=_area(flags), mode=flags["mode"])
    result = score_sdc1(submission, prepared)
    if flags["curves"] is not None:
        from skadetect.evaluate.report import write_report

        where = {name: getattr(prepared, name) for name in ("freq", "train", "mode")}
        write_report(flags["curves"], submission, truth, **where, noise=flags["noise"])
    return result


def _score_sdc2(submission: Path, truth: Path, flags: dict[str, Any]) -> Sdc2Score:
    from skadetect.evaluate import Sdc2Field, score_sdc2
    from skadetect.evaluate.sdc2_input import load_sdc2

    where = {"band": None, "centre": None} if flags["everywhere"] else {}
    if flags["centre"] is not None:
        where["centre"] = flags["centre"]
    field = Sdc2Field(**where, beam=flags["beam"])
    tables = load_sdc2(submission), load_sdc2(truth)
    result = score_sdc2(*tables, **asdict(field))
    if flags["curves"] is not None:
        from skadetect.evaluate.report import write_sdc2_report

        write_sdc2_report(flags["curves"], *tables, field=field)
    return result


def _area(flags: dict[str, Any]) -> bool | None:
    if flags["train"] and flags["everywhere"]:
        raise ConfigError("--train and --everywhere exclude each other")
    return None if flags["everywhere"] else flags["train"]


def _figures(result: Sdc1Score | Sdc2Score) -> dict[str, Any]:
    derived = {"accuracy": result.accuracy, "purity": result.purity, "mean_attribute": result.mean_attribute}
    return {**asdict(result), **derived}


def _table(result: Sdc1Score | Sdc2Score) -> str:
    duplicates = getattr(result, "n_duplicates", None)
    rows = [
        ("score", f"{result.score:.2f}"),
        ("detections", str(result.n_det)),
        ("matches", str(result.n_match)),
        ("false", f"{result.n_false} ({result.n_bad} matched badly)"),
        *([] if duplicates is None else [("duplicates", str(duplicates))]),
        ("truths", str(result.n_truth)),
        ("purity", f"{result.purity:.4f}"),
        ("mean attribute", f"{result.mean_attribute:.4f}"),
        *((f"  {name}", f"{value:.4f}") for name, value in result.attributes.items()),
    ]
    return "\n".join(f"{name:15} {value}" for name, value in rows)

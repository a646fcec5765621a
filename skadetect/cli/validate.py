"""``skadetect validate``: can this file be submitted?"""

from __future__ import annotations

import json
from pathlib import Path

import click

EPILOG = """
\b
Examples:
  skadetect validate submission.txt
  skadetect validate submission.txt --challenge sdc1 --freq 1400
  skadetect validate *.txt --json

Says all that is wrong with a file, a line each, and ends with exit code 1 if anything is.
"""


@click.command(epilog=EPILOG)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--challenge",
    type=click.Choice(["auto", "sdc1", "sdc2"]),
    default="auto",
    help="Whose rules; auto goes by the first line. [default: auto]",
)
@click.option(
    "--freq",
    type=click.Choice(["560", "1400", "9200"]),
    default="560",
    help="sdc1: frequency of the map in MHz. [default: 560]",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def validate(ctx: click.Context, files: tuple[Path, ...], challenge: str, freq: str, as_json: bool) -> None:
    """Check whether each FILE can be submitted to an SKA science data challenge as it is."""
    from skadetect.evaluate.submission import validate_submission

    found = [validate_submission(path, challenge=challenge, freq=int(freq)) for path in files]
    if as_json:
        rows = [
            {**vars(one), "path": str(one.path), "valid": one.valid, "problems": list(one.problems)}
            for one in found
        ]
        click.echo(json.dumps(rows))
    else:
        for one in found:
            said = f"valid, {one.n_rows} rows" if one.valid else f"{len(one.problems)} problems"
            click.echo(f"{one.path}: {one.challenge}: {said}")
            for problem in one.problems:
                click.echo(f"  problem: {problem}")
            for note in one.notes:
                click.echo(f"  note: {note}")
    if not all(one.valid for one in found):
        ctx.exit(1)

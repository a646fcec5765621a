"""``skadetect simulate``: images with known sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from skadetect.cli.options import dataclass_flags, merge_options
from skadetect.cli.paths import check_output
from skadetect.simulate import ContinuumOptions

EPILOG = """
\b
Examples:
  skadetect simulate continuum --size 2048 --seed 1 --out field/
  skadetect simulate continuum --out field/ --config field.toml

Writes image.fits, primary_beam.fits and truth.txt (the columns of the SDC1 truth catalogue).
"""


@click.group()
def simulate() -> None:
    """Make images whose sources are known, to train on, to test with and to measure completeness."""


@simulate.command(epilog=EPILOG)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Folder for the results."
)
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="TOML", help="File with any of these settings."
)
@click.option("--overwrite", is_flag=True, help="Replace a field that is in DIR already.")
@dataclass_flags(ContinuumOptions)
def continuum(out: Path, config: Path | None, overwrite: bool, **flags: Any) -> None:
    """Simulate a radio continuum field: galaxies, beam, primary beam, noise and artefacts."""
    from skadetect.simulate import simulate_continuum

    options = merge_options(ContinuumOptions, config, flags)
    check_output(out / "image.fits", overwrite=overwrite)
    simulate_continuum(out, options=options)
    click.echo(f"field written to {out}", err=True)

"""``skadetect simulate``: images and cubes with known sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from skadetect.cli.options import dataclass_flags, merge_options
from skadetect.cli.paths import check_output
from skadetect.simulate import ContinuumOptions, HiOptions

CONTINUUM_EPILOG = """
\b
Examples:
  skadetect simulate continuum --size 2048 --seed 1 --out field/
  skadetect simulate continuum --out field/ --config field.toml

Writes image.fits, primary_beam.fits and truth.txt (the columns of the SDC1 truth catalogue).
"""
HI_EPILOG = """
\b
Examples:
  skadetect simulate hi --shape 1024 256 256 --seed 1 --out cube/
  skadetect simulate hi --setting nearby --shape 384 192 192 --seed 2 --out cube/
  skadetect simulate hi --out cube/ --config cube.toml

Writes cube.fits, continuum.fits, truth.txt (the columns of the SDC2 truth catalogue) and truth.ecsv (more).
"""

_out = click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Folder for the results."
)
_config = click.option(
    "--config", type=click.Path(path_type=Path), metavar="TOML", help="File with any of these settings."
)


@click.group()
def simulate() -> None:
    """Make images and cubes whose sources are known, to train on, to test with and to measure with."""


@simulate.command(epilog=CONTINUUM_EPILOG)
@_out
@_config
@click.option("--overwrite", is_flag=True, help="Replace a field that is in DIR already.")
@dataclass_flags(ContinuumOptions)
def continuum(out: Path, config: Path | None, overwrite: bool, **flags: Any) -> None:
    """Simulate a radio continuum field: galaxies, beam, primary beam, noise and artefacts."""
    from skadetect.simulate import simulate_continuum

    options = merge_options(ContinuumOptions, config, flags)
    check_output(out / "image.fits", overwrite=overwrite)
    simulate_continuum(out, options=options)
    click.echo(f"field written to {out}", err=True)


@simulate.command(epilog=HI_EPILOG)
@_out
@_config
@click.option("--overwrite", is_flag=True, help="Replace a cube that is in DIR already.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@dataclass_flags(HiOptions)
@click.pass_context
def hi(
    ctx: click.Context, out: Path, config: Path | None, overwrite: bool, quiet: bool, **flags: Any
) -> None:
    """Simulate an HI cube: rotating galaxies, beam, noise, interference and continuum residuals."""
    from skadetect.simulate import simulate_hi

    options = merge_options(HiOptions, config, flags)
    check_output(out / "cube.fits", overwrite=overwrite)
    simulate_hi(out, options=options, progress=not (quiet or ctx.obj["quiet"]))
    click.echo(f"cube written to {out}", err=True)

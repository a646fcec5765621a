"""``skadetect plan``: what a detection will take, before it is started."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skadetect.cli.options import device_flags, merge_options, parse_beam, quick_imports

if TYPE_CHECKING:
    from skadetect.plan import Plan

EPILOG = """
\b
Examples:
  skadetect plan image.fits
  skadetect plan sky_full_v2.fits --max-memory 16GB --disk 300MB
  skadetect plan cube.fits --workers 8 --json

Only the header is read; how fast this machine is comes from a trial of some seconds on made-up pixels.
"""


@click.command(epilog=EPILOG)
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--model", help="Model as for detect. [default: by the image]")
@click.option("--beam", metavar='"BMAJ BMIN BPA"', help="Beam, where the header has none.")
@click.option("--levels", type=click.IntRange(min=0), help="Coarser searches, as for detect.")
@click.option("--orientations", type=int, help="Ways to look at the image, as for detect.")
@click.option("--tile", type=int, help="Side of the tiles in pixels. [default: automatic]")
@click.option("--workers", type=int, help="Tiles worked on at a time. [default: as many as are fastest]")
@click.option("--max-memory", metavar="SIZE", help="Memory to stay within. [default: 2GB]")
@device_flags
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="TOML", help="File with settings of detect."
)
@click.option("--disk", default="1GB", metavar="SIZE", help="What the disk reads in a second. [default: 1GB]")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Where the catalogue will be: views of a cube on averaged pixels are kept there, if there is room. "
    "[default: here]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def plan(image: Path, config: Path | None, disk: str, folder: Path, as_json: bool, **flags: Any) -> None:
    """Estimate tiles, memory and time of `skadetect detect IMAGE` without reading its pixels."""
    flags["beam"] = parse_beam(flags["beam"])
    with quick_imports():  # Numba and Astropy take a second: not for --help
        from skadetect.detect import DetectOptions
        from skadetect.plan import plan as make_plan

    made = make_plan(image, options=merge_options(DetectOptions, config, flags), disk=disk, folder=folder)
    figures = {**asdict(made), "n_tiles": made.n_tiles, "seconds": made.seconds}
    click.echo(json.dumps(figures) if as_json else _text(made))


def _text(plan: Plan) -> str:
    """The plan for people."""
    size, most = 4 * math.prod(plan.file_shape), max(level.workers for level in plan.levels)
    lines = [
        f"{plan.name}: {_shape(plan.file_shape)} pixels, {size / 1e9:.3g} GB as float32; model {plan.model}",
        f"{'search on':>22} {'tile':>18} {'tiles':>8} {'background':>12} {'network':>12} "
        f"{'second look':>12} {'reading':>12}",
    ]
    for level in plan.levels:
        network = (level.background_seconds, level.tile_seconds, level.again_seconds)
        times = " ".join(f"{_duration(seconds):>12}" for seconds in (*network, level.reading_seconds))
        lines.append(f"{_shape(level.shape):>22} {_shape(level.tile_shape):>18} {level.n_tiles:8} {times}")
    lines += [
        f"time    {_duration(plan.seconds)}, of which {_duration(plan.catalog_seconds)} for the catalogue",
        f"memory  {plan.memory / 1e9:.2f} GB of {plan.max_memory / 1e9:.2f} GB",
        *([f"disk    {plan.disk / 1e9:.3g} GB beside the catalogue, while it runs"] if plan.disk else []),
        f"tiles   {plan.n_tiles}, {most} at a time; a stopped run goes on with those that are missing",
    ]
    return "\n".join(lines)


def _shape(shape: tuple[int, ...]) -> str:
    kept = shape[1:] if shape[0] == 1 else shape
    return " x ".join(map(str, kept))


def _duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

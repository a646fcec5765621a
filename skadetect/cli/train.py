"""``skadetect train``: a network from images and catalogues."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """
\b
Examples:
  skadetect train pipelines/continuum/config.toml
  skadetect train config.toml --restart

A run that was stopped goes on from its last checkpoint, and ends with the weights it would have had.
"""


@click.command(epilog=EPILOG)
@click.argument("config", type=click.Path(path_type=Path), metavar="CONFIG.toml")
@click.option("--restart", is_flag=True, help="Start anew even if there is a checkpoint to go on from.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def train(ctx: click.Context, config: Path, restart: bool, quiet: bool) -> None:
    """Train a network as CONFIG.toml says.

    The file names pairs of an image and its true catalogue, the network, the losses and the schedule;
    pipelines/continuum/ holds the one that made the shipped model.
    """
    from skadetect.train.loop import train as train_model

    train_model(config, resume=not restart, progress=not (quiet or ctx.obj["quiet"]))

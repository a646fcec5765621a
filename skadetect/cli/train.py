"""``skadetect train``: a network from images and catalogues."""

from __future__ import annotations

from pathlib import Path

import click

from skadetect.cli.compiling import show_compiling

EPILOG = """
\b
Examples:
  skadetect train pipelines/continuum/config.toml
  skadetect train config.toml --restart
  skadetect train --template > config.toml

A run that was stopped goes on from its last checkpoint, and ends with the weights it would have had.
"""


def _print_template(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from skadetect.cli.template import toml_template
        from skadetect.train.options import TrainOptions

        click.echo(toml_template(TrainOptions))
        ctx.exit()


@click.command(epilog=EPILOG)
@click.argument("config", type=click.Path(path_type=Path), metavar="CONFIG.toml")
@click.option(
    "--template",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_template,
    help="Print every key there is and stop.",
)
@click.option("--restart", is_flag=True, help="Start anew even if there is a checkpoint to go on from.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def train(ctx: click.Context, config: Path, restart: bool, quiet: bool) -> None:
    """Train a network as CONFIG.toml says.

    The file names pairs of an image and its true catalogue, the network, the losses and the schedule;
    pipelines/continuum/ holds the one that made the shipped model.
    """
    from skadetect.train.loop import train as train_model

    quiet = quiet or ctx.obj["quiet"]
    if not quiet:
        show_compiling(ctx)
    train_model(config, resume=not restart, progress=not quiet)

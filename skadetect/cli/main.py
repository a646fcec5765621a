"""The ``skadetect`` command: its subcommands, logging and how errors end a run."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
from importlib import import_module
from typing import NoReturn

import click
from tqdm import tqdm

from skadetect import __version__
from skadetect.errors import SkadetectError

# command -> its one line in the help; each lives in the module of its name, imported when it is run
_COMMANDS = {
    "detect": "Find and measure the sources of images, write catalogues.",
    "plan": "Tiles, memory and time that a detection will take.",
    "simulate": "Make images with known sources.",
    "train": "Train a network on images and their catalogues.",
    "score": "Score a catalogue against the truth.",
    "validate": "Check a challenge submission before it is sent.",
    "models": "List the models that come with skadetect.",
    "info": "Versions and machine, for a bug report.",
}


class FatalError(click.ClickException):
    """An error that ends the run with one line on stderr and exit code 2."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        """Write the line."""
        click.echo(f"skadetect: error: {' '.join(self.message.split())}", err=True)


class Interrupted(click.ClickException):
    """The user's Ctrl-C: exit code 130, as the shell expects."""

    exit_code = 130

    def show(self, file: object = None) -> None:
        """Write the line."""
        click.echo("skadetect: interrupted", err=True)


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for and turns known errors into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, or None."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"skadetect.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; an error made by skadetect becomes one line and exit code 2."""
        try:
            return super().invoke(ctx)
        except SkadetectError as error:
            raise FatalError(str(error)) from error
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted") from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="skadetect")
@click.option("-v", "--verbose", count=True, help="Say more: -v what is done, -vv everything.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.pass_context
def main(ctx: click.Context, verbose: int, quiet: bool) -> None:
    """Find, measure and catalogue astronomical sources in radio images of any size.

    \b
    First steps:
      skadetect detect image.fits -o catalog.fits
      skadetect detect image.fits -o catalog.csv --plot sources.png
      skadetect COMMAND --help
    """
    ctx.obj = {"verbose": verbose, "quiet": quiet}
    start_logging(ctx, verbose=verbose, quiet=quiet)


def run() -> NoReturn:
    """The command: `main` as a process of its own.

    It ends without taking its objects apart one by one, which is for the system to do at once: with a large
    catalogue that takes Python half a second.
    """
    code = 0
    try:
        main(prog_name="skadetect")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a closed pipe
            stream.flush()
    os._exit(code)


def start_logging(ctx: click.Context, *, verbose: int, quiet: bool) -> None:
    """Send the library's log to stderr until the command ends.

    Parameters
    ----------
    ctx : click.Context
        The handlers are removed when it closes.
    verbose : int
        0 shows warnings, 1 also information and Python warnings of other libraries, 2 everything.
    quiet : bool
        Show errors only.
    """
    level = logging.ERROR if quiet else {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    handler = _StderrHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s" if verbose < 2 else _LONG))
    logger = logging.getLogger("skadetect")
    before = logger.level
    logger.setLevel(level)
    logger.addHandler(handler)
    # what other libraries warn of, such as old FITS spellings, skadetect repairs and reports itself
    others = logging.getLogger("py.warnings")
    others_handler = handler if verbose else logging.NullHandler()
    others.addHandler(others_handler)
    others_propagate, others.propagate = others.propagate, False
    logging.captureWarnings(True)

    def stop() -> None:
        logging.captureWarnings(False)
        others.propagate = others_propagate
        others.removeHandler(others_handler)
        logger.removeHandler(handler)
        logger.setLevel(before)

    ctx.call_on_close(stop)


_LONG = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _StderrHandler(logging.Handler):
    """Writes above progress bars, to whatever stderr is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)

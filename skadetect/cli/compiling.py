"""A line that says which kernels a first run compiles; later runs find them on the disk."""

from __future__ import annotations

import sys
from typing import Any

import click
from tqdm import tqdm

_FORMAT = "compiling for this processor, once: {n_fmt} kernels in {elapsed}{postfix}"


def show_compiling(ctx: click.Context) -> None:
    """Show kernels as they are compiled, until the command ends; imports Numba.

    Parameters
    ----------
    ctx : click.Context
        Of the command.
    """
    from numba.core import event

    class Line(event.Listener):
        """A progress line that begins with the first kernel."""

        def __init__(self) -> None:
            self.line: Any = None

        def on_start(self, event: Any) -> None:
            """Name the kernel, if it is one of skadetect's."""
            function = event.data["dispatcher"].py_func
            if not function.__module__.startswith("skadetect."):
                return
            if self.line is None:
                self.line = tqdm(file=sys.stderr, bar_format=_FORMAT, leave=True)
            self.line.update()
            name = f"{function.__module__}.{function.__name__}"
            self.line.set_postfix_str(name.removeprefix("skadetect."))

        def on_end(self, event: Any) -> None:
            """Nothing: kernels are counted as they begin."""

        def close(self) -> None:
            """Leave the number and the time."""
            event.unregister("numba:compile", self)
            if self.line is not None:
                self.line.set_postfix_str("")
                self.line.close()

    line = Line()
    event.register("numba:compile", line)
    ctx.call_on_close(line.close)

"""From options dataclasses to command-line flags, and from a file plus flags to options."""

from __future__ import annotations

import dataclasses
import gc
import math
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from skadetect.config import field_help, field_types, load_toml, options_from_mapping, without_none
from skadetect.errors import ConfigError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def dataclass_flags(cls: type, *, skip: Collection[str] = ()) -> Callable[[F], F]:
    """Give a click command one flag a field of an options dataclass.

    Parameters
    ----------
    cls : type
        The dataclass; help texts come from its docstring. Fields that a flag cannot hold (dataclasses,
        mappings and tuples of tuples) are left to configuration files.
    skip : collection of str, optional
        Fields that get no flag.

    Returns
    -------
    callable
        The decorator. The command receives None, or an empty tuple, for a flag that was not given.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    texts = field_help(cls)
    flags = [
        flag
        for name, hint in field_types(cls).items()
        if name not in skip and (flag := _flag(name, hint, texts[name], defaults[name])) is not None
    ]

    def decorate(function: F) -> F:
        for flag in reversed(flags):
            function = flag(function)
        return function

    return decorate


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without looking for garbage: modules are none, and a tenth of the time goes into seeing that."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


def device_flags(command: F) -> F:
    """Give a click command the flags --device and --precision."""
    precision = click.option(
        "--precision",
        type=click.Choice(["fp16", "bf16", "tf32", "fp32"]),
        help="Of products on a GPU, which are summed in float32. [default: fp16]",
    )
    device = click.option(
        "--device",
        metavar="[auto|cpu|cuda|cuda:N]",
        help="Where the network runs; auto takes a GPU if there is one. [default: auto]",
    )
    return device(precision(command))


def merge_options(cls: type[T], config: str | Path | None, flags: Mapping[str, Any]) -> T:
    """Options from an optional TOML file, with the flags that were given on top.

    Parameters
    ----------
    cls : type
        The options dataclass.
    config : str, Path or None
        A TOML file whose keys are the fields of ``cls``.
    flags : Mapping
        Values by field name; None and empty tuples mean that the flag was not given.

    Returns
    -------
    cls
        The options.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is of the wrong type.
    """
    values = load_toml(config) if config else {}
    given = {name: value for name, value in flags.items() if value is not None and value != ()}
    return options_from_mapping(cls, {**values, **given}, where=str(config) if config else "")


def parse_beam(text: str | None) -> tuple[float, float, float] | None:
    """Read the beam of the command line.

    Parameters
    ----------
    text : str or None
        ``"BMAJ BMIN BPA"`` in arcsec, arcsec and degrees (north through east), or ``"BMAJ"`` of a round beam.

    Returns
    -------
    tuple of float or None
        (bmaj, bmin, bpa), or None for None.

    Raises
    ------
    ConfigError
        If it is not one or three numbers with bmaj >= bmin > 0.
    """
    if text is None:
        return None
    try:
        numbers = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        numbers = [numbers[0], numbers[0], 0.0]
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)) or not numbers[0] >= numbers[1] > 0:
        raise ConfigError(
            f'--beam: expected "BMAJ BMIN BPA" (arcsec, arcsec, deg; BMAJ >= BMIN > 0), got {text!r}'
        )
    return numbers[0], numbers[1], numbers[2]


def _flag(name: str, hint: Any, text: str, default: Any) -> Callable[[F], F] | None:
    """The click option of one field, or None if its type is not for a flag."""
    settings = _settings(without_none(hint))
    if settings is None:
        return None
    spelling = f"--{name.replace('_', '-')}"
    if settings.pop("switch", False):
        spelling = f"{spelling}/--no-{name.replace('_', '-')}"
    known = default is not dataclasses.MISSING and default is not None
    shown = f"{text} [default: {_show(default)}]" if known else text
    return click.option(spelling, name, help=shown.strip(), default=None, **settings)


def _settings(hint: Any) -> dict[str, Any] | None:
    """How click reads a type: the keywords of ``click.option``."""
    arguments = typing.get_args(hint)
    if hint is bool:
        return {"switch": True}
    if hint in (int, float, str):
        return {"type": hint}
    if hint is Path:
        return {"type": click.Path(path_type=Path)}
    if typing.get_origin(hint) is typing.Literal and all(isinstance(each, str) for each in arguments):
        return {"type": click.Choice(arguments)}
    if typing.get_origin(hint) is tuple and arguments and set(arguments) - {...} <= {int, float, str}:
        if arguments[-1] is Ellipsis:
            return {"type": arguments[0], "multiple": True}
        return {"type": tuple(arguments), "nargs": len(arguments)}
    return None


def _show(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        return " ".join(map(str, default)) or "none"
    return str(default) if default != "" else "none"

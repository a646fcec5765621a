"""From TOML to frozen options dataclasses and back to help text: unknown keys and wrong types are errors.

The options classes live beside the verbs they configure; this module is the machinery only.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from skadetect.errors import ConfigError

T = TypeVar("T")


def load_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    path : str or Path
        The file to read.

    Returns
    -------
    dict
        Its tables and values.

    Raises
    ------
    ConfigError
        If the file cannot be read or is not TOML.
    """
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from error


def options_from_mapping(cls: type[T], mapping: Mapping[str, Any], *, where: str = "") -> T:
    """Build an options dataclass from a mapping, for instance a table of a TOML file.

    Parameters
    ----------
    cls : type
        A dataclass. Its fields may be numbers, strings, paths, tuples, ``Literal``, ``dict``, other
        dataclasses, and unions of these with ``None``.
    mapping : Mapping
        Values by field name; fields that are left out keep their defaults. An integer is accepted for a
        float, a list for a tuple and a string for a path; nothing else is converted.
    where : str, optional
        Where the mapping came from, put in front of error messages, such as ``"run.toml [detect]"``.

    Returns
    -------
    cls
        The options.

    Raises
    ------
    ConfigError
        If a key is unknown or missing, or a value is of the wrong type or refused by the class.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{_place(where)}expected a table of {cls.__name__}, got {mapping!r}")
    hints = field_types(cls)
    for key in mapping:
        if key not in hints:
            raise ConfigError(
                f"{_place(where)}unknown key {str(key)!r}; {_suggestion(str(key), list(hints))}"
            )
    absent = [name for name in _required(cls) if name not in mapping]
    if absent:
        raise ConfigError(f"{_place(where)}missing key {absent[0]!r} ({_describe(hints[absent[0]])})")
    values = {key: _convert(value, hints[key], _join(where, key)) for key, value in mapping.items()}
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{_place(where)}{error}") from error


def options_to_mapping(options: Any) -> dict[str, Any]:
    """Turn an options dataclass into plain values that TOML and JSON can hold.

    Parameters
    ----------
    options : dataclass instance
        The options.

    Returns
    -------
    dict
        Lists for tuples, dicts for dataclasses, strings for paths; fields that are None are left out.
    """
    return {
        field.name: _plain(getattr(options, field.name))
        for field in dataclasses.fields(options)
        if getattr(options, field.name) is not None
    }


def field_types(cls: type) -> dict[str, Any]:
    """Types of the fields that the constructor of a dataclass takes, by name and in order.

    Parameters
    ----------
    cls : type
        A dataclass.

    Returns
    -------
    dict
        Resolved type by field name.
    """
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


def field_help(cls: type) -> dict[str, str]:
    """Descriptions of a dataclass' fields, from the Parameters or Attributes section of its docstring.

    Parameters
    ----------
    cls : type
        A dataclass.

    Returns
    -------
    dict
        One line of text by field name; empty where the docstring says nothing.
    """
    doc = inspect.cleandoc(cls.__doc__ or "")
    text = dict.fromkeys(field_types(cls), "")
    sections = r"^(?:Parameters|Attributes)\n-+\n(.*?)(?=^\w[^\n]*\n---|\Z)"
    for section in re.findall(sections, doc, re.DOTALL | re.MULTILINE):
        for names, body in re.findall(r"^(\w+(?:, \w+)*)\b.*\n((?:[ \t]+.*\n?|\n)*)", section, re.MULTILINE):
            text.update({name: " ".join(body.split()) for name in names.split(", ") if name in text})
    return text


def without_none(hint: Any) -> Any:
    """The type that a value has where it is not None.

    Parameters
    ----------
    hint : type
        A resolved type annotation.

    Returns
    -------
    type
        ``X`` for ``X | None`` and for ``Optional[X]``, other types as they are.
    """
    rest = [member for member in _members(hint) if member is not type(None)]
    return rest[0] if len(rest) == 1 else hint


def _members(hint: Any) -> tuple[Any, ...]:
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if union else (hint,)


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Check a value against a type; the first member of a union that accepts it wins."""
    members = _members(hint)
    if len(members) > 1:
        for member in members:
            try:
                return _convert(value, member, where)
            except ConfigError as error:
                if dataclasses.is_dataclass(member) and isinstance(value, Mapping):
                    raise error
        raise _wrong(value, hint, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else options_from_mapping(hint, value, where=where)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            raise _wrong(value, hint, where)
        return value
    if origin in (tuple, list, Sequence) or hint in (tuple, list):
        return _convert_sequence(value, hint, where)
    return _convert_scalar(value, origin or hint, where)


def _convert_sequence(value: Any, hint: Any, where: str) -> Any:
    if not isinstance(value, list | tuple):
        raise _wrong(value, hint, where)
    kind = list if (typing.get_origin(hint) or hint) is list else tuple
    arguments = typing.get_args(hint)
    if not arguments:
        return kind(value)
    if kind is tuple and typing.get_origin(hint) is tuple and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            raise _wrong(value, hint, where)
        return tuple(_convert(item, each, where) for item, each in zip(value, arguments))
    return kind(_convert(item, arguments[0], f"{where}[{i}]") for i, item in enumerate(value))


def _convert_scalar(value: Any, hint: Any, where: str) -> Any:
    if hint is Any or hint is object:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    # a bool is an int to Python, and never meant as one in a configuration
    if isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool):
        return value
    raise _wrong(value, hint, where)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return options_to_mapping(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _required(cls: Any) -> list[str]:
    empty = dataclasses.MISSING
    return [
        f.name
        for f in dataclasses.fields(cls)
        if f.init and f.default is empty and f.default_factory is empty
    ]


def _suggestion(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else f"known keys: {', '.join(known)}"


def _wrong(value: Any, hint: Any, where: str) -> ConfigError:
    return ConfigError(f"{_place(where)}expected {_describe(hint)}, got {value!r}")


def _describe(hint: Any) -> str:
    names = {
        float: "a number",
        int: "an integer",
        str: "a string",
        bool: "true or false",
        Path: "a path",
        type(None): "nothing",
    }
    members = _members(hint)
    if len(members) > 1:
        return " or ".join(_describe(member) for member in members if member is not type(None))
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if typing.get_origin(hint) is tuple and arguments[-1:] != (Ellipsis,):
        return f"a list of {len(arguments)} ({', '.join(_describe(each) for each in arguments)})"
    if typing.get_origin(hint) in (tuple, list, Sequence):
        return f"a list ({_describe(arguments[0])} each)"
    return names.get(hint, f"a table of {hint.__name__}" if isinstance(hint, type) else str(hint))


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _place(where: str) -> str:
    return f"{where}: " if where else ""

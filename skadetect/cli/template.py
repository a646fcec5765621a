"""A commented TOML file with every key of an options dataclass, from the dataclass itself."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from typing import Any

from skadetect.config import field_help, field_types, options_to_mapping, without_none


def toml_template(cls: type, *, table: str = "") -> str:
    """Write all keys of an options dataclass with their meaning and their defaults.

    Parameters
    ----------
    cls : type
        The dataclass; nested dataclasses become tables.
    table : str, optional
        Name of the table that the keys stand in.

    Returns
    -------
    str
        TOML that holds the defaults; keys without a default are comments.
    """
    texts, hints = field_help(cls), field_types(cls)
    fields = [field for field in dataclasses.fields(cls) if field.init]
    plain = [field for field in fields if not dataclasses.is_dataclass(without_none(hints[field.name]))]
    nested = [field for field in fields if field not in plain]
    blocks = [f"[{table}]"] if table else []
    blocks += [f"{_comment(texts[field.name])}{_assignment(field)}" for field in plain]
    for field in nested:
        inner = f"{table}.{field.name}" if table else field.name
        blocks.append(
            f"\n{_comment(texts[field.name])}{toml_template(without_none(hints[field.name]), table=inner)}"
        )
    return "\n".join(blocks)


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, 100))


def _assignment(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        return f"# {field.name} = (must be given)"
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if default is None:
        return f"# {field.name} ="
    return f"{field.name} = {_toml(options_to_mapping(_Value(default))['value'])}"


@dataclasses.dataclass(frozen=True)
class _Value:
    value: Any


def _toml(value: Any) -> str:
    """One line of TOML; JSON spells strings, numbers and booleans alike."""
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)

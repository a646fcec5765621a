"""The commented configuration: it is TOML, it is complete, and it holds the defaults."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field

import pytest

from skadetect.cli.template import toml_template
from skadetect.config import field_types, options_from_mapping
from skadetect.simulate import ContinuumOptions
from skadetect.train.options import TrainOptions


@dataclass(frozen=True)
class Inner:
    """Inner options.

    Parameters
    ----------
    levels : tuple of float
        Some levels.
    """

    levels: tuple[float, ...] = (1.5, 2e-9)
    pairs: tuple[tuple[str, float], ...] = (("a", 1.0),)
    table: dict[str, int] = field(default_factory=lambda: {"a b": 1})


@dataclass(frozen=True)
class Outer:
    """Outer options."""

    size: int
    name: str = 'a "quoted" name'
    flag: bool = True
    threshold: float | None = None
    inner: Inner = field(default_factory=Inner)


def test_template_holds_the_defaults() -> None:
    text = toml_template(Outer)
    assert options_from_mapping(Outer, {"size": 3, **tomllib.loads(text)}) == Outer(3)
    assert "# size = (must be given)" in text
    assert "# threshold =" in text
    assert "[inner]\n# Some levels.\nlevels = [1.5, 2e-09]" in text


@pytest.mark.parametrize("cls", [ContinuumOptions])
def test_templates_of_options_without_required_keys_give_the_defaults(cls: type) -> None:
    assert options_from_mapping(cls, tomllib.loads(toml_template(cls))) == cls()


def test_training_template_is_complete() -> None:
    text = toml_template(TrainOptions)
    values = tomllib.loads(text)
    assert values["steps"] == TrainOptions.__dataclass_fields__["steps"].default
    for name in field_types(TrainOptions):
        assert f"\n[{name}]" in text or f"{name} = " in text
    assert "[sampling.augment]" in text

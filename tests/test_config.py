"""Options from mappings: what is accepted, what is refused, and how plainly the refusal speaks."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skadetect.config import (
    field_help,
    field_types,
    load_toml,
    options_from_mapping,
    options_to_mapping,
    without_none,
)
from skadetect.errors import ConfigError


@dataclass(frozen=True)
class Beam:
    """A beam.

    Parameters
    ----------
    bmaj, bmin : float
        Axes in arcsec,
        full width at half maximum.
    """

    bmaj: float
    bmin: float = 1.0

    def __post_init__(self) -> None:
        if self.bmin > self.bmaj:
            raise ValueError(f"bmin {self.bmin} is larger than bmaj {self.bmaj}")


@dataclass(frozen=True)
class Options:
    """Options of a test.

    Attributes
    ----------
    tile : int
        Tile side in pixels.
    scale : float
        A factor.

    Notes
    -----
    tile
        is not described here.
    """

    tile: int = 0
    scale: float = 1.0
    name: str = "a"
    flag: bool = False
    mode: Literal["slow", "fast"] = "fast"
    threshold: float | None = None
    extent: tuple[int, int] = (1, 2)
    weights: tuple[float, ...] = ()
    table: dict[str, float] = field(default_factory=dict)
    path: Path = Path()
    beam: Beam | None = None
    beams: tuple[Beam, ...] = ()


plain_options = st.builds(
    Options,
    tile=st.integers(),
    scale=st.floats(allow_nan=False),
    name=st.text(),
    flag=st.booleans(),
    mode=st.sampled_from(["slow", "fast"]),
    threshold=st.none() | st.floats(allow_nan=False),
    extent=st.tuples(st.integers(), st.integers()),
    weights=st.lists(st.floats(allow_nan=False)).map(tuple),
    table=st.dictionaries(st.text(), st.floats(allow_nan=False)),
    path=st.sampled_from([Path(), Path("a/b.fits")]),
    beam=st.none() | st.builds(Beam, bmaj=st.floats(2, 9)),
    beams=st.lists(st.builds(Beam, bmaj=st.floats(2, 9)), max_size=2).map(tuple),
)


@given(plain_options)
def test_mapping_and_back_is_the_same_options(options: Options) -> None:
    assert options_from_mapping(Options, options_to_mapping(options)) == options


def test_values_come_through_toml(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("tile = 256\nscale = 2\nextent = [3, 4]\n[beam]\nbmaj = 5\n[[beams]]\nbmaj = 2.5\n")
    options = options_from_mapping(Options, load_toml(file))
    assert options == Options(tile=256, scale=2.0, extent=(3, 4), beam=Beam(5.0), beams=(Beam(2.5),))
    assert isinstance(options.scale, float)


@pytest.mark.parametrize(
    ("mapping", "parts"),
    [
        ({"tlie": 3}, ["unknown key 'tlie'", "did you mean 'tile'"]),
        ({"zzzzzz": 3}, ["unknown key 'zzzzzz'", "known keys: tile, scale"]),
        ({"tile": 1.5}, ["run.toml.tile", "an integer", "1.5"]),
        ({"tile": True}, ["run.toml.tile", "an integer", "True"]),
        ({"tile": None}, ["run.toml.tile", "None"]),
        ({"scale": "2"}, ["run.toml.scale", "a number", "'2'"]),
        ({"scale": False}, ["run.toml.scale", "a number"]),
        ({"flag": 1}, ["run.toml.flag", "true or false"]),
        ({"name": 7}, ["run.toml.name", "a string"]),
        ({"mode": "quick"}, ["run.toml.mode", "'slow', 'fast'", "'quick'"]),
        ({"threshold": "high"}, ["run.toml.threshold", "a number", "'high'"]),
        ({"extent": [1]}, ["run.toml.extent", "a list of 2"]),
        ({"extent": "12"}, ["run.toml.extent", "a list of 2"]),
        ({"weights": [1, "b"]}, ["run.toml.weights[1]", "'b'"]),
        ({"beam": {}}, ["run.toml.beam", "missing key 'bmaj'"]),
        ({"beam": {"bmaj": 1, "bmn": 2}}, ["run.toml.beam", "'bmn'", "'bmin'"]),
        ({"beam": {"bmaj": 1, "bmin": 2}}, ["run.toml.beam", "bmin 2.0 is larger than bmaj 1.0"]),
        ({"beams": [{"bmaj": "x"}]}, ["run.toml.beams[0].bmaj", "a number"]),
        ({"beam": 3}, ["run.toml.beam", "3"]),
        ([1], ["table of Options"]),
    ],
)
def test_refusals_name_the_key_and_what_was_expected(mapping: dict, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        options_from_mapping(Options, mapping, where="run.toml")
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_toml_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent.toml: No such file"):
        load_toml(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("tile = = 3")
    with pytest.raises(ConfigError, match="not a TOML file"):
        load_toml(broken)
    broken.write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigError, match="not a TOML file"):
        load_toml(broken)


def test_none_is_left_out_so_that_toml_can_hold_it() -> None:
    mapping = options_to_mapping(Options())
    assert "threshold" not in mapping
    assert mapping["extent"] == [1, 2]
    assert tomllib.loads("extent = [1, 2]")["extent"] == mapping["extent"]


def test_help_is_taken_from_the_docstring() -> None:
    help_texts = field_help(Options)
    assert help_texts["tile"] == "Tile side in pixels."
    assert help_texts["scale"] == "A factor."
    assert help_texts["name"] == ""
    assert field_help(Beam)["bmaj"] == "Axes in arcsec, full width at half maximum."
    assert field_help(Beam)["bmin"] == field_help(Beam)["bmaj"]


def test_field_types_are_resolved() -> None:
    hints = field_types(Options)
    assert list(hints)[:2] == ["tile", "scale"]
    assert hints["tile"] is int
    assert without_none(hints["threshold"]) is float
    assert without_none(hints["scale"]) is float

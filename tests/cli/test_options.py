"""Flags made from options dataclasses, and files overridden by flags."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner

from skadetect.cli.options import dataclass_flags, merge_options, parse_beam
from skadetect.errors import ConfigError


@dataclass(frozen=True)
class Options:
    """Options of a test.

    Parameters
    ----------
    tile_size : int
        Side of a tile.
    """

    tile_size: int = 64
    scale: float | None = None
    mode: Literal["slow", "fast"] = "fast"
    centre: tuple[float, float] = (0.0, 0.0)
    levels: tuple[int, ...] = ()
    smooth: bool = True
    path: Path | None = None
    table: dict[str, int] = field(default_factory=dict)


def run(*arguments: str, config: Path | None = None, skip: tuple[str, ...] = ()) -> Any:
    """Options that a command made of the dataclass receives."""
    seen = []

    @click.command()
    @dataclass_flags(Options, skip=skip)
    def command(**flags: Any) -> None:
        seen.append(merge_options(Options, config, flags))

    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    return seen[0] if seen else result


def test_no_flag_gives_the_defaults() -> None:
    assert run() == Options()


def test_each_kind_of_field_has_a_flag() -> None:
    options = run(
        *["--tile-size", "8", "--scale", "2", "--mode", "slow", "--centre", "1", "2.5"],
        *["--levels", "3", "--levels", "4", "--no-smooth", "--path", "a/b"],
    )
    assert options == Options(8, 2.0, "slow", (1.0, 2.5), (3, 4), False, Path("a/b"))


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text("tile_size = 128\nscale = 3.5\nsmooth = false\n[table]\na = 1\n")
    assert run("--tile-size", "16", config=config) == Options(16, 3.5, smooth=False, table={"a": 1})


def test_help_shows_text_and_default_and_leaves_out_what_a_flag_cannot_hold() -> None:
    text = " ".join(run("--help").output.split())
    assert "--tile-size INTEGER Side of a tile. [default: 64]" in text
    assert "--smooth / --no-smooth" in text
    assert "--table" not in text
    assert "--scale" not in run("--help", skip=("scale",)).output


def test_wrong_type_on_the_command_line_is_a_usage_error() -> None:
    result = run("--tile-size", "wide")
    assert result.exit_code == 2
    assert "--tile-size" in result.output


def test_unknown_key_of_the_file_names_the_file_and_the_near_key(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text("tilesize = 1")
    with pytest.raises(ConfigError, match=r"run\.toml: unknown key 'tilesize'; did you mean 'tile_size'"):
        merge_options(Options, config, {})


@pytest.mark.parametrize(
    ("text", "beam"),
    [("5 4 30", (5, 4, 30)), ("5,4,-30", (5, 4, -30)), (" 7.5 ", (7.5, 7.5, 0)), (None, None)],
)
def test_beam_is_read(text: str | None, beam: tuple[float, float, float] | None) -> None:
    assert parse_beam(text) == beam


@pytest.mark.parametrize(
    "text", ["", "5 4", "4 5 0", "0 0 0", "-5", "a b c", "nan 1 0", "5 4 3 2", "inf", "5 4 nan"]
)
def test_bad_beam_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match="--beam: expected"):
        parse_beam(text)

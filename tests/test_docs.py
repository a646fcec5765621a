"""The documentation says what is true: links lead somewhere, commands, flags and columns are right."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from skadetect.catalog.cube_flags import CUBE_FLAGS
from skadetect.catalog.cube_schema import CUBE_COLUMNS
from skadetect.catalog.flags import FLAGS
from skadetect.catalog.schema import COLUMNS, KEYWORDS
from skadetect.cli import main

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/*/*.md"), *ROOT.glob("*/*/*/*.md")}
)
PAGES = [page for page in PAGES if not page.relative_to(ROOT).parts[0].startswith(".")]


def command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that some words call, and the words left over."""
    found: click.Command = main
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        context = click.Context(found)
        nested = found.get_command(context, words[0])
        assert nested is not None, words
        found, words = nested, words[1:]
    return found, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_flags_exist(page: Path) -> None:
    text = page.read_text().replace("\\\n", " ")
    for line in re.findall(r"^ {4,}(?:\.venv/bin/)?skadetect +(.*?)(?:  +#.*)?$", text, re.MULTILINE):
        found, words = command(line.split())
        known = {
            "--help",
            "-h",
            *(flag for option in found.params for flag in [*option.opts, *option.secondary_opts]),
        }
        for word in words:
            if re.match(r"--?[a-z]", word):
                assert word in known, f"{line!r}: {found.name} has no {word}"


def test_every_column_flag_and_keyword_is_described() -> None:
    page = (ROOT / "docs" / "catalogue.md").read_text()
    for column in (*COLUMNS, *CUBE_COLUMNS):
        row = f"| `{column.name}` | {column.unit} | {column.ucd.replace(';', '; ')} | {column.description} |"
        assert column.name in ("flags", "flag") or row in page, row
    for flag in (*FLAGS, *CUBE_FLAGS):
        assert f"| {flag.bit.value} | `{flag.name}` | {flag.description} |" in page
    for keyword in KEYWORDS:
        assert f"| `{keyword.name}` | {keyword.description} |" in page

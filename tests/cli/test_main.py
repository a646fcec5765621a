"""The command itself: help, exit codes, logging."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings

import click
import pytest
from click.testing import CliRunner

import skadetect
from skadetect.cli import main
from skadetect.errors import InputError

COMMANDS = ["detect", "simulate", "train", "score", "models", "info"]


def with_command(monkeypatch: pytest.MonkeyPatch, action: object) -> None:
    """Let ``skadetect info`` do something else."""

    @click.command()
    def info() -> None:
        action()

    monkeypatch.setattr("skadetect.cli.info.info", info)


def test_help_lists_every_command_without_importing_the_numerics() -> None:
    code = (
        "import sys; from skadetect.cli import main; main(['--help'], standalone_mode=False);"
        "sys.exit(bool({'numba', 'astropy', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout


@pytest.mark.parametrize("arguments", [*[[name] for name in COMMANDS], ["simulate", "continuum"]])
def test_every_command_explains_itself(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, [*arguments, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: main {' '.join(arguments)}")


def test_version() -> None:
    assert skadetect.__version__ in CliRunner().invoke(main, ["--version"]).output


def test_the_package_is_the_command_too() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "skadetect", "--version"], check=True, capture_output=True, text=True
    )
    assert said.stdout.startswith("skadetect, version")


def test_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["detekt"])
    assert result.exit_code == 2
    assert "detekt" in result.stderr


def test_known_error_is_one_line_and_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise InputError("a.fits: no beam,\n expected BMAJ")

    with_command(monkeypatch, fail)
    result = CliRunner().invoke(main, ["info"])
    assert result.exit_code == 2
    assert result.stderr == "skadetect: error: a.fits: no beam, expected BMAJ\n"
    assert result.stdout == ""


def test_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with_command(monkeypatch, fail)
    assert isinstance(CliRunner().invoke(main, ["info"]).exception, ZeroDivisionError)


def test_interrupt_ends_cleanly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with_command(monkeypatch, interrupt)
    result = CliRunner().invoke(main, ["info"])
    assert result.exit_code == 130
    assert result.stderr == "skadetect: interrupted\n"


@pytest.mark.parametrize(
    ("flags", "seen"),
    [([], ["warned", "broke"]), (["-q"], ["broke"]), (["-v"], ["told", "warned", "broke", "old spelling"])],
)
def test_log_goes_to_stderr_by_level(
    flags: list[str], seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def talk() -> None:
        logger = logging.getLogger("skadetect.image")
        logger.debug("whispered")
        logger.info("told")
        logger.warning("warned")
        logger.error("broke")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old spelling", stacklevel=1)

    with_command(monkeypatch, talk)
    before = list(logging.getLogger("skadetect").handlers), warnings.showwarning
    result = CliRunner().invoke(main, [*flags, "info"])
    words = ["whispered", "told", "warned", "broke", "old spelling"]
    assert [word for word in words if word in result.stderr] == seen
    assert result.stdout == ""
    assert (list(logging.getLogger("skadetect").handlers), warnings.showwarning) == before


@pytest.mark.parametrize(("command", "code"), [("models", 0), ("nonesuch", 2)])
def test_the_process_ends_with_its_code_after_what_was_registered(command: str, code: int) -> None:
    text = f"""
import atexit, sys
atexit.register(print, "cleared up")
sys.argv = ["skadetect", {command!r}]
from skadetect.cli.main import run
run()
"""
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert ended.stdout.endswith("cleared up\n")
    assert ("continuum" in ended.stdout) == (code == 0)
    assert ("No such command" in ended.stderr) == (code != 0)

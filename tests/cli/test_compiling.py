"""A first run says which kernels it compiles."""

from __future__ import annotations

import click
import numba

from skadetect.cli.compiling import show_compiling


def double(x):
    return 2 * x


def half(x):
    return x / 2


def test_kernels_of_skadetect_are_named_until_the_command_ends(capsys, monkeypatch):
    for function in (double, half):
        monkeypatch.setattr(function, "__module__", "skadetect.example")
    context = click.Context(click.Command("detect"))
    show_compiling(context)
    assert numba.njit(double)(3) == 6
    context.close()
    assert numba.njit(half)(3) == 1.5
    text = capsys.readouterr().err
    assert "example.double" in text
    assert "1 kernels in" in text
    assert "half" not in text


def test_nothing_is_said_when_nothing_is_compiled(capsys):
    context = click.Context(click.Command("detect"))
    show_compiling(context)
    context.close()
    assert capsys.readouterr().err == ""

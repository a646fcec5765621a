"""The command line: each command only translates its options into one call of the library."""

from skadetect.cli.main import main

__all__ = ["main"]

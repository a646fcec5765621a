"""What steps of a challenge are done: a file beside their results, so that a run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from skadetect import __version__
from skadetect.atomic import atomic_path
from skadetect.errors import ConfigError, OutputError

logger = logging.getLogger(__name__)


class Steps:
    """Finished steps of one run.

    Parameters
    ----------
    folder : Path
        Of the run; made when a step is recorded.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "steps.json"

    def done(self, name: str, key: Any, *, needs: tuple[Path, ...] = ()) -> dict[str, Any] | None:
        """Result of a step that was done before on the same input, if the files it made are still there."""
        entry = self._all().get(name)
        if entry is None or entry["key"] != digest(key) or not all(path.exists() for path in needs):
            return None
        logger.info("%s: done before", name)
        result: dict[str, Any] = entry["result"]
        return result

    def record(self, name: str, key: Any, result: dict[str, Any]) -> dict[str, Any]:
        """Keep what a step found.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        make_folder(self.path.parent)
        entries = self._all() | {name: {"key": digest(key), "result": result}}
        with atomic_path(self.path, overwrite=True) as temporary:
            temporary.write_text(json.dumps(entries, indent=1) + "\n")
        return result

    def _all(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.path.read_text())
        except (OSError, json.JSONDecodeError):
            return {}
        return found


def digest(value: Any) -> str:
    """Of plain values and the version of the package."""
    text = json.dumps([__version__, value], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_folder(folder: Path) -> Path:
    """Make a folder and those above it.

    Raises
    ------
    OutputError
        It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror or error}") from error
    return folder


Options = TypeVar("Options")


def changed(options: Options, changes: dict[str, Any]) -> Options:
    """Options with some fields by name.

    Raises
    ------
    ConfigError
        A name is unknown.
    """
    known = [one.name for one in fields(options)]  # type: ignore[arg-type]
    unknown = sorted(set(changes) - set(known))
    if unknown:
        raise ConfigError(f"unknown option {unknown[0]!r}, expected one of {', '.join(known)}")
    return replace(options, **changes)  # type: ignore[type-var]


def rounded(scores: dict[str, float]) -> str:
    """Scores by name, for a log."""
    return json.dumps({name: round(value, 1) for name, value in scores.items()})

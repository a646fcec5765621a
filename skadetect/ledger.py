"""Keep the tiles a run has finished, so that a killed run goes on where it stopped.

A folder beside the output holds one file a tile, written under a temporary name and renamed. It belongs to
one image, model and setting: what another run left there is thrown away.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from skadetect.detections import Detections
from skadetect.errors import OutputError

KEY_FILE = "run.json"
SECONDS = "network_seconds"

logger = logging.getLogger(__name__)


class Ledger:
    """Finished tiles of one run.

    Parameters
    ----------
    folder : path
        Made if absent.
    run : mapping
        All that decides what a tile's detections are: image, model, threshold, tiles. Plain JSON values.

    Raises
    ------
    OutputError
        If the folder cannot be made or written.
    """

    def __init__(self, folder: str | os.PathLike[str], run: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        text = json.dumps(dict(run), sort_keys=True)
        try:
            if self.folder.exists() and self._text() != text:
                self._discard()
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self.folder / KEY_FILE, text.encode())
        except OSError as error:
            raise OutputError(f"cannot write to {self.folder}: {error.strerror or error}") from error

    def finished(self) -> dict[int, tuple[Detections, float]]:
        """Tiles of earlier runs, index to detections and network seconds; damaged files are left out."""
        found: dict[int, tuple[Detections, float]] = {}
        for path in sorted(self.folder.glob("tile-*.npz")):
            try:
                with path.open("rb") as file, np.load(file) as columns:
                    arrays = {name: columns[name] for name in columns.files}
                seconds = float(arrays.pop(SECONDS))
                found[int(path.stem.split("-")[1])] = (Detections(**arrays), seconds)
            except (OSError, ValueError, EOFError, KeyError, TypeError, BadZipFile):
                logger.warning("%s cannot be read: its tile is done again", path)
        return found

    def add(self, index: int, detections: Detections, seconds: float) -> None:
        """Keep one tile.

        Raises
        ------
        OutputError
            If the disk is full or the folder gone.
        """
        names = Detections.__dataclass_fields__
        columns: dict[str, Any] = {name: getattr(detections, name) for name in names}
        path = self.folder / f"tile-{index:08d}.npz"
        temporary = path.with_suffix(".part")
        try:
            with temporary.open("wb") as file:
                np.savez(file, **columns | {SECONDS: np.float64(seconds)})
            temporary.replace(path)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error

    def _discard(self) -> None:
        """Remove what another run left, and nothing else that may lie in the folder."""
        for pattern in ("tile-*", f"{Path(KEY_FILE).stem}.*"):
            for path in self.folder.glob(pattern):
                path.unlink()

    def _text(self) -> str:
        try:
            return (self.folder / KEY_FILE).read_text()
        except OSError:
            return ""


def file_identity(path: str | os.PathLike[str]) -> str:
    """Digest of a file's place, size and time of change: another image under the same name is another run."""
    status = os.stat(path)
    text = f"{Path(path).resolve()}:{status.st_size}:{status.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_bytes(data)
    temporary.replace(path)

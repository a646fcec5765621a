"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skadetect.errors import OutputError


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    Parameters
    ----------
    path : path
        File to make; its directory must exist.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        The file exists, or the directory or disk does not take it.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path} is a directory; expected the name of a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; expected a new name, or overwrite")
    temporary = _temporary_beside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_beside(path: Path) -> Path:
    """An empty file in the same directory; it ends in the same name, since writers go by suffixes."""
    try:
        handle, name = tempfile.mkstemp(prefix=".", suffix=f"-{path.name}", dir=path.parent)
        os.fchmod(handle, 0o666 & ~_umask())
        os.close(handle)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    return Path(name)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask

"""Everything a training needs to go on exactly where it stopped, in one file written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from skadetect.atomic import atomic_path
from skadetect.errors import ModelError

FORMAT = "skadetect-checkpoint-1"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training between two steps.

    Attributes
    ----------
    step : int
        Steps made.
    arrays : dict of str to dict of str to numpy.ndarray
        Named groups of named arrays: "parameters", "state", "first", "second", "average" ...
    numbers : dict
        JSON-able scalars beside them (counters, best score, a digest of the configuration).
    """

    step: int
    arrays: dict[str, dict[str, np.ndarray]]
    numbers: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint under a temporary name, then rename, so that the file is always whole.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    flat = {
        f"{group}/{name}": np.ascontiguousarray(array) for group, name, array in _items(checkpoint.arrays)
    }
    header = {"format": FORMAT, "step": str(checkpoint.step), "numbers": json.dumps(checkpoint.numbers)}
    header["groups"] = json.dumps(sorted(checkpoint.arrays))
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_bytes(save(flat, metadata=header))


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Raises
    ------
    ModelError
        If the file is not a checkpoint of this format.
    """
    try:
        with safe_open(str(path), framework="np") as file:
            header = file.metadata() or {}
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"checkpoint '{path}' cannot be read: {error}") from error
    if header.get("format") != FORMAT:
        raise ModelError(f"'{path}' has format '{header.get('format')}', expected '{FORMAT}'")
    arrays: dict[str, dict[str, np.ndarray]] = {group: {} for group in json.loads(header["groups"])}
    for key, array in flat.items():
        group, name = key.split("/", 1)
        arrays[group][name] = array
    return Checkpoint(int(header["step"]), arrays, json.loads(header["numbers"]))


def _items(arrays: Mapping[str, Mapping[str, np.ndarray]]) -> list[tuple[str, str, np.ndarray]]:
    """All arrays with the names of their group and themselves."""
    return [(group, name, array) for group, named in arrays.items() for name, array in named.items()]

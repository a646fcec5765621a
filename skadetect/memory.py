"""Plan memory before a run: how large tiles may be under a limit."""

from __future__ import annotations

import re

from skadetect.errors import ConfigError
from skadetect.nn.model import Model

UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}
TILES = (2048, 1536, 1024, 768, 512, 384, 256, 128)
#: Largest tile chosen by itself: beyond it the halo costs under a tenth and activations only leave the cache.
PREFERRED = 1024
#: Resident memory of a process with the libraries loaded and kernels compiled, measured on Linux.
PROCESS_BYTES = 420 * 10**6
#: Pixels, background, noise, signal to noise and input features of a tile, float32.
PIXEL_BYTES = 44


def parse_memory(text: str) -> int:
    """Bytes of a size such as ``"2GB"``, ``"512 MiB"`` or ``"1e9"``.

    Raises
    ------
    ConfigError
        If the text is no size.
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([KMGT]?i?B?)\s*", str(text), re.IGNORECASE)
    unit = match.group(2).upper() if match else ""
    unit = unit if unit.endswith("B") or not unit else unit + "B"
    if match is None or unit not in UNITS:
        raise ConfigError(f"memory size {text!r}, expected a number with a unit, such as 2GB or 512MB")
    try:
        return int(float(match.group(1)) * UNITS[unit])
    except ValueError as error:
        raise ConfigError(
            f"memory size {text!r}, expected a number with a unit, such as 2GB or 512MB"
        ) from error


def choose_tile(max_memory: str, workers: int, model: Model) -> int:
    """Side of the largest sensible tile that keeps a run within its memory, in pixels.

    Parameters
    ----------
    max_memory : str
        Limit for all processes together.
    workers : int
        Worker processes; above 1 the main process comes on top.
    model : Model
        Its halo and layers set what a tile takes.

    Raises
    ------
    ConfigError
        If the limit is too small for any tile.
    """
    processes = workers + 1 if workers > 1 else 1
    share = (parse_memory(max_memory) - processes * PROCESS_BYTES) / workers
    for side in TILES:
        if side <= PREFERRED and tile_bytes(side, model) <= share:
            return side
    least = processes * PROCESS_BYTES + workers * tile_bytes(TILES[-1], model)
    raise ConfigError(
        f"max_memory {max_memory} is too little for {workers} workers, expected at least {least / 1e9:.1f}GB"
    )


def tile_bytes(side: int, model: Model) -> int:
    """Bytes that one tile takes while the network runs: its pixels and the largest pair of layers."""
    extents = [side + 2 * halo if halo else 1 for halo in model.halo]
    pixels = extents[0] * extents[1] * extents[2]
    widest, cells, before = 0.0, 1.0, float(model.network.spec.input_features)
    for layer, _, outputs in model.network.spec.walk():
        if layer.spatial:
            for step in layer.stride:
                cells /= step
        # Input and output of a layer live together, and a skip connection keeps one more of the same size.
        here = cells * outputs
        widest = max(widest, before + 2 * here)
        before = here
    return int(pixels * (PIXEL_BYTES + 4 * widest))

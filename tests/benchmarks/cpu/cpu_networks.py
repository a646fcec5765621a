"""The networks that the engines are compared on, with random weights or a model's own."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from skadetect.nn.model import Model
from skadetect.nn.network import Network
from skadetect.nn.spec import NetworkSpec

#: (extent, stride, features) of YOLO-CIANNA's network for SDC1 (Cornu et al. 2024), its group norm left out.
SDC1 = (
    (5, 1, 32), (2, 2, 16), (3, 1, 24), (3, 1, 32), (2, 2, 64), (1, 1, 128), (3, 1, 192), (2, 2, 128),
    (1, 1, 192), (3, 1, 384), (1, 1, 256), (3, 1, 384), (2, 2, 512),
    (1, 1, 768), (3, 1, 1024), (1, 1, 2048), (1, 1, 117),
)  # fmt: skip
HI_CONFIG = Path(__file__).parents[3] / "pipelines" / "hi" / "config.toml"
#: (z, y, x) of one patch.
PATCHES = {"sdc1": (1, 512, 512), "continuum": (1, 512, 512), "hi": (128, 64, 64)}


def build(name: str) -> tuple[Network, tuple[int, int, int]]:
    """Network, batch norms folded, and patch for ``sdc1``, ``continuum``, ``hi`` or a model file."""
    maker = _MAKERS.get(name)
    network = maker() if maker else Model.load(name).network
    return network.folded(), PATCHES.get(name, PATCHES["continuum"])


def trainable(name: str) -> tuple[Network, tuple[int, int, int], int]:
    """Network with its batch norms, patch and batch of a training step."""
    if name == "hi":
        table = tomllib.loads(HI_CONFIG.read_text())
        side, batch = table["sampling"]["patch"], table["sampling"]["batch"]
        return _hi(), (table["sampling"]["channels"], side, side), batch
    return Model.load(name).network, (1, 192, 192), 16


def _drawn(spec: NetworkSpec) -> Network:
    return Network.initialise(spec, np.random.default_rng(1))


def _sdc1() -> Network:
    rows: list[dict[str, Any]] = []
    for number, (extent, stride, features) in enumerate(SDC1, 1):
        pad = extent // 2 if stride == 1 else 0
        row = {"kind": "conv", "name": f"conv{number}", "features": features, "extent": [1, extent, extent]}
        row |= {"stride": [1, stride, stride], "padding": [0, pad, pad], "slope": 0.1}
        rows.append(row)
    rows[-1]["slope"] = 1.0
    return _drawn(NetworkSpec.from_dict({"input_features": 1, "layers": rows}))


def _hi() -> Network:
    return _drawn(NetworkSpec.from_dict(tomllib.loads(HI_CONFIG.read_text())["network"]))


_MAKERS: dict[str, Callable[[], Network]] = {"sdc1": _sdc1, "hi": _hi}

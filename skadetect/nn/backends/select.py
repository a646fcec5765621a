"""Choose a back end by name, once; it is passed on as an argument."""

from __future__ import annotations

import importlib
from typing import cast

from skadetect.errors import ConfigError
from skadetect.nn.backends.base import Backend

MODULES = {"cpu": "skadetect.nn.backends.cpu", "reference": "skadetect.nn.backends.reference"}


def get_backend(device: str = "auto") -> Backend:
    """Return the module of operations for a device.

    Parameters
    ----------
    device : {"auto", "cpu", "reference"}
        ``"auto"`` takes the fastest that this machine offers, today the CPU.

    Raises
    ------
    ConfigError
        If the device is not known.
    """
    name = "cpu" if device == "auto" else device
    if name not in MODULES:
        raise ConfigError(f"unknown device {device!r}, expected one of auto, {', '.join(MODULES)}")
    return cast(Backend, importlib.import_module(MODULES[name]))

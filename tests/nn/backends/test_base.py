"""Every back end offers every operation of the protocol, with the same arguments."""

from __future__ import annotations

import inspect

import pytest

from skadetect.nn.backends.base import Backend
from skadetect.nn.backends.select import MODULES, get_backend

OPERATIONS = [name for name in vars(Backend) if not name.startswith("_")]


@pytest.mark.parametrize("device", MODULES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_backend_has_the_operation(device, name):
    offered = inspect.signature(getattr(get_backend(device), name)).parameters.values()
    promised = list(inspect.signature(getattr(Backend, name)).parameters.values())[1:]
    assert [(p.name, p.kind, p.default) for p in offered] == [(p.name, p.kind, p.default) for p in promised]

"""A training that is cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from skadetect.train import loop


@contextmanager
def power_failing(monkeypatch: pytest.MonkeyPatch, *, step: int) -> Iterator[None]:
    """What trains inside is interrupted after so many steps, and has to be."""

    def fails(state, *args, **kwargs):
        if state.step == step:
            raise KeyboardInterrupt
        return original(state, *args, **kwargs)

    original = loop.train_step
    with monkeypatch.context() as patched:
        patched.setattr(loop, "train_step", fails)
        with pytest.raises(KeyboardInterrupt):
            yield

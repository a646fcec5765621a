"""Settings of a detection are read, and refused where they make no sense."""

from __future__ import annotations

import pytest

from skadetect.detect_options import DetectOptions, parse_channels, parse_flux
from skadetect.errors import ConfigError


@pytest.mark.parametrize(("text", "jansky"), [("3mJy", 3e-3), ("0.003", 3e-3), ("40 uJy/beam", 4e-5)])
def test_fluxes_are_read(text: str, jansky: float) -> None:
    assert parse_flux(text) == pytest.approx(jansky)


def test_channels_are_read() -> None:
    assert parse_channels("0-15, 200,900:910") == ((0, 15), (200, 200), (900, 910))
    assert parse_channels(None) == parse_channels("") == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"continuum_limit": "3 apples"},
        {"continuum_limit": "-1mJy"},
        {"continuum_limit": "1.2.3"},
        {"flag_channels": "9-3"},
        {"flag_channels": "a-b"},
        {"levels": -1},
    ],
    ids=str,
)
def test_nonsense_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        DetectOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("scheduler", ["auto", "threads", "processes"])
def test_workers_are_of_a_known_kind(scheduler: str) -> None:
    assert DetectOptions(scheduler=scheduler).workers == 0
    with pytest.raises(ConfigError, match="unknown scheduler 'dask', expected one of auto, threads"):
        DetectOptions(scheduler="dask")

"""Memory sizes and the choice of tiles."""

from __future__ import annotations

import pytest

from skadetect.errors import ConfigError
from skadetect.memory import choose_tile, parse_memory, tile_bytes
from tests.nn.networks import small_model


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2e9), ("512 MB", 5.12e8), ("1GiB", 2**30), ("1.5g", 1.5e9), ("1e9", 1e9), ("300000000", 3e8)],
)
def test_sizes(text: str, size: float) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "much", "2 furlongs", "-1GB", "GB", "1.2.3GB"])
def test_nonsense_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a number with a unit"):
        parse_memory(text)


def test_more_memory_never_means_smaller_tiles() -> None:
    model = small_model()
    sides = [choose_tile(f"{size}MB", 1, model) for size in (450, 500, 600, 1000, 4000, 64000)]
    assert sides == sorted(sides)
    assert sides[-1] == 1024
    assert choose_tile("4GB", 8, model) <= choose_tile("4GB", 2, model)


def test_too_little_is_said_with_what_is_needed() -> None:
    with pytest.raises(ConfigError, match="100MB is too little for 4 workers, expected at least 2"):
        choose_tile("100MB", 4, small_model())


def test_memory_grows_with_the_tile() -> None:
    model = small_model()
    assert tile_bytes(256, model) < tile_bytes(512, model) < 5 * tile_bytes(256, model)

"""How the work of a direct convolution is cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from skadetect.nn.backends.cpu import bands, direct
from skadetect.nn.backends.cpu.tile import ROWS


def _cut(monkeypatch, size, inputs, outputs, extent):
    """Geometry and layout for an output of a size."""
    seen = {}

    def keep(x, panels, bias, slope, goal, geometry, layout, buffers):
        seen["g"], seen["layout"] = geometry, layout

    monkeypatch.setattr(direct, "_convolve", keep)
    x = np.zeros((1, 1, size[0] * extent, size[1] * extent, inputs), np.float32)
    filters = np.zeros((1, extent, extent, inputs, outputs), np.float32)
    direct.conv_direct(x, filters, None, stride=(1, extent, extent), padding=(0, 0, 0))
    return seen["g"], seen["layout"]


def _places(monkeypatch, size, inputs, outputs, extent):
    """Pixels of an output of a size, and the places of all tiles that do one panel of it."""
    g, layout = _cut(monkeypatch, size, inputs, outputs, extent)
    bands, segments, tiles = layout.bands, layout.segments, -(-g.ox // ROWS)
    downs = [(band + 1) * g.oy // bands - band * g.oy // bands for band in range(bands)]
    ends = [min(g.ox, segment * tiles // segments * ROWS) for segment in range(segments + 1)]
    acrosses = [b - a for a, b in pairwise(ends)]
    return g.oy * g.ox, sum(-(-d * a // ROWS) * ROWS for d in downs for a in acrosses)


@pytest.mark.parametrize(("inputs", "outputs"), [(64, 128), (512, 768), (1024, 2048), (2048, 117)])
def test_one_tile_at_most_has_empty_places_where_no_neighbours_are_seen(monkeypatch, inputs, outputs):
    pixels, places = _places(monkeypatch, (32, 32), inputs, outputs, 1)
    assert places - pixels < ROWS


@pytest.mark.parametrize(("side", "inputs", "outputs"), [(256, 32, 16), (128, 32, 64), (32, 384, 512)])
def test_bands_are_as_high_as_leaves_few_places_empty(monkeypatch, side, inputs, outputs):
    pixels, places = _places(monkeypatch, (side, side), inputs, outputs, 2)
    assert places < 1.04 * pixels


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(
    ("shape", "filters", "step"),
    [
        ((1, 1, 32, 32, 384), (2, 2, 512), 2),
        ((1, 1, 1, 1024, 2048), (1, 1, 117), 1),
        ((1, 1, 128, 128, 32), (3, 3, 64), 2),
        ((1, 15, 16, 16, 24), (3, 3, 48), 2),
    ],
)
def test_threads_get_as_many_tiles_each(shape, filters, step, threads):
    batch, oz, oy, ox, nf = shape
    ky, kx, of = filters
    pads = ky % 2 * (ky // 2), kx % 2 * (kx // 2)
    g = bands.Geometry(
        *(oz, oy * step, ox * step, nf),
        *(oz, oy, ox, of),
        *(1, ky, kx),
        *(1, step, step),
        0,
        *pads,
        0,
        0,
        0,
        0,
    )
    layout = bands.cut(batch, g, threads)[0]
    tiles = -(-ox // ROWS)
    places = [
        -(-((b + 1) * oy // layout.bands - b * oy // layout.bands) * ox // ROWS) if layout.segments == 1
        else (s + 1) * tiles // layout.segments - s * tiles // layout.segments
        for _ in range(oz) for b in range(layout.bands) for s in range(layout.segments)
    ]  # fmt: skip
    ends = [len(places) * thread // threads for thread in range(threads + 1)]
    longest = max(sum(places[a:b]) for a, b in pairwise(ends))
    assert longest < 1.1 * oz * oy * ox / ROWS / threads + 2


EDGES = [((9, 31), 3, 1, 1), ((30, 18), 5, 2, 2), ((7, 5), 4, 3, 3), ((3, 40), 5, 1, 4)]


@pytest.mark.parametrize(("size", "extent", "step", "before"), EDGES)
def test_what_is_read_in_place_equals_what_is_copied_with_zeros(size, extent, step, before, monkeypatch):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 3, *size, 6), dtype=np.float32)
    filters = rng.standard_normal((3, extent, extent, 6, 37), dtype=np.float32)
    places = {"stride": (1, step, step), "padding": (1, before, before)}
    made = []
    for copied in (False, True):
        bands.cut.cache_clear()
        monkeypatch.setattr(bands, "_rather_copied", lambda _, copied=copied: copied)
        made.append(direct.conv_direct(x, filters, None, **places, slope=0.1))
    bands.cut.cache_clear()
    np.testing.assert_array_equal(*made)


def test_only_small_outputs_with_many_edges_are_copied():
    def copied(side, step):
        g = bands.Geometry(
            *(1, side * step, side * step, 24), *(1, side, side, 48), *(1, 3, 3), *(1, step, step), 0, 1, 1,
            *(0, 0, 0, 0),
        )  # fmt: skip
        return bands.cut(1, g, 2)[0].copied

    assert not copied(64, 2)
    assert not copied(64, 1)
    assert copied(6, 1)

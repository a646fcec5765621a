"""Completeness, purity and precision-recall against hand-worked cases, and a figure without global state."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from skadetect.errors import OutputError
from skadetect.evaluate.curves import fraction, plot_curves, precision_recall, snr_edges


def test_fraction_counts_in_bins():
    curve = fraction(
        np.array([1.5, 1.5, 3.0, 3.0, 99.0]), np.array([1, 0, 1, 1, 1], bool), np.array([1.0, 2.0, 4.0, 8.0])
    )
    assert curve.count.tolist() == [2, 2, 0]
    assert curve.value[:2].tolist() == [0.5, 1.0]
    assert np.isnan(curve.value[2])
    assert curve.centre == pytest.approx([np.sqrt(2), np.sqrt(8), np.sqrt(32)])


def test_interval_covers_the_truth_two_times_in_three():
    rng = np.random.default_rng(0)
    inside = []
    for share in (0.5, 0.9, 0.98):
        for _ in range(400):
            curve = fraction(np.ones(60), rng.random(60) < share, np.array([0.5, 2.0]))
            inside.append(curve.low[0] <= share <= curve.high[0])
    assert np.mean(inside) == pytest.approx(0.683, abs=0.06)


def test_precision_recall_by_hand():
    curve = precision_recall(np.array([0.9, 0.8, 0.8, 0.1]), np.array([1, 0, 1, 1], bool), 4)
    assert curve.threshold.tolist() == [0.9, 0.8, 0.1]
    assert curve.precision == pytest.approx([1.0, 2 / 3, 0.75])
    assert curve.recall == pytest.approx([0.25, 0.5, 0.75])
    # the precision of the second step is lifted to the third's
    assert curve.average_precision == pytest.approx(0.25 * 1.0 + 0.25 * 0.75 + 0.25 * 0.75)


def test_average_precision_of_extremes():
    perfect = precision_recall(np.arange(10.0), np.ones(10, bool), 10)
    assert perfect.average_precision == pytest.approx(1.0)
    assert precision_recall(np.arange(10.0), np.zeros(10, bool), 10).average_precision == 0.0
    assert precision_recall(np.zeros(0), np.zeros(0, bool), 10).average_precision == 0.0


def test_edges_are_logarithmic():
    edges = snr_edges(2.0, 32.0, 4)
    assert edges == pytest.approx([2, 4, 8, 16, 32])


def test_figure_is_a_png(tmp_path):
    rng = np.random.default_rng(1)
    snr, found = rng.uniform(2, 100, 300), rng.random(300) < 0.8
    curve = fraction(snr, found, snr_edges())
    plot_curves(tmp_path / "a.png", curve, curve, precision=precision_recall(snr, found, 300), title="test")
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(OutputError, match="cannot write"):
        plot_curves(tmp_path / "absent" / "a.png", curve, curve)


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, skadetect.evaluate.report; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

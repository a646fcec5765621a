"""Where pixels begin to tell places and shapes better than a network is found from pairs of both."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skadetect.beams import PixelBeam, convolve, ellipse_of, second_moments

FOLDER = Path(__file__).parents[2] / "pipelines" / "continuum"
BEAM = PixelBeam(6.0, 5.0, 0.4)  # arcsec


@pytest.fixture(scope="module")
def shapes():
    with pytest.MonkeyPatch.context() as patching:
        patching.syspath_prepend(FOLDER)
        import shapes

        yield shapes
        sys.modules.pop("shapes", None)


def pairs(n: int = 20000) -> pd.DataFrame:
    """Of a network that knows places to 0.05 sizes, axes to a tenth and angles to 0.15 radians."""
    rng = np.random.default_rng(1)
    snr = np.exp(rng.uniform(np.log(5.0), np.log(500.0), n))
    true = rng.uniform(4.0, 8.0, n), rng.uniform(2.0, 4.0, n), rng.uniform(-1.5, 1.5, n)
    own = *(np.exp(0.1 * rng.standard_normal(n)) * axis for axis in true[:2]), true[2]
    own = np.maximum(*own[:2]), np.minimum(*own[:2]), true[2] + 0.15 * rng.standard_normal(n)
    seen, real = convolve(*own, BEAM), convolve(*true, BEAM)
    noise = 2.0 * seen[0] * seen[1] / snr * rng.standard_normal((3, n)) * np.array([[1.0], [1.0], [0.7]])
    pixels = ellipse_of(*(np.stack(second_moments(*real)) + noise))
    columns = {"snr": snr, "angle_error": np.degrees(0.15)}
    for name, ellipse in {"seen": seen, "own": own, "true": real}.items():
        columns |= {f"{name}_bmaj": ellipse[0], f"{name}_bmin": ellipse[1]}
        columns[f"{name}_pa"] = np.degrees(ellipse[2])
    for name, value in zip(("bmaj", "bmin", "pa"), pixels, strict=True):
        columns[f"seen_{name}_pixels"] = np.degrees(value) if name == "pa" else value
    columns |= {"beam_bmaj": BEAM.bmaj, "beam_bmin": BEAM.bmin, "beam_pa": np.degrees(BEAM.theta)}
    for name in ("ra", "dec"):
        columns[name] = 0.05 * seen[0] * rng.standard_normal(n)
        columns[f"{name}_pixels"] = 0.6 / snr * seen[0] * rng.standard_normal(n)
    return pd.DataFrame(columns)


def test_what_counts_alike_is_found(shapes):
    found = shapes.fit_moments(pairs())
    assert found.place == pytest.approx(12.0, rel=0.25)
    assert found.axes == pytest.approx(10.0, rel=0.5) and found.angle == pytest.approx(1.4, rel=0.6)


def test_pixels_that_know_no_better_are_left_out(shapes):
    table = pairs(4000)
    for name in ("ra", "dec"):
        table[f"{name}_pixels"] = 5.0 * table["seen_bmaj"]
    assert shapes.fit_moments(table).place > 400.0

"""A small field with known point sources on noise, and a small training on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.wcs import WCS

from tests.fits_files import PIXEL, sky_header, write_image

SIDE, RMS = 96, 1e-5


def write_field(folder: Path, *, seed: int = 0, n: int = 60, gain: float = 1.0) -> np.ndarray:
    """Write image.fits, primary_beam.fits and truth.txt; returns the positions (n, 2) as (y, x)."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    y, x = rng.uniform(4, SIDE - 5, (2, n))
    flux = 10 ** rng.uniform(-3.9, -2.5, n)
    image = rng.normal(0.0, RMS, (SIDE, SIDE))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for one in range(n):
        image += flux[one] * np.exp(-4 * np.log(2) * ((rows - y[one]) ** 2 + (columns - x[one]) ** 2) / 9.0)
    header = sky_header(SIDE, SIDE)
    write_image(folder / "image.fits", image.astype("f4"), header)
    write_image(folder / "primary_beam.fits", np.full((SIDE, SIDE), gain, "f4"), header)
    ra, dec = WCS(header).all_pix2world(x, y, 0)
    size = 0.01 * PIXEL * 3600
    lines = [
        f"{k} {ra[k]:.9f} {dec[k]:.9f} {ra[k]:.9f} {dec[k]:.9f} {flux[k] / gain:.6e} 0.03 {size} {size} 0 2 3"
        for k in range(n)
    ]
    (folder / "truth.txt").write_text("\n".join(lines) + "\n")
    return np.stack([y, x], axis=1)


CONFIG = """
name = "tiny"
out = "{out}"
seed = 3
steps = {steps}
checkpoint_every = {every}
{extra}
[[fields]]
folders = ["field*"]
[validation]
every = 0
{validation}
[sampling]
patch = 32
batch = 2
workers = {workers}
[optimizer]
average = 0.9
learning_rate = 1e-2
[schedule]
warmup = 2
[head]
priors = [[4.0, 4.0]]
stride = [1, 4, 4]
parameters = 5
position_scale = 1.4
[network]
input_features = 5
layers = [
    {{ kind = "conv", name = "a", features = 8, extent = [1, 5, 5], stride = [1, 2, 2], norm = true }},
    {{ kind = "conv", name = "b", features = 8, extent = [1, 3, 3], stride = [1, 2, 2], slope = 0.1 }},
    {{ kind = "dropout", name = "d", rate = 0.1 }},
    {{ kind = "conv", name = "c", features = 11 }},
]
"""


def write_config(
    path: Path,
    *,
    out: str = "run",
    steps: int = 3,
    every: int = 100,
    workers: int = 0,
    validation: str = "",
    extra: str = "",
) -> Path:
    """Write a training's TOML file."""
    path.write_text(
        CONFIG.format(out=out, steps=steps, every=every, workers=workers, validation=validation, extra=extra)
    )
    return path

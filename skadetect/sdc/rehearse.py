"""Simulated files of the official names, headers and columns, to rehearse a challenge with."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from skadetect.atomic import atomic_path
from skadetect.catalog.sdc1 import SDC1_COLUMNS, TRAINING_COLUMNS, read_sdc1
from skadetect.evaluate.sdc1 import TRAINING_BOX
from skadetect.image import open_image
from skadetect.sdc.files import sdc1_files, sdc2_files
from skadetect.sdc.steps import make_folder
from skadetect.simulate import (
    ContinuumOptions,
    HiOptions,
    draw_field,
    in_other_band,
    simulate_continuum,
    simulate_hi,
)
from skadetect.simulate.sources import Sources

#: Lines of text before the first source of a published training set.
PREAMBLE = 18


def rehearse_sdc1(
    folder: str | os.PathLike[str],
    *,
    size: int = 1024,
    freq: int = 560,
    hours: int = 1000,
    seed: int = 1,
    options: ContinuumOptions | None = None,
) -> Path:
    """Simulate the files of SDC1 for a small map whose western half is in the training area.

    Parameters
    ----------
    folder : path
        Where to; files there are replaced.
    size : int
        Side of the map, pixels.
    freq, hours : int
        Band (MHz) and depth.
    seed : int
        Of the simulation.
    options : ContinuumOptions, optional
        Other settings of it; size, band, depth, seed and place are set here.

    Returns
    -------
    Path
        The folder: the map, its primary beam, the training set (15 columns after 18 lines of text) and the
        truth.
    """
    given = replace(options or ContinuumOptions(), size=size, seed=seed, hours=hours)
    return _map(make_folder(Path(folder)), _at(given, freq, freq), None)


def rehearse_bands(
    folder: str | os.PathLike[str],
    *,
    freqs: tuple[int, ...] = (560, 1400),
    size: int = 1024,
    hours: int = 1000,
    seed: int = 1,
) -> Path:
    """Simulate the files of several bands of SDC1 that show one sky, about one centre.

    Parameters
    ----------
    folder : path
        Where to; files there are replaced.
    freqs : tuple of int
        Bands, MHz; the first is 560.
    size, hours, seed : int
        As for `rehearse_sdc1`; each map has so many pixels, those of higher bands are smaller on the sky.
    """
    target = make_folder(Path(folder))
    given = ContinuumOptions(size=size, seed=seed, hours=hours)
    first = _at(given, 560, freqs[-1])
    sky = draw_field(first).truth
    for number, freq in enumerate(freqs):
        here = _at(given, freq, freqs[-1])
        rng = np.random.default_rng([seed, number])
        _map(target, here, sky if freq == 560 else in_other_band(sky, first, here, rng))
    return target


def _at(options: ContinuumOptions, freq: int, centre: int) -> ContinuumOptions:
    """Options of a band, the field at RA 0 in the middle of the training area of the band `centre`."""
    _, _, dec_min, dec_max = TRAINING_BOX[centre]
    north = 30.0 + 0.5 * (dec_min + dec_max)
    return replace(options, frequency=freq, offset_east=0.0, offset_north=north)


def _map(target: Path, options: ContinuumOptions, sky: Sources | None) -> Path:
    """The files of one band."""
    freq = options.frequency
    files = {role: target / file.name for role, file in sdc1_files(freq, options.hours).items()}
    work = simulate_continuum(target / "simulated", options=options, sky=sky)
    for role in ("image", "primary_beam", "truth"):
        os.replace(work / f"{role}{files[role].suffix}", files[role])
    shutil.rmtree(work)
    table = read_sdc1(files["truth"], strict=False)
    write_training_set(table, files["image"], files["training"], TRAINING_BOX[freq])
    return target


def rehearse_sdc2(
    folder: str | os.PathLike[str],
    *,
    shape: tuple[int, int, int] = (512, 192, 192),
    training: str = "dev",
    seed: int = 1,
    options: HiOptions | None = None,
) -> Path:
    """Simulate the files of SDC2: a small cube, and another one to train and tune on.

    Parameters
    ----------
    folder : path
        Where to; files there are replaced.
    shape : (z, y, x)
        Of both cubes.
    training : str
        Which training cube it stands for, "dev" or "ldev".
    seed : int
        Of the cube; that of the training cube is one higher.
    options : HiOptions, optional
        Other settings of the simulation.
    """
    target = make_folder(Path(folder))
    files = {role: target / file.name for role, file in sdc2_files(training).items()}
    roles = (("image", "continuum", "truth"), ("training_image", "training_continuum", "training"))
    for number, (cube, continuum, truth) in enumerate(roles):
        made = replace(options or HiOptions(), shape=shape, seed=seed + number)
        work = simulate_hi(target / "simulated", options=made)
        for role, name in ((cube, "cube.fits"), (continuum, "continuum.fits"), (truth, "truth.txt")):
            os.replace(work / name, files[role])
        shutil.rmtree(work)
    return target


def write_training_set(
    table: pd.DataFrame, image: Path, path: Path, box: tuple[float, float, float, float]
) -> None:
    """Sources of the training area in 15 columns: selected, and where in the map, after lines of text."""
    ra, dec = table["ra_core"].to_numpy(np.float64), table["dec_core"].to_numpy(np.float64)
    inside = (ra > box[0]) & (ra < box[1]) & (dec > box[2]) & (dec < box[3])
    rows = table[inside]
    x, y = open_image(image).wcs.all_world2pix(ra[inside], dec[inside], 1)
    rows = rows.assign(selection=1, x=x, y=y)[[*SDC1_COLUMNS, *TRAINING_COLUMNS]]
    text = [f"# {name}" for name in (*SDC1_COLUMNS, *TRAINING_COLUMNS)]
    lines = ["Training set (simulated)", "", *text, " ".join(rows.columns)]
    with atomic_path(path, overwrite=True) as temporary:
        body = rows.to_csv(sep=" ", index=False, header=False)
        temporary.write_text("\n".join(lines[:PREAMBLE]) + "\n" + body)

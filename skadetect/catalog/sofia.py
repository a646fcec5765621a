"""Catalogues in the layout of SoFiA-2's plain-text ones (``*_cat.txt``), for tools that read those.

All columns of SoFiA-2 are there, by its names and in its order and units: pixels are 0-based, widths in Hz.
What is not measured here is NaN, or -1 where a whole number stands. `rel` is the score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skadetect.catalog.plain import plain_columns
from skadetect.errors import InputError
from skadetect.spectral import LIGHT_KMS

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog

#: Characters of a column; a name has twice as many.
WIDTH = 14
_FLUX, _SUM = "Jy/beam", "Jy*Hz"

#: SoFiA-2's columns after the name, and their units ("-": none).
SOFIA_COLUMNS: tuple[tuple[str, str], ...] = (
    ("id", "-"), ("x", "pix"), ("y", "pix"), ("z", "pix"), ("x_min", "pix"), ("x_max", "pix"),
    ("y_min", "pix"), ("y_max", "pix"), ("z_min", "pix"), ("z_max", "pix"), ("n_pix", "-"), ("f_min", _FLUX),
    ("f_max", _FLUX), ("f_sum", _SUM), ("rel", "-"), ("flag", "-"), ("rms", _FLUX), ("w20", "Hz"),
    ("w50", "Hz"), ("wm50", "Hz"), ("z_w20", "pix"), ("z_w50", "pix"), ("z_wm50", "pix"), ("ell_maj", "pix"),
    ("ell_min", "pix"), ("ell_pa", "deg"), ("ell3s_maj", "pix"), ("ell3s_min", "pix"), ("ell3s_pa", "deg"),
    ("kin_pa", "deg"), ("err_x", "pix"), ("err_y", "pix"), ("err_z", "pix"), ("err_f_sum", _SUM),
    ("snr", "-"), ("snr_max", "-"), ("ra", "deg"), ("dec", "deg"), ("freq", "Hz"), ("x_peak", "pix"),
    ("y_peak", "pix"), ("z_peak", "pix"), ("ra_peak", "deg"), ("dec_peak", "deg"), ("freq_peak", "Hz"),
)  # fmt: skip
_WHOLE = (
    "id", "x_min", "x_max", "y_min", "y_max", "z_min", "z_max", "n_pix", "flag", "x_peak", "y_peak", "z_peak",
)  # fmt: skip
# The line of names is the nineteenth, where tools that count lines look for it.
_HEADER = """# SoFiA source catalogue
# Creator: {creator}
# Time:    {date}
#
# Found and measured by skadetect, not by SoFiA, in SoFiA's layout.
# What skadetect does not measure is nan, or -1 where a whole number
# stands: n_pix, f_min, wm50, the centres of line widths, the three-sigma
# ellipse and the position of the peak. rel is the score of the network,
# the ellipse is that of the disc at 1 Msun/pc^2 through the beam.
# Numbers have few digits here; the fits, votable and ecsv formats of
# skadetect keep all of them, with sizes, inclinations and errors.
#
# Header rows:
#   1 = column number
#   2 = parameter name
#   3 = parameter unit
#
"""


def write(catalog: Catalog, path: Path) -> None:
    """Write a catalogue to a path that may be overwritten."""
    columns = sofia_columns(catalog)
    about = catalog.meta
    with path.open("w", encoding="utf-8") as file:
        file.write(_HEADER.format(creator=about.get("creator", "skadetect"), date=about.get("date", "")))
        names, units = zip(*SOFIA_COLUMNS)
        for first, others in ((1, range(2, len(names) + 2)), ("name", names), ("-", units)):
            file.write("#" + _line(first, map(str, others)) + "\n")
        file.write("\n")
        writers = [_whole if name in _WHOLE else _number for name in names]
        for name, *cells in zip(catalog["name"], *(columns[name] for name in names)):
            quoted = f'"{name}"'
            file.write(" " + _line(quoted, _texts(writers, cells)) + "\n")


def sofia_columns(catalog: Catalog) -> dict[str, NDArray[Any]]:
    """The columns of `SOFIA_COLUMNS`, in SoFiA's units and senses.

    Its kinematic angle is that of the side at higher channels, boxes are the first and last pixel in them.

    Raises
    ------
    InputError
        The catalogue is of an image.
    """
    if not catalog.is_cube:
        raise InputError("the sofia format holds galaxies of cubes; this catalogue is of an image")
    ours = plain_columns(catalog.table, catalog.colnames)
    n, scale = len(catalog), float(catalog.meta["pixscale"])
    unknown = {name: np.full(n, -1.0 if name in _WHOLE else np.nan) for name, _ in SOFIA_COLUMNS}
    to_hz = ours["freq"] / LIGHT_KMS
    # in a cube of ascending frequency the side at higher channels is the approaching one
    turn = 180.0 if catalog.meta["chanstep"] > 0 else 0.0
    bounds = {f"{axis}_min": np.maximum(np.ceil(ours[f"{axis}_min"]), 0) for axis in "xyz"}
    bounds |= {f"{axis}_max": np.floor(ours[f"{axis}_max"]) for axis in "xyz"}
    changed = {
        "rel": ours["score"],
        "w20": ours["w20"] * to_hz,
        "w50": ours["w50"] * to_hz,
        "ell_maj": ours["ell_maj"] / scale,
        "ell_min": ours["ell_min"] / scale,
        "kin_pa": np.mod(ours["kin_pa"] + turn, 360.0),
        "snr_max": ours["f_max"] / ours["rms"],
    }
    return unknown | {name: ours[name] for name in unknown if name in ours} | bounds | changed


def _line(first: object, others: Iterable[str]) -> str:
    return f"{first!s:>{2 * WIDTH}}" + "".join(f"{text:>{WIDTH}}" for text in others)


def _texts(writers: Iterable[Callable[[float], str]], cells: Iterable[float]) -> Iterable[str]:
    return (writer(float(cell)) for writer, cell in zip(writers, cells))


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _number(value: float) -> str:
    """Few digits, as SoFiA-2 has them: fixed between a thousandth and ten thousand."""
    small = value == 0 or 1e-3 <= abs(value) < 1e4
    return f"{value:.6f}" if small or np.isnan(value) else f"{value:.5e}"

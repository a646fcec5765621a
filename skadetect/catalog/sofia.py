"""Catalogues in the layout of SoFiA-2's plain-text ones (``*_cat.txt``), for tools that read those.

All columns of SoFiA-2 are there, by its names and in its order and units: pixels are 0-based, widths in Hz.
What is not measured here is NaN, or -1 where a whole number stands. `rel` is `prob`, or `score` if the model
has no probability.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skadetect.catalog.plain import plain_columns
from skadetect.errors import InputError
from skadetect.spectral import LIGHT_KMS

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog

#: Rows that are written at a time.
CHUNK = 16384
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
# ellipse and the position of the peak. rel is prob (or score),
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
            cells = [f"{text:>{WIDTH}}" for text in others]
            file.write("".join([f"#{first:>{2 * WIDTH}}", *cells, "\n"]))
        file.write("\n")
        for start in range(0, len(catalog), CHUNK):
            rows = slice(start, start + CHUNK)
            quoted = [" " + f'"{name}"'.rjust(2 * WIDTH) for name in catalog["name"][rows]]
            texts = [_texts(columns[name][rows], whole=name in _WHOLE) for name in names]
            file.writelines("".join(row) + "\n" for row in zip(quoted, *texts))


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
        "rel": np.where(np.isfinite(ours["prob"]), ours["prob"], ours["score"]),
        "w20": ours["w20"] * to_hz,
        "w50": ours["w50"] * to_hz,
        "ell_maj": ours["ell_maj"] / scale,
        "ell_min": ours["ell_min"] / scale,
        "kin_pa": np.mod(ours["kin_pa"] + turn, 360.0),
        "snr_max": ours["f_max"] / ours["rms"],
    }
    return unknown | {name: ours[name] for name in unknown if name in ours} | bounds | changed


def _texts(values: NDArray[Any], *, whole: bool) -> list[str]:
    """Cells of a column, with few digits as SoFiA-2 has them: fixed between a thousandth and ten thousand."""
    if whole:
        return [f"{value:{WIDTH}.0f}" for value in values.tolist()]
    numbers = values.astype(np.float64)
    fixed = (numbers == 0) | ((np.abs(numbers) >= 1e-3) & (np.abs(numbers) < 1e4)) | np.isnan(numbers)
    return [
        f"{value:{WIDTH}.6f}" if few else f"{value:{WIDTH}.5e}"
        for value, few in zip(numbers.tolist(), fixed.tolist())
    ]

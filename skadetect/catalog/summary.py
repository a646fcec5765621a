"""The brightest rows of a catalogue as text, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import QTable, Row

from skadetect.catalog.cube_flags import CUBE_FLAGS
from skadetect.catalog.flags import flag_names

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog

_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))


def brightest(catalog: Catalog, n: int = 10) -> str:
    """Table of the sources with the highest peaks, or of the galaxies with the largest line fluxes.

    Parameters
    ----------
    catalog : Catalog
        Of one image or cube.
    n : int
        Rows at most.

    Returns
    -------
    str
        Lines of text; one that says so if there are no sources.
    """
    shown = min(n, len(catalog))
    if not shown:
        return "no sources"
    flux = catalog.table["f_sum" if catalog.is_cube else "peak_flux"].value
    rows = catalog.table[np.argsort(-flux, kind="stable")[:shown]]
    lines = _cube_lines(rows) if catalog.is_cube else _image_lines(rows)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(_aligned(line, widths)).rstrip() for line in lines)


def si_prefix(value: float) -> tuple[float, str]:
    """Scale and SI prefix in which a value has one to three digits before the point, from 1 down to nano."""
    for scale, prefix in _PREFIXES:
        if abs(value) >= scale:
            return scale, prefix
    return _PREFIXES[-1] if value else _PREFIXES[0]


def _image_lines(rows: QTable) -> list[tuple[str, ...]]:
    scale, prefix = si_prefix(float(np.nanmedian(rows["peak_flux"].value)))
    peak_unit = f"{prefix}{rows['peak_flux'].unit.to_string().replace(' ', '')}"
    header = (
        "name", "ra [deg]", "dec [deg]", f"peak [{peak_unit}]", f"flux [{prefix}{rows['int_flux'].unit}]",
        'bmaj x bmin ["]', "pa [deg]", "snr", "score", "prob", "flags",
    )  # fmt: skip
    return [header, *(_image_cells(row, scale) for row in rows)]


def _image_cells(row: Row, scale: float) -> tuple[str, ...]:
    return (
        str(row["name"]),
        f"{_number(row, 'ra'):.5f}",
        f"{_number(row, 'dec'):+.5f}",
        f"{_number(row, 'peak_flux') / scale:.4g}",
        f"{_number(row, 'int_flux') / scale:.4g}",
        f"{_number(row, 'bmaj'):.2f} x {_number(row, 'bmin'):.2f}",
        f"{_number(row, 'pa'):.0f}",
        f"{_number(row, 'snr'):.1f}",
        f"{_number(row, 'score'):.3f}",
        f"{_number(row, 'prob'):.3f}",
        " ".join(flag_names(int(_number(row, "flags")))),
    )


def _cube_lines(rows: QTable) -> list[tuple[str, ...]]:
    unit = str(rows["f_sum"].unit).replace("Hz Jy", "Jy Hz")
    header = (
        "name", "ra [deg]", "dec [deg]", "freq [MHz]", "v_opt [km/s]", f"f_sum [{unit}]",
        "w20 [km/s]", 'hi_size ["]', "incl [deg]", "kin_pa [deg]", "snr", "score", "prob", "flag",
    )  # fmt: skip
    return [header, *(_cube_cells(row) for row in rows)]


def _cube_cells(row: Row) -> tuple[str, ...]:
    return (
        str(row["name"]),
        f"{_number(row, 'ra'):.5f}",
        f"{_number(row, 'dec'):+.5f}",
        f"{_number(row, 'freq') / 1e6:.3f}",
        f"{_number(row, 'v_opt'):.1f}",
        f"{_number(row, 'f_sum'):.4g}",
        f"{_number(row, 'w20'):.0f}",
        f"{_number(row, 'hi_size'):.1f}",
        f"{_number(row, 'incl'):.0f}",
        f"{_number(row, 'kin_pa'):.0f}",
        f"{_number(row, 'snr'):.1f}",
        f"{_number(row, 'score'):.3f}",
        f"{_number(row, 'prob'):.3f}",
        " ".join(flag_names(int(_number(row, "flag")), CUBE_FLAGS)),
    )


def _number(row: Row, name: str) -> float:
    """A cell; NaN where a file that is older than the column lacks it."""
    cell: Any = row[name] if name in row.colnames else np.nan
    return float(getattr(cell, "value", cell))


def _aligned(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    """Text to the left (the first and last column), numbers to the right."""
    last = len(cells) - 1
    return [
        cell.ljust(w) if i in (0, last) else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths))
    ]

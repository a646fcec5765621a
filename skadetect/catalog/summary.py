"""The brightest rows of a catalogue as text, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Row

from skadetect.catalog.flags import flag_names

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog

_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))


def brightest(catalog: Catalog, n: int = 10) -> str:
    """Table of the sources with the highest peaks.

    Parameters
    ----------
    catalog : Catalog
        Of one image.
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
    rows = catalog.table[np.argsort(-catalog.table["peak_flux"].value, kind="stable")[:shown]]
    scale, prefix = si_prefix(float(np.nanmedian(rows["peak_flux"].value)))
    peak_unit = f"{prefix}{rows['peak_flux'].unit.to_string().replace(' ', '')}"
    header = (
        "name", "ra [deg]", "dec [deg]", f"peak [{peak_unit}]", f"flux [{prefix}{rows['int_flux'].unit}]",
        'bmaj x bmin ["]', "pa [deg]", "snr", "score", "flags",
    )  # fmt: skip
    lines = [header, *(_cells(row, scale) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join("  ".join(_aligned(line, widths)).rstrip() for line in lines)


def si_prefix(value: float) -> tuple[float, str]:
    """Scale and SI prefix in which a value has one to three digits before the point, from 1 down to nano."""
    for scale, prefix in _PREFIXES:
        if abs(value) >= scale:
            return scale, prefix
    return _PREFIXES[-1] if value else _PREFIXES[0]


def _cells(row: Row, scale: float) -> tuple[str, ...]:
    def number(name: str) -> float:
        cell: Any = row[name]
        return float(getattr(cell, "value", cell))

    return (
        str(row["name"]),
        f"{number('ra'):.5f}",
        f"{number('dec'):+.5f}",
        f"{number('peak_flux') / scale:.4g}",
        f"{number('int_flux') / scale:.4g}",
        f"{number('bmaj'):.2f} x {number('bmin'):.2f}",
        f"{number('pa'):.0f}",
        f"{number('snr'):.1f}",
        f"{number('score'):.3f}",
        " ".join(flag_names(int(number("flags")))),
    )


def _aligned(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    """Text to the left (the first and last column), numbers to the right."""
    last = len(cells) - 1
    return [
        cell.ljust(w) if i in (0, last) else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths))
    ]

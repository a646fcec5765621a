"""Catalogues as DS9 regions: an ellipse a source as seen through the beam, its FWHM or a galaxy's disc."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skadetect.catalog.plain import plain_columns

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog

_HEADER = """# Region file format: DS9 version 4.1
# {creator}, {image}
global color=green width=1
{frame}
"""
_IMAGE = ("source_id", "ra", "dec", "bmaj", "bmin", "pa")
_CUBE = ("id", "ra", "dec", "ell_maj", "ell_min", "ell_pa")
# DS9 turns an ellipse from the axis of right ascension; a position angle starts at north, a quarter turn on.
_FROM_NORTH = 90.0


def write(catalog: Catalog, path: Path) -> None:
    """Write a catalogue to a path that may be overwritten."""
    names = _CUBE if catalog.is_cube else _IMAGE
    columns = [values.tolist() for values in plain_columns(catalog.table, names).values()]
    meta = catalog.meta
    frame = "icrs" if meta.get("radesys", "ICRS") == "ICRS" else "fk5"
    image = "".join(letter if letter.isprintable() else " " for letter in str(meta.get("image", "")))
    with path.open("w", encoding="utf-8") as file:
        file.write(_HEADER.format(creator=meta.get("creator", "skadetect"), image=image, frame=frame))
        for number, ra, dec, bmaj, bmin, pa in zip(*columns):
            angle = (pa + _FROM_NORTH) % 360.0
            ellipse = f'{ra:.8f},{dec:.8f},{bmaj / 2:.4f}",{bmin / 2:.4f}",{angle:.3f}'
            file.write(f"ellipse({ellipse}) # text={{{number}}}\n")

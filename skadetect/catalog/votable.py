"""Catalogues as VOTable (binary), with UCDs, a coordinate system and the provenance as PARAMs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from astropy.io.votable import from_table
from astropy.io.votable.tree import CooSys, Param

from skadetect.catalog.plain import plain_table
from skadetect.catalog.schema import KEYWORDS

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog


def write(catalog: Catalog, path: Path) -> None:
    """Write a catalogue to a path that may be overwritten."""
    tree = from_table(plain_table(catalog.table), table_id="sources")
    resource = tree.resources[0]
    frame = str(catalog.meta.get("radesys", "ICRS"))
    system = {"system": "eq_FK5", "equinox": "J2000"} if frame == "FK5" else {"system": "ICRS"}
    resource.coordinate_systems.append(CooSys(ID="frame", **system))
    sources = tree.get_first_table()
    for name in ("ra", "dec"):
        sources.get_field_by_id_or_name(name).ref = "frame"
    descriptions = {keyword.name: keyword.description for keyword in KEYWORDS}
    for name, value in catalog.meta.items():
        number = isinstance(value, (int, float))
        kind = {"datatype": "double"} if number else {"datatype": "unicodeChar", "arraysize": "*"}
        param = Param(tree, name=name, value=float(value) if number else str(value), **kind)
        param.description = descriptions.get(name)
        sources.params.append(param)
    # half the time of binary2, whose masks a table without nulls does not need
    tree.to_xml(str(path), tabledata_format="binary")

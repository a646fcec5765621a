"""Columns of some rows at a time become the table of all rows."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from hypothesis import given
from hypothesis import strategies as st

from skadetect.catalog import assemble
from skadetect.catalog.assemble import calibrate, chunks, gather, projected, to_table
from skadetect.catalog.schema import COLUMNS
from skadetect.detections import Detections
from tests.catalog.toy import toy_catalog

SPECS = [spec for spec in COLUMNS if spec.name in ("name", "x", "int_flux", "flags")]


def _part(start: int, stop: int) -> dict[str, np.ndarray]:
    rows = np.arange(start, stop)
    names = np.array([f"SKAD J0000{n:02d}.1-300216" for n in rows], "U21")
    return {"name": names, "x": rows + 0.5, "int_flux": 1e-6 * rows, "flags": rows % 64, "other": rows}


def test_parts_one_after_another_are_the_whole() -> None:
    parts = [_part(0, 3), _part(3, 3), _part(3, 10)]
    arrays = gather(SPECS, parts, 10, prefix="SKAD")
    assert arrays.keys() == {spec.name for spec in SPECS}
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, _part(0, 10)[name])
        assert values.dtype == next(spec for spec in SPECS if spec.name == name).dtype or name == "name"


def test_a_table_takes_the_arrays_with_their_units() -> None:
    arrays = gather(SPECS, [_part(0, 4)], 4, prefix="SKAD")
    flux = arrays["int_flux"]
    table = to_table(arrays, SPECS, u.Jy / u.beam, meta={"model": "toy"})
    assert not arrays and table.meta == {"model": "toy"}
    assert table["int_flux"].unit == u.Jy and table["x"].unit == u.pix
    assert np.shares_memory(table["int_flux"].value, flux)
    assert all(table[spec.name].info.meta == {"ucd": spec.ucd} for spec in SPECS)


def test_a_catalogue_does_not_depend_on_the_rows_worked_out_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = toy_catalog()
    monkeypatch.setattr(assemble, "CHUNK", 2)
    for name in whole.table.colnames:
        np.testing.assert_array_equal(toy_catalog().table[name], whole.table[name])


def test_chunks_are_all_rows_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "CHUNK", 3)
    rows = Detections.from_columns(position=np.arange(14.0).reshape(7, 2), boxes=np.zeros((7, 2, 2)))
    parts = list(chunks(rows))
    assert [len(part) for part in parts] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([part.position for part in parts]), rows.position)


def test_errors_are_widened_by_a_factor_and_a_floor() -> None:
    columns = {"e_ra": np.array([3.0, 0.0]), "e_dec": np.ones(2)}
    calibrate(columns, {"e_ra": (2.0, 0.5)}, lambda _: np.array([16.0, 2.0]))
    assert columns["e_ra"].tolist() == [10.0, 1.0] and columns["e_dec"].tolist() == [1.0, 1.0]


@given(major=st.floats(0.1, 10), minor=st.floats(0.1, 10), angle=st.floats(-7, 7))
def test_errors_along_the_axes_are_those_of_the_rotated_covariance(major, minor, angle) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    covariance = turn @ np.diag([major**2, minor**2]) @ turn.T
    along = projected(*(np.array(value) for value in (major, minor, angle)))
    np.testing.assert_allclose(along, np.sqrt(np.diag(covariance)))

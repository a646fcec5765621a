from __future__ import annotations

import math

import numpy as np
import pytest

from skadetect.errors import OutputError
from skadetect.train.record import Record, plot_curves


def filled(path, n=5) -> Record:
    record = Record(path)
    for step in range(1, n + 1):
        record.add(step, total=1.0 / step, rate=1e-3)
    return record


def test_restored_up_to_a_step(tmp_path):
    filled(tmp_path / "a.csv").save()
    again = Record(tmp_path / "a.csv")
    again.restore(3)
    np.testing.assert_array_equal(again.column("step"), [1, 2, 3])
    np.testing.assert_allclose(again.column("total"), [1, 0.5, 1 / 3], rtol=1e-6)
    assert math.isnan(again.column("absent")[0])


def test_absent_and_empty(tmp_path):
    record = Record(tmp_path / "a.csv")
    record.restore(10)
    record.save()
    assert record.rows == [] and not (tmp_path / "a.csv").exists()


def test_unwritable(tmp_path):
    with pytest.raises(OutputError, match="absent"):
        filled(tmp_path / "absent" / "a.csv").save()


def test_curves_are_drawn(tmp_path):
    losses, validation = filled(tmp_path / "l.csv", 450), Record(tmp_path / "v.csv")
    validation.add(5, completeness=0.5, purity=0.9, average_precision=0.6, mean_attribute=0.8, score=10.0)
    assert plot_curves(tmp_path / "c.png", losses, validation, names=["total"])
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")

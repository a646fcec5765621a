"""The figure is written whatever the number of quantities, and says why where it cannot be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skadetect.errors import OutputError
from skadetect.evaluate.pull_figure import plot_pulls


@pytest.mark.parametrize("panels", [1, 6])
def test_a_png_with_a_panel_a_quantity(tmp_path, panels):
    values = np.random.default_rng(0).standard_normal((50, panels))
    table = pd.DataFrame(values, columns=[f"q{i}" for i in range(panels)]).assign(snr=10.0)
    table.loc[3, "q0"] = np.nan
    plot_pulls(tmp_path / "pulls.png", table, title="toy")
    assert (tmp_path / "pulls.png").read_bytes().startswith(b"\x89PNG")


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match=r"pulls\.png"):
        plot_pulls(tmp_path / "absent" / "pulls.png", pd.DataFrame({"snr": [1.0], "ra": [0.0]}))

"""The table of attributes: ours between constants and the limits, on a field of realistic sources."""

from __future__ import annotations

from skadetect.sdc import Sdc1, rehearse_sdc1


def test_measurements_beat_constants_and_not_the_limits(tmp_path):
    run = Sdc1(rehearse_sdc1(tmp_path / "data", size=640)).detect()
    table = run.attributes(sample=300, population=800)
    assert table["score"].to_dict() == run.score().attributes
    for name in ("flux", "b_maj", "b_min", "pa"):
        ours, constant = table.loc[name, "score"], table.loc[name, "constant"]
        best = table.loc[name, ["limit", "limit_with_population"]].max()
        assert constant + 0.02 < ours < best + 0.04, name

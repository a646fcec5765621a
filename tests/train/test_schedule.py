from __future__ import annotations

import numpy as np
import pytest

from skadetect.errors import ConfigError
from skadetect.train.schedule import ScheduleOptions, learning_rate


def rates(options: ScheduleOptions, steps: int = 100) -> list[float]:
    return [learning_rate(k, steps=steps, peak=2.0, options=options) for k in range(steps + 1)]


def test_rises_to_the_peak_then_falls_to_the_final_fraction():
    values = rates(ScheduleOptions(warmup=10, final=0.1))
    assert values[0] == pytest.approx(0.2, rel=1e-2)
    assert max(values) == pytest.approx(2.0, rel=0.05)
    assert values.index(max(values)) == 9
    assert values[100] == pytest.approx(0.2)
    assert (np.diff(values[9:]) < 0).all()


def test_half_way_is_the_mean_of_peak_and_end():
    assert learning_rate(50, steps=100, peak=1.0, options=ScheduleOptions(0, 0.0)) == pytest.approx(0.5)


def test_constant_after_warmup():
    assert rates(ScheduleOptions(warmup=4, kind="constant"))[3:] == [2.0] * 98


@pytest.mark.parametrize("wrong", [{"kind": "step"}, {"warmup": -1}, {"final": 1.5}])
def test_wrong_options(wrong):
    with pytest.raises(ConfigError):
        ScheduleOptions(**wrong)

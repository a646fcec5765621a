"""Loss scaling keeps small gradients and lives through large ones."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.train.scaling import LEAST, MOST, PATIENCE, LossScale


def gradients(value: float) -> dict[str, np.ndarray]:
    return {"a.filters": np.full(3, value, np.float32), "a.bias": np.ones(2, np.float32)}


def test_a_factor_is_taken_out_again() -> None:
    scale = LossScale.start(moving=True)
    found = {name: array * np.float32(scale.factor) for name, array in gradients(1e-7).items()}
    assert scale.undo(found)
    np.testing.assert_array_equal(found["a.filters"], np.float32(1e-7))
    assert np.float16(1e-8) == 0 and np.float16(1e-8 * scale.factor) != 0


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_an_overflow_halves_the_factor_and_leaves_the_step_out(bad: float) -> None:
    scale = LossScale.start(moving=True)
    before = scale.factor
    assert not scale.undo(gradients(bad))
    assert scale.factor == before / 2
    scale.factor = LEAST
    assert scale.undo(gradients(bad))  # nothing more to mend: it is the training's to report


def test_it_grows_after_many_good_steps_up_to_a_limit() -> None:
    scale = LossScale.start(moving=True)
    before = scale.factor
    for _ in range(PATIENCE):
        assert scale.undo(gradients(1.0))
    assert (scale.factor, scale.good) == (2 * before, 0)
    scale.factor, scale.good = MOST, PATIENCE
    scale.undo(gradients(1.0))
    assert scale.factor == MOST


def test_without_16_bits_nothing_changes() -> None:
    scale = LossScale.start(moving=False)
    found = gradients(np.inf)
    assert scale.undo(found) and scale.factor == 1.0
    assert np.isinf(found["a.filters"]).all()

"""Steps on numbers, on arrays and in compiled code are the same."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from skadetect.descent import adam_move, clip_factor, momentum_move, towards

VALUES = np.random.default_rng(4).normal(size=(4, 50)).astype("f4")


@pytest.mark.parametrize("nesterov", [False, True])
def test_arrays_move_as_numbers_do(nesterov):
    a, b, c, _ = VALUES
    root = np.abs(c)
    rate, small = np.float32(0.1), np.float32(1e-3)
    rest = (rate, rate, small)
    for whole, one in [
        (towards(a, b, rate), lambda i: towards(a[i], b[i], rate)),
        (adam_move(a, b, root, *rest), lambda i: adam_move(a[i], b[i], root[i], *rest)),
        (
            momentum_move(a, b, c, rate, small, nesterov),
            lambda i: momentum_move(a[i], b[i], c[i], rate, small, nesterov),
        ),
    ]:
        assert whole.dtype == np.float32
        np.testing.assert_array_equal(whole, [one(i) for i in range(len(a))])


def test_compiled_code_may_call_them():
    compiled = numba.njit(lambda x, y: adam_move(x, y, abs(y), 0.1, 0.5, 1e-3) + clip_factor(x, 0.5) * x)
    x, y = 1.25, -0.75
    assert compiled(x, y) == pytest.approx(adam_move(x, y, abs(y), 0.1, 0.5, 1e-3) + clip_factor(x, 0.5) * x)


def test_a_mean_goes_the_share_of_the_way():
    assert towards(2.0, 6.0, 0.25) == 3.0
    assert (towards(2.0, 6.0, 0.0), towards(2.0, 6.0, 1.0)) == (2.0, 6.0)


@pytest.mark.parametrize(("norm", "limit"), [(3.0, 5.0), (5.0, 5.0), (8.0, 5.0), (8.0, 0.0)])
def test_a_clipped_norm_is_at_most_the_limit(norm, limit):
    clipped = norm * clip_factor(norm, limit)
    assert clipped == pytest.approx(min(norm, limit) if limit else norm, rel=1e-6)
    assert not limit or clipped <= limit

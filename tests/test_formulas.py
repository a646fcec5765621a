import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from scipy import special

from skadetect import formulas as f

corner = st.floats(-50, 50)
side = st.floats(0.1, 30)


@st.composite
def boxes(draw, ndim=2):
    low = np.array([draw(corner) for _ in range(ndim)])
    return np.stack([low, low + [draw(side) for _ in range(ndim)]])


def box(*corners):
    """Box of low and high corners."""
    return np.array(corners, dtype=float)


class TestOverlap:
    def test_half_shifted_unit_squares(self):
        a, b = box((0, 0), (1, 1)), box((0, 0.5), (1, 1.5))
        diagonal = math.sqrt(1 + 1.5**2)
        assert f.overlap(f.IOU, a, b) == pytest.approx(0.5 / 1.5)
        assert f.overlap(f.GIOU, a, b) == pytest.approx(0.5 / 1.5)  # the hull is the union
        assert f.overlap(f.DIOU, a, b) == pytest.approx(0.5 / 1.5 - 0.5 / diagonal)
        assert f.overlap(f.DIOU_SQUARED, a, b) == pytest.approx(0.5 / 1.5 - 0.25 / diagonal**2)

    def test_apart(self):
        a, b = box((0, 0), (1, 1)), box((3, 0), (4, 1))
        assert f.overlap(f.IOU, a, b) == 0
        assert f.overlap(f.GIOU, a, b) == pytest.approx(-(4 - 2) / 4)
        assert f.overlap(f.DIOU, a, b) == pytest.approx(-3 / math.sqrt(17))
        assert f.overlap(f.DIOU_SQUARED, a, b) == pytest.approx(-9 / 17)

    def test_three_axes(self):
        a, b = box((0, 0, 0), (2, 2, 2)), box((1, 1, 1), (3, 3, 3))
        assert f.overlap(f.IOU, a, b) == pytest.approx(1 / 15)
        assert f.overlap(f.GIOU, a, b) == pytest.approx(1 / 15 - 12 / 27)
        assert f.overlap(f.DIOU, a, b) == pytest.approx(1 / 15 - 1 / 3)
        assert f.overlap(f.DIOU_SQUARED, a, b) == pytest.approx(1 / 15 - 1 / 9)

    def test_points_overlap_nothing(self):
        point = box((1, 1), (1, 1))
        for kind in f.OVERLAPS.values():
            assert f.overlap(kind, point, point) == 0

    @pytest.mark.parametrize("kind", f.OVERLAPS.values(), ids=f.OVERLAPS.keys())
    @given(a=boxes(), b=boxes())
    def test_symmetric_bounded_and_at_most_the_iou(self, kind, a, b):
        value = f.overlap(kind, a, b)
        assert value == pytest.approx(f.overlap(kind, b, a), abs=1e-12)
        assert -1 <= value <= f.overlap(f.IOU, a, b) + 1e-12 <= 1 + 1e-9
        assert f.overlap(kind, a, a) == pytest.approx(1)

    @pytest.mark.parametrize("kind", f.OVERLAPS.values(), ids=f.OVERLAPS.keys())
    @given(a=boxes(), b=boxes(), move=corner, scale=st.floats(0.2, 5))
    def test_unchanged_by_shift_and_scale(self, kind, a, b, move, scale):
        moved = f.overlap(kind, scale * a + move, scale * b + move)
        assert moved == pytest.approx(f.overlap(kind, a, b), abs=1e-9)

    def test_compiled_is_the_same(self):
        compiled = njit(f.overlap)
        a, b = box((0.0, 1.0), (4.0, 3.0)), box((1.0, 0.0), (2.5, 9.0))
        for kind in f.OVERLAPS.values():
            assert compiled(kind, a, b) == pytest.approx(f.overlap(kind, a, b), rel=1e-14)


class TestActivations:
    @given(x=st.floats(-700, 700))
    def test_sigmoid(self, x):
        assert f.sigmoid(x) == pytest.approx(0.5 * (1 + math.tanh(x / 2)), abs=1e-15)

    @pytest.mark.parametrize("x", [-1e9, 1e9])
    def test_sigmoid_saturates_without_overflow(self, x):
        assert f.sigmoid(x) == (x > 0)

    @given(p=st.floats(1e-9, 1 - 1e-9))
    def test_logit_inverts_sigmoid(self, p):
        assert f.sigmoid(f.logit(p)) == pytest.approx(p, rel=1e-9)

    def test_logit_of_certainty(self):
        assert f.logit(0) == -math.inf
        assert f.logit(1) == math.inf

    def test_leaky(self):
        assert [f.leaky(x, 0.1) for x in (-2.0, 0.0, 3.0)] == [-0.2, 0.0, 3.0]
        assert [f.leaky_slope(x, 0.1) for x in (-0.2, 3.0)] == [0.1, 1.0]

    @given(x=st.floats(-30, 30), target=st.floats(0, 1))
    def test_cross_entropy(self, x, target):
        s = f.sigmoid(x)
        expected = -target * math.log(s) - (1 - target) * math.log1p(-s)
        assert f.cross_entropy(x, target) == pytest.approx(expected, rel=1e-4, abs=1e-9)

    def test_softplus_far_out(self):
        assert f.softplus(1000.0) == 1000
        assert f.softplus(-1000.0) == 0


class TestResiduals:
    @pytest.mark.parametrize("kind", f.RESIDUALS.values(), ids=f.RESIDUALS.keys())
    @given(d=st.floats(-5, 5).filter(lambda d: abs(d) > 1e-3))
    def test_slope_is_the_derivative(self, kind, d):
        step = 1e-6
        rise = f.residual(kind, d + step, 0.3)[0] - f.residual(kind, d - step, 0.3)[0]
        assert f.residual(kind, d, 0.3)[1] == pytest.approx(rise / (2 * step), rel=1e-4, abs=1e-5)

    @pytest.mark.parametrize("kind", f.RESIDUALS.values(), ids=f.RESIDUALS.keys())
    def test_no_residual_no_loss(self, kind):
        assert f.residual(kind, 0.0, 0.3) == (0, 0)

    def test_values(self):
        assert f.residual(f.SQUARED, -3.0, 1.0) == (4.5, -3)
        assert f.residual(f.L1, -3.0, 1.0) == (3, -1)
        assert f.residual(f.SMOOTH_L1, -3.0, 1.0) == (2.5, -1)
        assert f.residual(f.SMOOTH_L1, 0.5, 1.0) == (0.125, 0.5)

    @given(d=st.floats(-f.RELATIVE_BEND, f.RELATIVE_BEND))
    def test_relative_error_of_a_quantity(self, d):
        truth = 7.0
        predicted = truth * math.exp(d)
        assert f.relative_error(d) == pytest.approx(abs(predicted - truth) / truth, abs=1e-12)

    @given(d=st.floats(-100, 100).filter(bool))
    def test_relative_slope_stays_within_bounds(self, d):
        assert 0.25 - 1e-12 <= abs(f.relative_error_slope(d)) <= 4 + 1e-12

    def test_score_is_half_at_the_tolerance(self):
        assert f.residual(f.SCORE, math.log(1.3), 0.3)[0] == pytest.approx(0.5)


def test_box_transforms():
    assert f.centre_offset(0.0, 1.4) == pytest.approx(0.5)
    assert f.centre_offset(1e9, 1.4) == pytest.approx(1.2)
    assert f.centre_offset(-1e9, 1.4) == pytest.approx(-0.2)
    assert f.box_side(math.log(2), 6.0, -3.0, 3.0) == pytest.approx(12)
    assert f.box_side(50.0, 6.0, -3.0, 3.0) == pytest.approx(6 * math.exp(3))
    assert f.fit_quality(-1.0) == 0
    assert f.fit_quality(1.0) == 1


def test_size_of_a_normal_number():
    chance = np.float32(np.geomspace(1e-7, 1.0, 500))
    found = [f.normal_size32(value) for value in chance]
    np.testing.assert_allclose(found, np.sqrt(2) * special.erfcinv(chance), rtol=0, atol=2e-6)
    assert f.normal_size32(np.float32(2.0**-32)) == pytest.approx(6.34, abs=0.01)

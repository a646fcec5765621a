"""Scalar formulas: activations, residual losses and box overlaps on plain numbers.

Every function is ordinary Python that compiled code may also call (CPU kernels and CUDA device code alike),
so one definition serves the kernels, the reference back end and the tests. A box is an array indexed
``box[side, axis]`` with side 0 = low corner and 1 = high corner, in any number of axes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

TANH, ASINH, LINEAR = 0, 1, 2
STRETCHES = {"tanh": TANH, "asinh": ASINH, "linear": LINEAR}

IOU, GIOU, DIOU, DIOU_SQUARED = 0, 1, 2, 3
OVERLAPS = {"iou": IOU, "giou": GIOU, "diou": DIOU, "diou_squared": DIOU_SQUARED}

SQUARED, L1, SMOOTH_L1, RELATIVE, SCORE = 0, 1, 2, 3, 4
RESIDUALS = {"squared": SQUARED, "l1": L1, "smooth_l1": SMOOTH_L1, "relative": RELATIVE, "score": SCORE}

RELATIVE_BEND = math.log(4.0)  # |difference| beyond which the relative error goes on as a straight line


@register_jitable
def leaky(x: float, slope: float) -> float:
    """Leaky rectifier: x if x > 0, slope * x otherwise."""
    return x if x > 0 else x * slope


@register_jitable
def leaky_slope(y: float, slope: float) -> float:
    """Derivative of `leaky`, from its input or its output (for slope > 0 they share their sign)."""
    return 1.0 if y > 0 else slope


@register_jitable
def sigmoid(x: float) -> float:
    """Logistic function 1 / (1 + exp(-x)), without overflow for any finite x."""
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@register_jitable
def logit(p: float) -> float:
    """Inverse of `sigmoid`: log(p / (1 - p)); minus and plus infinity at p <= 0 and p >= 1."""
    if p <= 0:
        return -math.inf
    if p >= 1:
        return math.inf
    return math.log(p / (1.0 - p))


@register_jitable
def softplus(x: float) -> float:
    """log(1 + exp(x)), without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@register_jitable
def cross_entropy(x: float, target: float) -> float:
    """Binary cross entropy of the logit x with a target in [0, 1]; its derivative is sigmoid(x) - target."""
    return softplus(x) - target * x


@register_jitable
def relative_error(d: float) -> float:
    """|exp(d) - 1|: the relative error of a positive quantity whose logarithm is wrong by d.

    Beyond |d| = log 4 it goes on as a straight line, so its slope stays between 1/4 and 4: an underestimate
    is never out of the gradient's reach and an overestimate never blows up.
    """
    if d > RELATIVE_BEND:
        return 3.0 + 4.0 * (d - RELATIVE_BEND)
    if d < -RELATIVE_BEND:
        return 0.75 - 0.25 * (d + RELATIVE_BEND)
    return abs(math.expm1(d))


@register_jitable
def relative_error_slope(d: float) -> float:
    """Derivative of `relative_error`; 0 at d = 0."""
    if d == 0:
        return 0.0
    size = math.exp(min(max(d, -RELATIVE_BEND), RELATIVE_BEND))
    return size if d > 0 else -size


@register_jitable
def residual(kind: int, d: float, tolerance: float) -> tuple[float, float]:
    """Loss of a residual d = prediction - target, and its derivative in d.

    Parameters
    ----------
    kind : int
        SQUARED d^2 / 2; L1 |d|; SMOOTH_L1 d^2 / 2 up to |d| = 1, then |d| - 1/2; RELATIVE E =
        `relative_error` (d is a difference of logarithms); SCORE E / (E + tolerance), the smooth form of a
        challenge's 1 - min(1, tolerance / E).
    d, tolerance : float
        Residual, and the relative error worth half a loss (used by SCORE only).
    """
    if kind == SQUARED:
        return 0.5 * d * d, d
    if kind == L1:
        return abs(d), 1.0 if d > 0 else (-1.0 if d < 0 else 0.0)
    if kind == SMOOTH_L1:
        if abs(d) < 1:
            return 0.5 * d * d, d
        return abs(d) - 0.5, 1.0 if d > 0 else -1.0
    error, slope = relative_error(d), relative_error_slope(d)
    if kind == RELATIVE:
        return error, slope
    total = error + tolerance
    return error / total, slope * tolerance / (total * total)


@register_jitable
def overlap(kind: int, a: Any, b: Any) -> float:
    """Overlap measure of two boxes.

    Parameters
    ----------
    kind : int
        IOU; GIOU = IoU - (hull - union) / hull (Rezatofighi et al. 2019); DIOU = IoU - d / D, d the distance
        between the centres and D the diagonal of the common hull (their plain ratio, as in YOLO-CIANNA);
        DIOU_SQUARED = IoU - d^2 / D^2 (Zheng et al. 2020).
    a, b : array, shape (2, ndim)
        Low and high corners, in one unit.

    Returns
    -------
    float
        In [0, 1] for IOU, above -1 and at most 1 for the others; never above the IoU.
    """
    inter, size_a, size_b, hull = 1.0, 1.0, 1.0, 1.0
    distance, diagonal = 0.0, 0.0
    for k in range(a.shape[1]):
        inter *= max(0.0, min(a[1, k], b[1, k]) - max(a[0, k], b[0, k]))
        size_a *= a[1, k] - a[0, k]
        size_b *= b[1, k] - b[0, k]
        extent = max(a[1, k], b[1, k]) - min(a[0, k], b[0, k])
        hull *= extent
        diagonal += extent * extent
        apart = 0.5 * ((a[0, k] + a[1, k]) - (b[0, k] + b[1, k]))
        distance += apart * apart
    union = size_a + size_b - inter
    iou = inter / union if union > 0 else 0.0
    if kind == GIOU:
        return iou - (hull - union) / hull if hull > 0 else iou
    if kind == DIOU:
        return iou - math.sqrt(distance / diagonal) if diagonal > 0 else iou
    if kind == DIOU_SQUARED:
        return iou - distance / diagonal if diagonal > 0 else iou
    return iou


@register_jitable
def fit_quality(value: float) -> float:
    """Overlap in [-1, 1] mapped onto [0, 1]: the objectness target (1 + DIoU) / 2 of YOLO-CIANNA."""
    return 0.5 * (1.0 + value)


@register_jitable
def centre_offset(raw: float, scale: float) -> float:
    """Centre of a box from its cell's low edge, in cells: sigmoid(raw) * scale - (scale - 1) / 2."""
    return sigmoid(raw) * scale - 0.5 * (scale - 1.0)


@register_jitable
def box_side(raw: float, prior: float, low: float, high: float) -> float:
    """Side of a box, in the prior's unit: prior * exp(raw clipped to [low, high])."""
    return prior * math.exp(min(max(raw, low), high))


# In float32, by arithmetic alone that a compiler turns into vectors: 3e-7 of the value or of 1, and a
# nanosecond or two each, where libm takes thirty.


@register_jitable
def tanh32(x: Any) -> Any:
    """Hyperbolic tangent of a float32: the ratio of polynomials of Eigen; beyond 7.9 it is 1 to rounding."""
    x = min(max(x, np.float32(-7.9)), np.float32(7.9))
    x2 = x * x
    p = np.float32(-2.76076847742355e-16) * x2 + np.float32(2.00018790482477e-13)
    p = p * x2 + np.float32(-8.60467152213735e-11)
    p = p * x2 + np.float32(5.12229709037114e-08)
    p = p * x2 + np.float32(1.48572235717979e-05)
    p = p * x2 + np.float32(6.37261928875436e-04)
    p = p * x2 + np.float32(4.89352455891786e-03)
    q = np.float32(1.19825839466702e-06) * x2 + np.float32(1.18534705686654e-04)
    q = q * x2 + np.float32(2.26843463243900e-03)
    q = q * x2 + np.float32(4.89352518554385e-03)
    return x * p / q


@register_jitable
def asinh_argument(x: Any) -> Any:
    """|x| + sqrt(x^2 + 1) of a float32, whose logarithm is |asinh(x)|."""
    size = min(abs(x), np.float32(1e18))
    return size + np.float32(math.sqrt(size * size + np.float32(1)))


@register_jitable
def normal_size32(chance: Any) -> Any:
    """Size of a standard normal number that this chance is of a larger one to have, both float32.

    The approximation of Giles (2010, GPU Computing Gems Jade, chapter 10): to 2e-6 up to 5.3, to 3e-3 beyond.
    """
    x = np.float32(1) - chance
    w = -np.float32(math.log(chance * (np.float32(1) + x)))
    if w < np.float32(5):
        w = w - np.float32(2.5)
        p = np.float32(2.81022636e-08) * w + np.float32(3.43273939e-07)
        p = p * w + np.float32(-3.5233877e-06)
        p = p * w + np.float32(-4.39150654e-06)
        p = p * w + np.float32(2.1858087e-04)
        p = p * w + np.float32(-1.25372503e-03)
        p = p * w + np.float32(-4.17768164e-03)
        p = p * w + np.float32(2.46640727e-01)
        p = p * w + np.float32(1.50140941)
    else:
        w = np.float32(math.sqrt(w)) - np.float32(3)
        p = np.float32(-2.00214257e-04) * w + np.float32(1.00950558e-04)
        p = p * w + np.float32(1.34934322e-03)
        p = p * w + np.float32(-3.67342844e-03)
        p = p * w + np.float32(5.73950773e-03)
        p = p * w + np.float32(-7.6224613e-03)
        p = p * w + np.float32(9.43887047e-03)
        p = p * w + np.float32(1.00167406)
        p = p * w + np.float32(2.83297682)
    return np.float32(1.41421356) * p * x


@register_jitable
def binary_exponent(bits: Any) -> Any:
    """Power of two that leaves sqrt(1/2) to sqrt(2) of a positive float32, from its bits as an int32."""
    return (bits - np.int32(0x3F3504F3)) >> np.int32(23)


@register_jitable
def logarithm32(mantissa: Any, exponent: Any) -> Any:
    """log(mantissa 2^exponent) of float32 by the polynomial of Cephes' logf; see `binary_exponent`."""
    x = mantissa - np.float32(1)
    y = np.float32(7.0376836292e-2) * x + np.float32(-1.1514610310e-1)
    y = y * x + np.float32(1.1676998740e-1)
    y = y * x + np.float32(-1.2420140846e-1)
    y = y * x + np.float32(1.4249322787e-1)
    y = y * x + np.float32(-1.6668057665e-1)
    y = y * x + np.float32(2.0000714765e-1)
    y = y * x + np.float32(-2.4999993993e-1)
    y = y * x + np.float32(3.3333331174e-1)
    y = y * x * x * x - np.float32(0.5) * x * x + np.float32(-2.12194440e-4) * exponent
    return x + y + np.float32(0.693359375) * exponent

"""Bright sources that touch, fitted together: each holds the others' light in sums and moments of its pixels.

Around each group of sources all others are taken out of the image, and the Gaussians of the group are fitted
to what is left by least squares, all at once (Levenberg and Marquardt, as Condon 1997, PASP 109, 166, fits
one). A bright source that two points describe better than the one ellipse that a network sees becomes two.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import JIT, PARALLEL

Floats = NDArray[np.float64]

#: What a Gaussian is known by: peak, y, x, and what multiplies dy^2, dx^2 and dy dx in its exponent.
TERMS = 6
#: Distance in FWHM to which pixels of a source are looked at: 6 % of its peak are left there.
WITHIN = 1.0
#: Steps of a fit, its first damping, and the relative gain below which it has ended.
_STEPS, _DAMPING, _ENOUGH = 40, 1e-2, 1e-5
#: Largest ratio of a fitted solid angle to the one before, either way.
_LARGEST = 3.0
#: Noise, and share of the peak, that what one ellipse leaves has to exceed before two points are tried.
_LEFT_NOISE, _LEFT_SHARE = 5.0, 0.03
#: Two points have to be so much better: what they gain in squares over the squared noise, a beam.
_GAIN = 8.0
#: Peak of the fainter of two points over the noise and over the other's; their distance in beams.
_LEAST_PEAK, _LEAST_SHARE, _CLOSEST = 6.0, 0.08, 0.7
_LN16 = 4.0 * np.log(2.0)


class Fits(NamedTuple):
    """What fits say of n sources in g groups.

    Attributes
    ----------
    sources : array (n, TERMS)
        As fitted; as given where `sound` is False.
    sound : array (n,), bool
        Whether a fit ended well.
    second : array (g, TERMS)
        Of a group of one that is two: the second. NaN where there is none.
    left : array (g,)
        Root of the mean square of what the sources leave of their pixels; infinite where no fit was sound.
    """

    sources: Floats
    sound: NDArray[np.bool_]
    second: Floats
    left: Floats


def fit_groups(
    pixels: NDArray[np.float32],
    sources: Floats,
    start: NDArray[np.int64],
    *,
    noise: Floats,
    level: Floats,
    beam: Floats,
) -> Fits:
    """Fit the Gaussians of each group to the pixels together.

    Parameters
    ----------
    pixels : array (y, x), float32
        An image without any of the sources; NaN is blank.
    sources : array (n, TERMS)
        As they were taken out, group by group.
    start : array (g + 1,)
        First source of each group.
    noise, level : array (g,)
        Standard deviation and background of the pixels.
    beam : array (3,)
        The last three terms of a point.
    """
    fitted = np.array(sources, np.float64)
    sound = np.zeros(len(sources), np.bool_)
    second = np.full((len(start) - 1, TERMS), np.nan)
    left = np.full(len(start) - 1, np.inf)
    if len(sources):
        levels = np.stack([noise, level], axis=1).astype(np.float64)
        _fit(pixels, fitted, np.asarray(start), levels, beam, sound, second, left)
    return Fits(fitted, sound, second, left)


@numba.njit(**PARALLEL)
def _fit(pixels, sources, start, levels, beam, sound, second, left):  # type: ignore[no-untyped-def]
    """Each group for itself; results go into `sources`, `sound`, `second` and `left`."""
    for g in numba.prange(len(start) - 1):
        mine = sources[start[g] : start[g + 1]]
        place, value = _pixels(pixels, mine, levels[g, 1])
        if len(value) <= TERMS * len(mine):
            continue
        if len(mine) > 1:
            found = mine.copy()
            squares = _settle(found, place, value, TERMS)
            if squares >= 0.0 and _is_sound(found, mine):
                mine[:] = found
                sound[start[g] : start[g + 1]] = True
                left[g] = np.sqrt(squares / len(value))
            continue
        two = _two(mine, place, value, levels[g, 0], beam)
        if len(two) == 2:
            mine[0], second[g] = two[0], two[1]
            sound[start[g]] = True
        left[g] = np.sqrt(_squares(two if len(two) else mine, place, value) / len(value))


@numba.njit(**JIT)
def _pixels(pixels, sources, level):  # type: ignore[no-untyped-def]
    """Places (m, 2) and values (m,) of the pixels of some sources, which are put back into them."""
    height, width = pixels.shape
    low, high = np.full(2, 1 << 30), np.full(2, -1)
    for k in range(len(sources)):
        a, b, c = sources[k, 3], sources[k, 4], sources[k, 5]
        size = 4.0 * a * b - c * c
        for axis, other in ((0, b), (1, a)):
            # where the ellipse of an exponent of -WITHIN^2 ln 16 ends
            reach = np.sqrt(max(-4.0 * other * _LN16 * WITHIN * WITHIN / size, 0.0))
            low[axis] = min(low[axis], int(np.ceil(sources[k, 1 + axis] - reach)))
            high[axis] = max(high[axis], int(np.floor(sources[k, 1 + axis] + reach)))
    y0, y1, x0, x1 = max(low[0], 0), min(high[0] + 1, height), max(low[1], 0), min(high[1] + 1, width)
    most = max(y1 - y0, 0) * max(x1 - x0, 0)
    place, value, count = np.empty((most, 2)), np.empty(most), 0
    for y in range(y0, y1):
        for x in range(x0, x1):
            if np.isnan(pixels[y, x]):
                continue
            light, near = 0.0, False
            for k in range(len(sources)):
                power = _power(sources[k], y, x)
                light += sources[k, 0] * np.exp(power)
                near |= power >= -_LN16 * WITHIN * WITHIN
            if near:
                place[count, 0], place[count, 1] = y, x
                value[count] = pixels[y, x] - level + light
                count += 1
    return place[:count], value[:count]


@numba.njit(**JIT)
def _power(source, y, x):  # type: ignore[no-untyped-def]
    dy, dx = y - source[1], x - source[2]
    return source[3] * dy * dy + source[4] * dx * dx + source[5] * dy * dx


@numba.njit(**JIT)
def _settle(sources, place, value, terms):  # type: ignore[no-untyped-def]
    """Least squares by Levenberg and Marquardt of the first so many terms of each, in place.

    Returned is what is left, the sum of squares; -1 if there is no step to be made.
    """
    n = terms * len(sources)
    matrix, slope = np.empty((n, n)), np.empty(n)
    damping = _DAMPING
    left = _normal(sources, place, value, terms, matrix, slope)
    for _ in range(_STEPS):
        step = _solved(matrix, slope, damping)
        if len(step) == 0:
            return -1.0
        tried = sources.copy()
        for k in range(len(sources)):
            tried[k, :terms] += step[terms * k : terms * (k + 1)]
        now = _squares(tried, place, value) if _is_possible(tried) else np.inf
        if now < left:
            done = left - now < _ENOUGH * left and damping < _DAMPING  # a step that was not held back
            sources[:] = tried
            if done:
                return now
            damping *= 0.2
            left = _normal(sources, place, value, terms, matrix, slope)
        else:
            damping *= 5.0
            if damping > 1e8:
                return left
    return left


@numba.njit(**JIT)
def _is_possible(sources):  # type: ignore[no-untyped-def]
    """Whether all are peaks that fall off on all sides."""
    for k in range(len(sources)):
        a, b, c = sources[k, 3], sources[k, 4], sources[k, 5]
        if not (sources[k, 0] > 0.0 and a < 0.0 and b < 0.0 and 4.0 * a * b > c * c):
            return False
    return True


@numba.njit(**JIT)
def _squares(sources, place, value):  # type: ignore[no-untyped-def]
    """What is left of the values, squared."""
    left = 0.0
    for i in range(len(value)):
        rest = value[i]
        for k in range(len(sources)):
            rest -= sources[k, 0] * np.exp(_power(sources[k], place[i, 0], place[i, 1]))
        left += rest * rest
    return left


@numba.njit(**JIT)
def _normal(sources, place, value, terms, matrix, slope):  # type: ignore[no-untyped-def]
    """Normal equations of the first so many terms of each; returned is what is left, squared."""
    n, left = terms * len(sources), 0.0
    each = np.empty(n)
    matrix[:], slope[:] = 0.0, 0.0
    for i in range(len(value)):
        rest = value[i]
        for k in range(len(sources)):
            one, at = sources[k], terms * k
            dy, dx = place[i, 0] - one[1], place[i, 1] - one[2]
            shape = np.exp(one[3] * dy * dy + one[4] * dx * dx + one[5] * dy * dx)
            light = one[0] * shape
            rest -= light
            each[at] = shape
            each[at + 1] = -light * (2.0 * one[3] * dy + one[5] * dx)
            each[at + 2] = -light * (2.0 * one[4] * dx + one[5] * dy)
            if terms == TERMS:
                each[at + 3], each[at + 4], each[at + 5] = light * dy * dy, light * dx * dx, light * dy * dx
        left += rest * rest
        for a in range(n):
            slope[a] += rest * each[a]
            for b in range(a + 1):
                matrix[a, b] += each[a] * each[b]
    return left


@numba.njit(**JIT)
def _solved(matrix, slope, damping):  # type: ignore[no-untyped-def]
    """Solution of the damped equations by Cholesky's factors; empty if they have none."""
    n = len(slope)
    scale = np.empty(n)
    for a in range(n):
        if not matrix[a, a] > 0.0:
            return np.empty(0)
        scale[a] = 1.0 / np.sqrt(matrix[a, a])
    lower, found = np.empty((n, n)), np.empty(n)
    for a in range(n):
        for b in range(a + 1):
            total = matrix[a, b] * scale[a] * scale[b] + (damping if a == b else 0.0)
            for k in range(b):
                total -= lower[a, k] * lower[b, k]
            if a > b:
                lower[a, b] = total / lower[b, b]
            elif total > 0.0:
                lower[a, a] = np.sqrt(total)
            else:
                return np.empty(0)
    for a in range(n):
        total = slope[a] * scale[a]
        for k in range(a):
            total -= lower[a, k] * found[k]
        found[a] = total / lower[a, a]
    for a in range(n - 1, -1, -1):
        total = found[a]
        for k in range(a + 1, n):
            total -= lower[k, a] * found[k]
        found[a] = total / lower[a, a]
    return found * scale


@numba.njit(**JIT)
def _is_sound(found, before):  # type: ignore[no-untyped-def]
    """Whether sources are where they were, and about as large."""
    for k in range(len(found)):
        if _power(before[k], found[k, 1], found[k, 2]) < -0.25 * _LN16:  # half a FWHM
            return False
        ratio = np.sqrt(_determinant(before[k]) / _determinant(found[k]))
        if not 1.0 / _LARGEST < ratio < _LARGEST:
            return False
    return True


@numba.njit(**JIT)
def _determinant(source):  # type: ignore[no-untyped-def]
    return 4.0 * source[3] * source[4] - source[5] * source[5]


@numba.njit(**JIT)
def _two(one, place, value, noise, beam):  # type: ignore[no-untyped-def]
    """Two sources in the place of one (1, TERMS), if two points describe the pixels better; else none."""
    none, rest = np.empty((0, TERMS)), _rest(one[0], place, value)
    if np.abs(rest).max() <= max(_LEFT_NOISE * noise, _LEFT_SHARE * one[0, 0]):
        return none
    single = one.copy()
    left = _settle(single, place, value, TERMS)
    if left < 0.0:
        return none
    area = np.pi / np.sqrt(4.0 * beam[0] * beam[1] - beam[2] * beam[2]) * 2.0
    best, least = none, left - _GAIN * noise * noise * area
    for points in (_along(single[0], beam), _beside(one[0], place, rest, beam)):
        now = _settle(points, place, value, 3)
        if 0.0 <= now < least and _are_two(points, noise):
            best, least = points, now
    if len(best):
        full = best.copy()
        if _settle(full, place, value, TERMS) >= 0.0 and _is_sound(full, best):
            return full
    return best


@numba.njit(**JIT)
def _rest(one, place, value):  # type: ignore[no-untyped-def]
    """What a source leaves of each value."""
    rest = np.empty(len(value))
    for i in range(len(value)):
        rest[i] = value[i] - one[0] * np.exp(_power(one, place[i, 0], place[i, 1]))
    return rest


@numba.njit(**JIT)
def _along(one, beam):  # type: ignore[no-untyped-def]
    """Two points to start from, along the major axis of one source."""
    # covariances of one and of the beam; what is more than the beam's lies between both points
    size, own = _determinant(one), 4.0 * beam[0] * beam[1] - beam[2] * beam[2]
    yy = -2.0 * one[4] / size + 2.0 * beam[1] / own
    xx = -2.0 * one[3] / size + 2.0 * beam[0] / own
    yx = one[5] / size - beam[2] / own
    turn = 0.5 * np.arctan2(2.0 * yx, xx - yy)
    half = np.sqrt(max(0.5 * (xx + yy) + np.hypot(0.5 * (xx - yy), yx), 0.05))
    points = np.empty((2, TERMS))
    points[:, 0], points[:, 3:] = 0.6 * one[0], beam
    for k, sign in ((0, 1.0), (1, -1.0)):
        points[k, 1] = one[1] + sign * half * np.sin(turn)
        points[k, 2] = one[2] + sign * half * np.cos(turn)
    return points


@numba.njit(**JIT)
def _beside(one, place, rest, beam):  # type: ignore[no-untyped-def]
    """Two points to start from: where one source is, and where it leaves most."""
    points, most = np.empty((2, TERMS)), np.argmax(rest)
    points[0, :3], points[:, 3:] = one[:3], beam
    points[1, 0] = max(rest[most], 0.05 * one[0])
    points[1, 1], points[1, 2] = place[most, 0], place[most, 1]
    return points


@numba.njit(**JIT)
def _are_two(points, noise):  # type: ignore[no-untyped-def]
    """Whether both stand out, and apart."""
    faint, bright = min(points[0, 0], points[1, 0]), max(points[0, 0], points[1, 0])
    apart = _power(points[0], points[1, 1], points[1, 2]) < -_LN16 * _CLOSEST * _CLOSEST
    return apart and faint > _LEAST_PEAK * noise and faint > _LEAST_SHARE * bright

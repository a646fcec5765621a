"""Measurements on pixels against Gaussians whose truth is known."""

import numpy as np
import pytest

from skadetect.photometry import (
    BLANK_VOXEL,
    REACH,
    SPATIAL_EDGE,
    SPECTRAL_EDGE,
    mark_boxes,
    measure,
)

SHAPE = (64, 72)


def _gaussian(position, *, peak=1.0, bmaj=3.0, bmin=3.0, theta=0.0, shape=SHAPE):
    y, x = np.mgrid[: shape[0], : shape[1]]
    dy, dx = y - position[0], x - position[1]
    along, across = dx * np.cos(theta) + dy * np.sin(theta), -dx * np.sin(theta) + dy * np.cos(theta)
    return (peak * np.exp(-4 * np.log(2) * ((along / bmaj) ** 2 + (across / bmin) ** 2))).astype(np.float32)


def _flat(value, shape=SHAPE):
    return np.full(shape, value, np.float32)


@pytest.mark.parametrize("fwhm", [2.3, 3.0, 6.0])
def test_peak_of_a_round_gaussian_is_exact_wherever_it_lies_in_its_pixel(fwhm):
    for dy, dx in [(0.0, 0.0), (0.5, 0.5), (-0.37, 0.21), (0.49, -0.49)]:
        position = np.array([[30 + dy, 35 + dx]])
        image = _gaussian(position[0], peak=7.0, bmaj=fwhm, bmin=fwhm) + 2.0
        found = measure(image, _flat(2.0), _flat(0.5), position)
        assert found.peak[0] == pytest.approx(7.0, rel=1e-4)
        assert (found.local_rms[0], found.background[0], found.blank[0]) == (0.5, 2.0, False)


def test_maps_are_read_at_the_nearest_pixel():
    level, rms = np.arange(SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE), _flat(1.0)
    rms[10, 20] = 3.0
    found = measure(level + 1.0, level, rms, np.array([[10.4, 19.6], [10.6, 20.0]]))
    np.testing.assert_array_equal(found.local_rms, [3.0, 1.0])
    np.testing.assert_array_equal(found.background, [level[10, 20], level[11, 20]])


def test_maps_are_read_no_further_than_said():
    rng = np.random.default_rng(5)
    image, level = rng.normal(size=(2, 9, 30, 30)).astype(np.float32)
    where = rng.uniform(0.0, [8.0, 29.0, 29.0], (1, 3))
    near = np.full(level.shape, np.nan, np.float32)
    seen = tuple(slice(max(0, n - REACH), n + REACH + 1) for n in np.floor(where[0] + 0.5).astype(int))
    near[seen] = level[seen]
    for values in (image, -image):
        whole, part = (measure(values, each, _flat(1.0, level.shape), where) for each in (level, near))
        assert part.peak == whole.peak and part.background == whole.background


def test_blank_pixels_and_borders_are_noted_and_do_not_spoil_the_peak():
    image = _gaussian((30.2, 35.1), peak=5.0)
    image[30, 36] = image[50, 50] = np.nan
    image[10:14, 10:14] = np.nan
    where = np.array([[30.2, 35.1], [50.0, 53.0], [50.0, 54.0], [1.0, 40.0], [11.5, 11.5], [-9.0, 500.0]])
    found = measure(image, _flat(0.0), _flat(1.0), where)
    np.testing.assert_array_equal(found.blank, [True, True, False, True, True, True])
    assert found.peak[0] == pytest.approx(5.0, rel=0.05)
    assert np.isnan(found.peak[4]) and np.isfinite(np.delete(found.peak, 4)).all()


def test_in_a_cube_the_highest_voxel_of_neighbouring_channels_counts():
    plane = _gaussian((30.2, 35.1), peak=7.0)
    cube = np.stack([plane * share for share in (0.2, 0.5, 0.4, 1.0)]) + 2.0
    level, rms = np.full_like(cube, 2.0), np.full_like(cube, 0.5)
    rms[2] = 0.25
    found = measure(cube, level, rms, np.array([[0.4, 30.2, 35.1], [1.6, 30.2, 35.1]]))
    np.testing.assert_allclose(found.peak, [3.5, 7.0], rtol=1e-4)
    np.testing.assert_array_equal(found.local_rms, [0.5, 0.25])
    alone = measure(cube[1], level[1], rms[1], np.array([[30.2, 35.1]]))
    assert alone.peak[0] == found.peak[0]  # a plane alone is a cube of one channel


def test_boxes_that_touch_edges_or_hold_blanks_are_marked_whatever_the_window():
    cube = np.zeros((40, 30, 30), np.float32)
    cube[20, 10, 10] = np.nan
    centre = np.array([[20, 15, 15], [20, 3, 15], [37, 15, 15], [20, 12, 12], [2, 27, 15], [20, 13, 12.0]])
    half = np.array([4, 2.4, 2.4])
    boxes = np.stack([centre - half, centre + half], axis=1)
    boxes[1, 0, 1] = 0.4
    expected = [0, SPATIAL_EDGE, SPECTRAL_EDGE, BLANK_VOXEL, SPATIAL_EDGE + SPECTRAL_EDGE, 0]
    flags, cut = mark_boxes(cube, boxes, low=(0, 0, 0), shape=cube.shape, reach=(48, 24, 24))
    assert flags.tolist() == expected
    # by hand: a box of 9 x 5 x 5 voxels, one of them blank
    np.testing.assert_allclose(cut, [0.0, 0.0, 0.0, 1 / 225, 0.0, 0.0])
    for low, high in (((10, 0, 0), (40, 30, 30)), ((0, 0, 0), (28, 30, 30))):
        window = cube[low[0] : high[0]]
        own = (centre[:, 0] >= low[0] + 6) & (centre[:, 0] < high[0] - 5)
        marks = mark_boxes(window, boxes[own] - np.array(low), low=low, shape=cube.shape, reach=(5, 24, 24))
        assert marks.flags.tolist() == np.array(expected)[own].tolist()
        np.testing.assert_array_equal(marks.cut, cut[own])


def test_no_positions_give_empty_columns():
    found = measure(_flat(0.0), _flat(0.0), _flat(1.0), np.empty((0, 2)))
    assert found.peak.shape == found.blank.shape == (0,)


def test_peaks_in_beam_correlated_noise_pull_as_a_unit_gaussian():
    rng = np.random.default_rng(5)
    size, step, fwhm, snr = 512, 16, 4.0, 15.0
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    beam = np.exp(-((np.pi * fwhm * frequency) ** 2) / (4 * np.log(2)))
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(size, size))) * beam, s=(size, size))
    image = noise / noise.std()
    grid = np.arange(step, size - step, step)
    where = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2) + rng.uniform(
        -0.5, 0.5, (len(grid) ** 2, 2)
    )
    for y, x in where:
        lo = int(y) - 7, int(x) - 7
        stamp = _gaussian((y - lo[0], x - lo[1]), peak=snr, bmaj=fwhm, bmin=fwhm, shape=(15, 15))
        image[lo[0] : lo[0] + 15, lo[1] : lo[1] + 15] += stamp
    flat = np.zeros((size, size), np.float32)
    pulls = measure(image.astype(np.float32), flat, flat + 1, where).peak - snr
    assert abs(pulls.mean()) < 0.2
    assert 0.9 < pulls.std() < 1.1

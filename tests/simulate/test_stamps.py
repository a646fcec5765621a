import numpy as np
import pytest

from skadetect.simulate.shapes import Gaussians
from skadetect.simulate.stamps import add_gaussians

BEAM = (1.5, 0.2, 1.1)


def gaussians(*rows):
    return Gaussians(*np.array(rows, float).T)


def test_stamp_is_the_convolved_gaussian():
    image = np.zeros((41, 51), np.float32)
    add_gaussians(image, gaussians((24.3, 19.6, 5.0, 3.0, -0.7, 1.4)), beam=BEAM, floor=1e-6)
    y, x = np.mgrid[:41, :51]
    total = np.array([[4.5, -0.5], [-0.5, 2.5]])
    inverse = np.linalg.inv(total)
    dx, dy = x - 24.3, y - 19.6
    shape = np.exp(-0.5 * (inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2))
    beam_area = np.sqrt(BEAM[0] * BEAM[2] - BEAM[1] ** 2)
    np.testing.assert_allclose(image, 5.0 * beam_area / np.sqrt(np.linalg.det(total)) * shape, atol=1e-6)


def test_point_source_peaks_at_its_flux():
    image = np.zeros((21, 21), np.float32)
    add_gaussians(image, gaussians((10, 10, 3.0, 0, 0, 0)), beam=BEAM, floor=1e-3)
    assert image[10, 10] == pytest.approx(3.0)
    assert image.argmax() == 10 * 21 + 10


def test_sum_over_pixels_is_flux_times_beam_area():
    image = np.zeros((61, 61), np.float32)
    add_gaussians(image, gaussians((30.2, 29.7, 2.0, 4.0, 1.0, 5.0)), beam=BEAM, floor=1e-6)
    area = 2 * np.pi * np.sqrt(BEAM[0] * BEAM[2] - BEAM[1] ** 2)
    assert image.sum() == pytest.approx(2.0 * area, rel=1e-4)


def test_sources_across_the_edge_are_cut():
    image = np.zeros((8, 8), np.float32)
    rows = [(-1.0, 3.0, 1.0, 0, 0, 0), (100.0, 100.0, 1.0, 0, 0, 0), (-100.0, 4.0, 1.0, 0, 0, 0)]
    add_gaussians(image, gaussians(*rows), beam=BEAM, floor=1e-3)
    assert image[3, 0] > 0.5
    assert np.all(image[:, 6:] == 0)


def test_no_sources_leave_the_image():
    image = np.zeros((8, 8), np.float32)
    add_gaussians(image, Gaussians(*np.empty((6, 0))), beam=BEAM, floor=1e-3)
    assert not image.any()

from __future__ import annotations

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.train.sources import Sources, bounding_boxes, expected_peak


def sources(n: int = 3, **columns) -> Sources:
    base = {"flux": np.full(n, 10.0), "bmaj": np.full(n, 4.0), "bmin": np.full(n, 1.0), "theta": np.zeros(n)}
    base |= {"position": np.tile([20.0, 30.0], (n, 1)), "peak_snr": np.full(n, 5.0)}
    return Sources(**(base | columns))


def test_take_scaled_and_length():
    some = sources(peak_snr=np.array([1.0, 2.0, 3.0]))
    assert len(some) == 3
    np.testing.assert_array_equal(some.take(some.peak_snr > 1.5).peak_snr, [2.0, 3.0])
    np.testing.assert_array_equal(some.scaled(2.0).peak_snr, [2.0, 4.0, 6.0])
    np.testing.assert_array_equal(some.scaled(2.0).flux, 20.0)


def test_peak_of_a_point_is_its_flux_and_of_a_beam_wide_source_half():
    beam = PixelBeam(4.0, 3.0, 0.4)
    zero, one = np.zeros(1), np.ones(1)
    assert expected_peak(one, zero, zero, zero, beam)[0] == pytest.approx(1.0)
    assert expected_peak(one, 4.0 * one, 3.0 * one, 0.4 * one, beam)[0] == pytest.approx(0.5)


def test_box_of_a_point_is_the_beam_and_boxes_turn_with_the_source():
    beam = PixelBeam(3.0, 3.0)
    point = bounding_boxes(sources(1, bmaj=np.zeros(1), bmin=np.zeros(1)), beam)[0]
    np.testing.assert_allclose(point, [[18.5, 28.5], [21.5, 31.5]])
    lengths = sources(2, bmaj=np.full(2, 4.0), bmin=np.zeros(2), theta=np.array([0.0, np.pi / 2]))
    boxes = bounding_boxes(lengths, beam)
    np.testing.assert_allclose(boxes[0, 1] - boxes[0, 0], [3.0, 5.0])
    np.testing.assert_allclose(boxes[1, 1] - boxes[1, 0], [5.0, 3.0])


def test_box_holds_the_half_power_ellipse_tightly():
    beam, angle = PixelBeam(3.0, 2.0, 1.0), np.linspace(0, 2 * np.pi, 2000)
    box = bounding_boxes(sources(1, bmaj=np.zeros(1), bmin=np.zeros(1)), beam)[0] - [20.0, 30.0]
    along, across = 1.5 * np.cos(angle), 1.0 * np.sin(angle)
    x = along * np.cos(1.0) - across * np.sin(1.0)
    y = along * np.sin(1.0) + across * np.cos(1.0)
    np.testing.assert_allclose(box, [[y.min(), x.min()], [y.max(), x.max()]], atol=1e-4)


def test_boxes_of_lines_are_as_deep_as_the_line_and_a_margin():
    cube = sources(2, position=np.tile([40.0, 20.0, 30.0], (2, 1)), w20=np.array([0.0, 4.0]))
    boxes = bounding_boxes(cube, PixelBeam(3.0, 3.0))
    np.testing.assert_allclose(boxes[:, 1, 0] - boxes[:, 0, 0], [3.0, 5.0])
    np.testing.assert_allclose(boxes.mean(axis=1), cube.position)


def test_images_have_no_lines():
    np.testing.assert_array_equal(sources(3).w20, np.zeros(3))
    assert sources(3).take(np.array([1])).incl.shape == (1,)

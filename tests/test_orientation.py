"""Looking at an image in several ways."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skadetect.beams import PixelBeam
from skadetect.detections import Detections
from skadetect.infer import candidates
from skadetect.nn.backends import cpu, reference
from skadetect.nn.model import Model
from skadetect.orientation import ORIENTATIONS, Orientation, bytes_a_pixel
from skadetect.parameters import decode
from tests.nn.networks import cube_model, small_model

BEAM = PixelBeam(3.4, 2.5, 0.4)


def _oblong() -> Model:
    """A prior of unlike sides."""
    model = small_model()
    return replace(model, head=replace(model.head, priors=((3.0, 6.0),), size_clip=(-6.0, 6.0)))


MODELS = {
    "image": (small_model, (1, 40, 48)),
    "oblong prior": (_oblong, (1, 40, 48)),
    "cube": (cube_model, (16, 24, 32)),
}


def _noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def _columns(model: Model, rows: Detections) -> dict[str, np.ndarray]:
    return decode(model.parameters, rows.parameters, anchor=rows.anchor, beam_fwhm=BEAM.fwhm)


def _slopes(way: Orientation, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Where pixel 0 is from and what a step does, read off turned maps of the coordinates (y, x)."""
    y, x = (way.turn(each) for each in np.mgrid[: shape[-2], : shape[-1]].astype(float))
    slopes = np.array([[y[1, 0] - y[0, 0], y[0, 1] - y[0, 0]], [x[1, 0] - x[0, 0], x[0, 1] - x[0, 0]]])
    return np.array([y[0, 0], x[0, 0]]), slopes


def _moved(way: Orientation, positions: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Where pixels of an image are once it is turned."""
    origin, slopes = _slopes(way, shape)
    moved = positions.copy()
    moved[..., -2:] = (positions[..., -2:] - origin) @ np.linalg.inv(slopes).T
    return moved


@pytest.mark.parametrize("way", ORIENTATIONS, ids=str)
@pytest.mark.parametrize("kind", MODELS)
def test_the_mean_of_all_ways_turns_with_the_image(kind: str, way: Orientation) -> None:
    """Whatever the weights: centres, boxes, scores and directions of a turned image are the turned ones."""
    make, shape = MODELS[kind]
    model, s = make(), _noise(shape)
    found, turned = (
        candidates(model, np.ascontiguousarray(each), beam, backend=cpu, threshold=1e-6, orientations=8)
        for each, beam in ((s, BEAM), (way.turn(s), way.turn_beam(BEAM)))
    )
    expected = _moved(way, found.position, shape)
    apart = np.abs(expected[:, None] - turned.position[None]).max(axis=-1)
    assert len(found) == len(turned) > 20
    assert apart.min(axis=1).max() < 1e-3
    turned = turned.take(apart.argmin(axis=1))
    np.testing.assert_allclose(turned.score, found.score, atol=1e-5)
    np.testing.assert_allclose(turned.anchor, found.anchor)
    corners = _moved(way, found.boxes, shape)
    np.testing.assert_allclose(np.sort(corners, axis=1), turned.boxes, atol=1e-3)
    slopes, after = _slopes(way, shape)[1], _columns(model, turned)
    for name, values in _columns(model, found).items():
        if name in ("theta", "direction"):  # the turned vector; an axis has no sign
            y, x = np.linalg.inv(slopes) @ np.stack([np.sin(values), np.cos(values)])
            times = 2 if name == "theta" else 1
            np.testing.assert_allclose(
                np.exp(1j * times * after[name]), np.exp(1j * times * np.arctan2(y, x)), atol=1e-2
            )
        else:
            np.testing.assert_allclose(after[name], values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("way", ORIENTATIONS, ids=str)
def test_a_beam_turns_with_the_image(way: Orientation) -> None:
    y, x = np.mgrid[-20:21, -20:21]
    along, across = x * np.cos(0.4) + y * np.sin(0.4), y * np.cos(0.4) - x * np.sin(0.4)
    shown = way.turn(np.exp(-(along**2) / 50.0 - across**2 / 10.0))
    moment = 0.5 * np.arctan2(2 * (shown * x * y).sum(), (shown * (x**2 - y**2)).sum())
    turned = way.turn_beam(PixelBeam(5.0, 2.0, 0.4)).theta
    assert np.exp(2j * turned) == pytest.approx(np.exp(2j * moment), abs=1e-3)


def test_one_way_takes_no_more_than_the_network() -> None:
    assert bytes_a_pixel(small_model(), 1) == 0.0 < bytes_a_pixel(small_model(), 8)


def test_back_ends_agree() -> None:
    model, s = small_model().folded(), _noise((1, 40, 48))
    a, b = (
        candidates(model, s, BEAM, backend=backend, threshold=0.2, orientations=4)
        for backend in (cpu, reference)
    )
    assert len(a) == len(b) > 10
    np.testing.assert_allclose(a.parameters, b.parameters, atol=1e-3)
